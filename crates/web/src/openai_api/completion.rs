//! Chat completions: whole or as they are written.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use stoa_app::App;
use stoa_app::completions::{self, End, Ending, Piece, Running, Tokens};
use utoipa::ToSchema;

use super::caller::{Key, Tolerant};
use super::calls::CallView;
use super::error::{ErrorDocument, OpenAiError};
use super::request::NewCompletion;
use super::stream;
use crate::chat::{SourceView, StepView};

/// A whole chat completion.
#[derive(Serialize, ToSchema)]
pub(crate) struct Completion {
    /// Its id, under which it is counted.
    id: String,
    /// Always `chat.completion`.
    object: &'static str,
    /// When it began, in seconds since 1970.
    created: i64,
    /// The model as it was asked for.
    model: String,
    /// The one answer.
    choices: Vec<Choice>,
    /// What it took.
    usage: UsageView,
}

/// The answer.
#[derive(Serialize, ToSchema)]
struct Choice {
    /// Always 0.
    index: u8,
    /// The message.
    message: Message,
    /// Always null.
    #[schema(value_type = Option<Object>)]
    logprobs: Option<()>,
    /// `stop`, `length`, `content_filter` or `tool_calls`.
    finish_reason: &'static str,
}

/// The answer's message.
#[derive(Serialize, ToSchema)]
struct Message {
    /// Always `assistant`.
    role: &'static str,
    /// The text, in Markdown; null where there are only calls.
    content: Option<String>,
    /// Always null.
    refusal: Option<String>,
    /// The calls of the caller's tools that the model asks for; absent where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<CallView>,
    /// What the bot's answer was drawn from; absent with other models.
    #[serde(skip_serializing_if = "Option::is_none")]
    stoa: Option<Drawn>,
}

/// What the bot's answer was drawn from.
#[derive(Clone, Serialize, ToSchema)]
pub(crate) struct Drawn {
    /// The passages that it cites; all that it was given where it cites none.
    sources: Vec<SourceView>,
    /// What was called of the instance's own tools, which is done where the caller brings none:
    /// only those that change nothing. `position` counts in `content`.
    steps: Vec<StepView>,
}

/// What an answer took, in tokens; about so many where the provider does not say.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// Read.
    prompt_tokens: i64,
    /// Written.
    completion_tokens: i64,
    /// Both.
    total_tokens: i64,
}

impl From<Tokens> for UsageView {
    fn from(tokens: Tokens) -> Self {
        Self {
            prompt_tokens: tokens.input,
            completion_tokens: tokens.output,
            total_tokens: tokens.input.saturating_add(tokens.output),
        }
    }
}

impl Drawn {
    /// Of an answer with this text.
    pub(crate) fn of(drawn: completions::Drawn, content: &str) -> Self {
        let steps = drawn.steps.into_iter();
        Self {
            sources: drawn.sources.into_iter().map(Into::into).collect(),
            steps: steps.map(|it| StepView::of(it, content)).collect(),
        }
    }
}

/// Completes a chat. With `model: "stoa"` the instance's bot answers, from its documents and by its
/// instructions; nothing of the conversation is stored. With `stream: true` the answer comes as
/// `chat.completion.chunk` events and `[DONE]`; the last chunk with a choice has `stoa.sources` and
/// `stoa.steps`. With `tools` the model may ask for calls, which are the caller's to run; see
/// `finish_reason`. Without, the bot may call the instance's own tools, those that change nothing, which
/// are run here and told of in `stoa.steps`.
/// A client that hangs up ends it. Errors have OpenAI's shape.
#[utoipa::path(post, path = "/v1/chat/completions", tag = "openai", request_body = NewCompletion,
    responses(
        (status = 200, description = "The answer", content(
            (Completion = "application/json"), (String = "text/event-stream"))),
        (status = 400, body = ErrorDocument),
        (status = 401, body = ErrorDocument),
        (status = 404, description = "There is no such model", body = ErrorDocument),
        (status = 429, body = ErrorDocument),
        (status = 502, body = ErrorDocument)))]
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Key(caller): Key,
    Tolerant(new): Tolerant<NewCompletion>,
) -> Result<Response, OpenAiError> {
    let is_streamed = new.stream.unwrap_or_default();
    let options = new.stream_options.as_ref();
    let with_usage = options.and_then(|it| it.include_usage).unwrap_or_default();
    let request = new.parse()?;
    let running = completions::begin(&app, &caller, request).await?;
    if is_streamed {
        return Ok(stream::response(running, with_usage));
    }
    Ok(axum::Json(whole(running).await?).into_response())
}

/// Follows a completion to its end.
async fn whole(mut running: Running) -> Result<Completion, OpenAiError> {
    let (mut content, mut calls) = (String::new(), Vec::new());
    loop {
        match running.next().await {
            Some(Piece::Text(text)) => content.push_str(&text),
            Some(Piece::Call { call, .. }) => calls.push(call.into()),
            // Its pieces; the whole follows.
            Some(Piece::CallStart { .. } | Piece::CallArguments { .. }) => {}
            Some(Piece::End(end)) => return Ok(completion(&running, content, calls, end)),
            Some(Piece::Failed(error)) => return Err(error.into()),
            None => return Err(completions::CompletionError::Restarting.into()),
        }
    }
}

fn completion(
    running: &Running,
    content: String,
    tool_calls: Vec<CallView>,
    end: End,
) -> Completion {
    let is_all_calls = content.is_empty() && !tool_calls.is_empty();
    let stoa = end.drawn.map(|drawn| Drawn::of(drawn, &content));
    Completion {
        id: id(running),
        object: "chat.completion",
        created: running.created_at.timestamp(),
        model: running.model.clone(),
        choices: vec![Choice {
            index: 0,
            message: Message {
                role: "assistant",
                content: (!is_all_calls).then_some(content),
                refusal: None,
                tool_calls,
                stoa,
            },
            logprobs: None,
            finish_reason: finish_reason(end.reason),
        }],
        usage: end.tokens.into(),
    }
}

/// A completion's id as OpenAI writes them.
pub(crate) fn id(running: &Running) -> String {
    format!("chatcmpl-{}", running.id)
}

/// OpenAI's word for why an answer ended.
pub(crate) const fn finish_reason(reason: Ending) -> &'static str {
    match reason {
        Ending::Stop => "stop",
        Ending::Length => "length",
        Ending::ContentFilter => "content_filter",
        Ending::ToolCalls => "tool_calls",
    }
}
