//! Completions and embeddings for programs, over the OpenAI-compatible API.
//!
//! Nothing of a request is stored. The model `stoa` is the instance's bot with its documents and
//! instructions, opened as a visitor's answer is ([`crate::chat::opening`]); any other name is one of
//! the configured models and is passed through. A program that brings no tools of its own is answered
//! with the instance's, those that only read. Each call is counted once, under an id of its own.

mod error;
mod own_tools;
mod passing;
mod running;
mod stop;
mod vectors;

use std::sync::Arc;

use stoa_ai::ChatRequest;
pub use stoa_ai::{
    AiErrorCode, AnswerFormat, Ending, Message, Tool, ToolCall, ToolChoice, ToolResult,
};
use stoa_client_db::messages::Known;
use stoa_domain::{InstanceStatus, MessageId, Provider};
use stoa_platform_db::usage_events::UsageKind;

pub use crate::chat::opening::Stop;
pub use error::CompletionError;
pub use running::{Drawn, End, Piece, Running, Tokens};
pub use vectors::{Texts, Vectors, embed, texts_of};

use crate::App;
use crate::access::ClientCaller;
use crate::budgets::{PaidStream, Payer, Spender};
pub use crate::chat::opening::Offer;
use crate::chat::opening::{
    Author, Inquiry, NotOpened, Opened, Opener, Origin, Sampling, Unasked, send,
};
use crate::chat::turns;
pub use crate::chat::turns::said;
use crate::contents::{Contents, Model};
use own_tools::OwnTools;
use passing::Calls;
use running::{Call, about};

/// The name under which the instance's bot is a model.
pub const BOT: &str = "stoa";

/// A completion that a program asks for.
#[derive(Clone, Debug)]
pub struct CompletionRequest {
    /// [`BOT`], or the name of a configured model or of its configuration.
    pub model: String,
    /// The caller's own system messages.
    pub context: String,
    /// The conversation, oldest first. It ends with what is to be answered. Each call of a tool has
    /// its result after it, in the order of the calls.
    pub messages: Vec<Message>,
    /// The sampling temperature.
    pub temperature: Option<f64>,
    /// At most so many tokens; the configuration's own limit holds as well.
    pub max_output_tokens: Option<u32>,
    /// The answer ends before any of these.
    pub stop: Vec<String>,
    /// The caller's own tools: the model's calls are passed on, and the caller runs them. Where there
    /// are none, the bot may call the instance's.
    pub offer: Offer,
    /// What the answer is to be, where that is not words for people.
    pub format: Option<AnswerFormat>,
}

/// A model that can be named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedModel {
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub owned_by: String,
}

/// The models that can be named: the bot first, then the configured ones, those that embed too.
///
/// # Errors
/// When the client's database fails.
pub async fn models(app: &App, caller: &ClientCaller) -> Result<Vec<ListedModel>, CompletionError> {
    let contents = app.contents(caller.registered()).await?;
    let mut listed = vec![ListedModel {
        id: BOT.to_owned(),
        owned_by: caller.registered().slug().to_string(),
    }];
    for model in &contents.models {
        let names = [Some(&model.model), model.embedding_model.as_ref()];
        for id in names.into_iter().flatten() {
            if !listed.iter().any(|known| known.id == *id) {
                listed.push(ListedModel {
                    id: id.clone(),
                    owned_by: model.endpoint.provider.to_string(),
                });
            }
        }
    }
    Ok(listed)
}

/// Begins a completion; returns with its first word there.
///
/// Whoever drops what is returned hangs up: the provider's connection is closed at once.
///
/// # Errors
/// When there is no such model, the instance is not active, or nobody could say a first word.
pub async fn begin(
    app: &Arc<App>,
    caller: &ClientCaller,
    request: CompletionRequest,
) -> Result<Running, CompletionError> {
    active(caller)?;
    let contents = app.contents(caller.registered()).await?;
    let target = Target::named(&contents, &request.model).ok_or(CompletionError::NoSuchModel)?;
    if matches!(target, Target::Bot(_)) && request.format.is_some() {
        return Err(CompletionError::WordsOnly);
    }
    let place = app
        .take_turn(caller.instance())
        .ok_or(CompletionError::Busy)?;
    app.note_activity(caller.instance()).await?;
    let id = app.new_id(MessageId::generate);
    let (registered, budgets) = (caller.registered(), &contents.budgets);
    let event = (id, UsageKind::Completion);
    let spender = Spender::new(app, registered, budgets, Payer::default(), event);
    let asking = Asking {
        app,
        caller,
        contents: &contents,
        spender: &spender,
        request: &request,
    };
    let (Opened { stream, origin }, own_tools) = tokio::select! {
        opened = asking.open(&target) => opened?,
        () = app.shutdown().cancelled() => return Err(CompletionError::Restarting),
    };
    let calls = match own_tools {
        Some(_) => Calls::Made,
        None => Calls::of(&request.offer),
    };
    let call = Call {
        app: Arc::clone(app),
        id,
        spender,
        no_answer_message: contents.instructions.no_answer_message.clone(),
        asked: asked_tokens(&origin.by, &request),
        origin,
        stop: request.stop,
        calls,
        own_tools,
        is_bot: matches!(target, Target::Bot(_)),
    };
    Ok(call.start(stream, request.model, place))
}

/// Whether the caller's instance answers anybody.
fn active(caller: &ClientCaller) -> Result<(), CompletionError> {
    match caller.registered().status() {
        InstanceStatus::Active => Ok(()),
        InstanceStatus::Suspended => Err(CompletionError::Suspended),
        InstanceStatus::AwaitingSetup | InstanceStatus::Deleting => Err(CompletionError::NotActive),
    }
}

/// Who is to answer.
enum Target<'a> {
    /// The instance's bot, by these models in order.
    Bot(Vec<&'a Model>),
    /// These configurations of one model, in order, with nothing of the instance's own.
    Plain(Vec<&'a Model>),
}

impl<'a> Target<'a> {
    fn named(contents: &'a Contents, name: &str) -> Option<Self> {
        if name == BOT {
            return Some(Self::Bot(contents.models.iter().collect()));
        }
        let first = contents
            .models
            .iter()
            .find(|model| model.model == name || model.name == name)?;
        // Quoting documents is something that only the bot can do.
        if first.endpoint.provider == Provider::Passages {
            return Some(Self::Bot(vec![first]));
        }
        let others = contents.models.iter().filter(|other| {
            other.model == first.model
                && other.id != first.id
                && other.endpoint.provider != Provider::Passages
        });
        Some(Self::Plain([first].into_iter().chain(others).collect()))
    }
}

/// One completion that is asked for.
struct Asking<'a> {
    app: &'a App,
    caller: &'a ClientCaller,
    contents: &'a Arc<Contents>,
    spender: &'a Spender,
    request: &'a CompletionRequest,
}

impl Asking<'_> {
    /// The first word, and the instance's own tools where they may be called.
    async fn open(
        &self,
        target: &Target<'_>,
    ) -> Result<(Opened, Option<OwnTools>), CompletionError> {
        let models = match target {
            Target::Plain(models) => return Ok((self.models(models).await?, None)),
            Target::Bot(models) => models,
        };
        let own = self.own_tools();
        let has_own = !own.is_empty();
        let inquiry = self.inquiry(own)?;
        let opener = Opener {
            app: self.app,
            registered: self.caller.registered(),
            contents: self.contents,
            inquiry: &inquiry,
            spender: self.spender,
        };
        let opened = opener.open(models).await?;
        let own_tools = has_own.then(|| {
            let registered = Arc::clone(self.caller.registered());
            OwnTools::new(registered, Arc::clone(self.contents), inquiry)
        });
        Ok((opened, own_tools))
    }

    /// The instance's own tools that the bot may call: none where the program brings some or has
    /// called some in this conversation, since two hands would reach for the same call, or wants none
    /// called.
    fn own_tools(&self) -> Vec<Tool> {
        let request = self.request;
        let is_said = |message: &Message| matches!(message, Message::Said(_));
        let brings_none = request.offer.tools.is_empty() && request.messages.iter().all(is_said);
        match brings_none && request.offer.choice != ToolChoice::None {
            true => self.contents.toolbox.offered(own_tools::OFFERED),
            false => Vec::new(),
        }
    }

    /// What the bot is asked. It calls these tools, or those of the program.
    fn inquiry(&self, own: Vec<Tool>) -> Result<Inquiry, CompletionError> {
        let request = self.request;
        let place = request
            .messages
            .iter()
            .rposition(turns::is_question)
            .ok_or(CompletionError::NoQuestion)?;
        let (earlier, latest) = request.messages.split_at(place);
        let mut offer = request.offer.clone();
        offer.tools.extend(own);
        Ok(Inquiry {
            question: turns::words(&latest[0]).to_owned(),
            earlier: earlier.to_vec(),
            latest: latest.to_vec(),
            known: Known::default(),
            rounds: 0,
            has_passages: true,
            context: request.context.clone(),
            sampling: Sampling {
                temperature: request.temperature,
                max_output_tokens: request.max_output_tokens,
            },
            offer,
            confirms_writes: false,
        })
    }

    async fn models(&self, models: &[&Model]) -> Result<Opened, CompletionError> {
        let mut last = NotOpened::Nobody;
        for model in models {
            match self.model(model).await {
                Ok(stream) => {
                    let origin = Origin {
                        by: Author::of(model),
                        ..Origin::default()
                    };
                    return Ok(Opened { stream, origin });
                }
                Err(error) => last = last.after(error, self.caller.registered(), model)?,
            }
        }
        Err(last.into())
    }

    async fn model(&self, model: &Model) -> Result<PaidStream, Unasked> {
        let request = self.request;
        let configured = model
            .max_output_tokens
            .and_then(|tokens| u32::try_from(tokens).ok());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a temperature needs no more digits"
        )]
        let request = ChatRequest {
            model: model.model.clone(),
            system: request.context.clone(),
            messages: request.messages.clone(),
            temperature: request
                .temperature
                .or(model.temperature)
                .map(|temperature| temperature as f32),
            max_output_tokens: configured
                .into_iter()
                .chain(request.max_output_tokens)
                .min(),
            tools: request.offer.tools.clone(),
            tool_choice: request.offer.choice.clone(),
            one_call: request.offer.one_call,
            format: request.format.clone(),
        };
        send(self.app, self.spender, model, &request).await
    }
}

/// About how many tokens the caller's own words are, for an account where the provider gives none.
fn asked_tokens(by: &Author, request: &CompletionRequest) -> i64 {
    let said = request.messages.iter().flat_map(turns::texts);
    let tools = request.offer.tools.iter();
    let schemas: Vec<_> = tools.clone().map(|it| it.schema.to_string()).collect();
    let texts = said
        .chain([request.context.as_str()])
        .chain(tools.flat_map(|it| [it.name.as_str(), &it.description]))
        .chain(schemas.iter().map(String::as_str));
    about(by.provider.unwrap_or(Provider::Passages), &by.model, texts)
}
