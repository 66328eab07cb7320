//! Tools that a model may ask to be called.
//!
//! A model never calls anything itself. It is told which [`Tool`]s there are, may end its answer
//! with [`ToolCall`]s ([`crate::Ending::ToolCalls`]), and whoever asked it decides what becomes of
//! them. The loop is the caller's and needs nothing of any wire format:
//!
//! 1. Ask with [`crate::ChatRequest::tools`].
//! 2. Pass on [`crate::AnswerEvent::Text`] as usual, and gather each
//!    [`crate::AnswerEvent::ToolCall`]. The events before it, which show a call as it is written,
//!    are for people to look at only.
//! 3. If the answer finished for any other reason than `ToolCalls`, it is the answer.
//! 4. Run what was asked for, within bounds of one's own. What does not parse
//!    ([`ToolCall::input`]), is not known, or fails is a [`ToolResult`] too, with
//!    [`ToolResult::is_error`], so that the model can try again.
//! 5. Append one [`crate::Message::Called`] with the text and every call of this answer, then a
//!    [`crate::Message::Returned`] for each call, and ask again; so many times at most.
//!
//! The conversation may be handed to another provider between two rounds: ids are unique within
//! it, and each format writes them as its provider accepts them.

use serde_json::{Map, Value};

/// A tool that is offered to a model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    /// Letters, digits, `_` and `-`, at most 64: what every provider takes.
    pub name: String,
    /// What it does and when to use it.
    pub description: String,
    /// The JSON schema of its arguments, which are an object.
    pub schema: Value,
    /// Whether the provider is to hold the model to the schema. Those that can take fewer schemas
    /// then, and say so; those that cannot are not asked to.
    pub strict: bool,
}

/// Whether the model may call tools, or must.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ToolChoice {
    /// As it sees fit.
    #[default]
    Auto,
    /// It may not, though the conversation has calls.
    None,
    /// At least one, whichever.
    Required,
    /// This one.
    Named(String),
}

/// A call that a model asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolCall {
    /// The provider's id of it, or one made up where the provider has none. Unique within a
    /// conversation.
    pub id: String,
    /// The tool's name as the model wrote it, which may be none of those that were offered.
    pub name: String,
    /// The arguments as the model wrote them, bounded, and perhaps no JSON at all.
    pub arguments: String,
    /// What the provider wants to see again with this call, and means nothing to anybody else:
    /// Gemini's thought signature, or what a model of DeepSeek's thought before it.
    pub signature: Option<String>,
}

/// What a signature begins with that is thoughts; one of Gemini's is base64 and has no colon.
const THOUGHTS: &str = "thoughts:";

impl ToolCall {
    /// Gemini's signature.
    #[must_use]
    pub fn thought_signature(&self) -> Option<&str> {
        let signature = self.signature.as_deref();
        signature.filter(|it| !it.starts_with(THOUGHTS))
    }

    /// What the model thought before the call.
    pub(crate) fn thoughts(&self) -> Option<&str> {
        self.signature.as_deref()?.strip_prefix(THOUGHTS)
    }

    pub(crate) fn signature_of(thoughts: &str) -> Option<String> {
        (!thoughts.is_empty()).then(|| format!("{THOUGHTS}{thoughts}"))
    }
}

/// The arguments of a call are no JSON object.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the arguments of the call are no JSON object")]
pub struct InvalidArguments;

impl ToolCall {
    /// The arguments, parsed. A call without any has an empty object.
    ///
    /// # Errors
    ///
    /// When the model wrote something else than a JSON object. Tell it so in the result.
    pub fn input(&self) -> Result<Map<String, Value>, InvalidArguments> {
        if self.arguments.trim().is_empty() {
            return Ok(Map::new());
        }
        serde_json::from_str(&self.arguments).map_err(|_| InvalidArguments)
    }

    /// The arguments as an object, for formats that carry nothing else: what is none is quoted in
    /// one, so that the model sees what it wrote.
    pub(crate) fn input_or_quoted(&self) -> Map<String, Value> {
        self.input().unwrap_or_else(|_| {
            let quoted = Value::String(self.arguments.clone());
            Map::from_iter([("invalid_arguments".to_owned(), quoted)])
        })
    }
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    /// The call's id.
    pub call_id: String,
    /// The tool's name; Gemini goes by it.
    pub name: String,
    /// What the tool gave, as text or JSON.
    pub content: String,
    /// Whether it failed.
    pub is_error: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(arguments: &str) -> ToolCall {
        ToolCall {
            id: "a".to_owned(),
            name: "search".to_owned(),
            arguments: arguments.to_owned(),
            signature: None,
        }
    }

    #[test]
    fn arguments_are_an_object_or_a_value_that_says_they_are_not() {
        assert_eq!(call(r#"{"q":"é"}"#).input().unwrap()["q"], "é");
        assert!(call(" ").input().unwrap().is_empty());
        for wrong in ["{", "[]", "7", "null", "{} {}"] {
            assert_eq!(call(wrong).input(), Err(InvalidArguments), "{wrong}");
            assert_eq!(call(wrong).input_or_quoted()["invalid_arguments"], wrong);
        }
    }
}
