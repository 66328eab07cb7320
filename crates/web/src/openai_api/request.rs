//! A chat completion as programs ask for it: tolerant of what changes nothing, clear about what is
//! not supported.

use serde::Deserialize;
use serde_json::Value;
use stoa_app::completions::CompletionRequest;
use utoipa::ToSchema;

use super::error::{OpenAiError, require};
use super::messages::{Conversation, NewMessage};
use super::tools::{self, NewTool, Wanted};

/// The most stop texts, as with OpenAI, and the longest.
const MOST_STOPS: usize = 4;
const LONGEST_STOP: usize = 256;

/// A chat completion that is asked for. Fields that are not listed are passed over: those that the
/// client libraries send and that change nothing here, such as `user`, `seed`, `top_p`, `metadata`
/// and `store`. A field that would change the answer and is not supported is refused by name.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewCompletion {
    /// `stoa` for the instance's bot with its documents and instructions, else the name of a
    /// configured model or of its configuration.
    pub(crate) model: String,
    /// The conversation so far. System messages are added to the bot's instructions and replace
    /// none of them.
    messages: Vec<NewMessage>,
    /// Whether the answer comes as it is written.
    #[serde(default)]
    pub(crate) stream: Option<bool>,
    /// What a stream has besides.
    #[serde(default)]
    pub(crate) stream_options: Option<StreamOptions>,
    /// The sampling temperature, 0 to 2.
    #[serde(default)]
    temperature: Option<f64>,
    /// At most so many tokens of answer; the newer name.
    #[serde(default)]
    max_completion_tokens: Option<u64>,
    /// At most so many tokens of answer.
    #[serde(default)]
    max_tokens: Option<u64>,
    /// Up to 4 texts before which the answer ends.
    #[serde(default)]
    stop: Option<OneOrMore>,
    /// Only 1.
    #[serde(default)]
    n: Option<u64>,
    /// The caller's own tools, at most 128. The model's calls are returned, with the finish reason
    /// `tool_calls`; the caller runs them and asks again with a message of the role `tool` for each.
    /// With `stoa` they are offered beside the documents.
    #[serde(default)]
    tools: Option<Vec<NewTool>>,
    /// `auto`, `none`, `required`, a function of the tools, or `allowed_tools`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    tool_choice: Option<Value>,
    /// `false` for one call at a time.
    #[serde(default)]
    parallel_tool_calls: Option<bool>,
    /// `text`; with other models than `stoa` also `json_object` and `json_schema`, as far as the
    /// provider can.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    response_format: Option<Value>,
    /// Not supported.
    #[serde(default)]
    logprobs: Option<bool>,
    /// Only text.
    #[serde(default)]
    modalities: Option<Vec<String>>,
    /// Not supported: give `tools`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<Object>>)]
    functions: Option<Vec<Value>>,
    /// Not supported: give `tool_choice`.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    function_call: Option<Value>,
}

/// What a stream has besides.
#[derive(Deserialize, ToSchema)]
pub(crate) struct StreamOptions {
    /// Whether a last chunk says what the answer took.
    #[serde(default)]
    pub(crate) include_usage: Option<bool>,
}

/// A text or several.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMore {
    /// One.
    One(String),
    /// Several.
    More(Vec<String>),
}

impl NewCompletion {
    /// The request in our own words.
    pub(crate) fn parse(self) -> Result<CompletionRequest, OpenAiError> {
        self.refuse_unsupported()?;
        let temperature_fits = self.temperature.is_none_or(|it| (0.0..=2.0).contains(&it));
        require(
            temperature_fits,
            "temperature",
            "Give a number from 0 to 2.",
        )?;
        let max_output_tokens = self.max_output_tokens()?;
        let stop = stops(self.stop)?;
        let offer = Wanted {
            tools: self.tools.unwrap_or_default(),
            choice: self.tool_choice,
            parallel: self.parallel_tool_calls,
        };
        let offer = offer.parse()?;
        let format = tools::format(self.response_format)?;
        let conversation = Conversation::parse(self.messages)?;
        Ok(CompletionRequest {
            model: self.model,
            context: conversation.context.join("\n\n"),
            messages: conversation.messages,
            temperature: self.temperature,
            max_output_tokens,
            stop,
            offer,
            format,
        })
    }

    fn refuse_unsupported(&self) -> Result<(), OpenAiError> {
        let only_text = |kinds: &Vec<String>| kinds.iter().all(|kind| kind == "text");
        let refusals = [
            (
                self.n.is_some_and(|n| n != 1),
                "n",
                "Only one answer is written: leave “n” out.",
            ),
            (
                self.functions.is_some(),
                "functions",
                "“functions” is not supported. Give “tools”.",
            ),
            (
                self.function_call.is_some(),
                "function_call",
                "“function_call” is not supported. Give “tool_choice”.",
            ),
            (
                self.logprobs == Some(true),
                "logprobs",
                "Log probabilities are not supported.",
            ),
            (
                !self.modalities.as_ref().is_none_or(only_text),
                "modalities",
                "Answers are text only.",
            ),
        ];
        let first = refusals.into_iter().find(|(is_asked, ..)| *is_asked);
        first.map_or(Ok(()), |(_, param, message)| {
            Err(OpenAiError::unsupported(param, message))
        })
    }

    fn max_output_tokens(&self) -> Result<Option<u32>, OpenAiError> {
        let (param, asked) = match self.max_completion_tokens {
            Some(tokens) => ("max_completion_tokens", Some(tokens)),
            None => ("max_tokens", self.max_tokens),
        };
        let Some(tokens) = asked else {
            return Ok(None);
        };
        require(tokens > 0, param, "Give at least 1.")?;
        Ok(Some(u32::try_from(tokens).unwrap_or(u32::MAX)))
    }
}

fn stops(stop: Option<OneOrMore>) -> Result<Vec<String>, OpenAiError> {
    let stops = match stop {
        None => Vec::new(),
        Some(OneOrMore::One(text)) => vec![text],
        Some(OneOrMore::More(texts)) => texts,
    };
    let fits = stops.len() <= MOST_STOPS && stops.iter().all(|text| text.len() <= LONGEST_STOP);
    require(fits, "stop", "Give at most 4 texts of at most 256 bytes.")?;
    Ok(stops)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use stoa_app::completions::said;
    use stoa_domain::MessageRole;

    fn parsed(body: Value) -> Result<CompletionRequest, String> {
        let new: NewCompletion = serde_json::from_value(body).unwrap();
        let document = |error: OpenAiError| serde_json::to_value(error.document()).unwrap();
        new.parse()
            .map_err(|error| document(error)["error"]["param"].to_string())
    }

    #[test]
    fn what_the_libraries_send_is_understood() {
        let request = parsed(json!({
            "model": "stoa", "n": 1, "user": "u", "seed": 7, "parallel_tool_calls": true,
            "response_format": {"type": "text"}, "max_tokens": 5, "max_completion_tokens": 9,
            "stop": "END", "tools": [], "tool_choice": "auto",
            "messages": [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "x"},
                {"role": "assistant", "content": null, "refusal": null},
                {"role": "system", "content": "And kind."},
                {"role": "user", "content": "c"},
            ],
        }))
        .unwrap();
        assert_eq!(request.context, "Be brief.\n\nAnd kind.");
        let expected = [
            said(MessageRole::User, "a\nb"),
            said(MessageRole::Assistant, ""),
            said(MessageRole::User, "c"),
        ];
        assert_eq!(request.messages, expected);
        assert_eq!(
            (request.max_output_tokens, request.stop),
            (Some(9), vec!["END".to_owned()])
        );
    }

    #[test]
    fn a_conversation_of_instructions_only_asks_by_the_last_of_them() {
        let system = |text: &str| json!({"role": "system", "content": text});
        let request =
            parsed(json!({"model": "m", "messages": [system("Be kind."), system("Say hello.")]}));
        let request = request.unwrap();
        assert_eq!(request.context, "Be kind.");
        assert_eq!(request.messages, [said(MessageRole::User, "Say hello.")]);
    }

    #[test]
    fn what_is_wrong_or_not_supported_is_named() {
        let with = |name: &str, value: Value| {
            let mut body = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
            body[name] = value;
            parsed(body).unwrap_err()
        };
        for (name, value) in [
            ("n", json!(2)),
            ("temperature", json!(2.5)),
            ("max_tokens", json!(0)),
            ("stop", json!(["a", "b", "c", "d", "e"])),
            ("logprobs", json!(true)),
            ("response_format", json!({"type": "grammar"})),
            ("function_call", json!("auto")),
            ("modalities", json!(["text", "audio"])),
            ("functions", json!([])),
            ("messages", json!([])),
        ] {
            assert_eq!(with(name, value), format!("\"{name}\""));
        }
        let image = json!([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]);
        assert_eq!(with("messages", image), "\"messages[0].content[0]\"");
        let role = json!([{"role": "wizard", "content": "a"}]);
        assert_eq!(with("messages", role), "\"messages[0].role\"");
        let nul = json!([{"role": "user", "content": "a\u{0}"}]);
        assert_eq!(with("messages", nul), "\"messages[0].content\"");
    }
}
