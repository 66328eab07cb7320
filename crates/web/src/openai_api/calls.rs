//! Calls of tools, as OpenAI's API writes them: whole, and in pieces.

use serde::Serialize;
use stoa_app::completions::ToolCall;
use utoipa::ToSchema;

/// A call of one of the caller's tools that the model asks for.
#[derive(Serialize, ToSchema)]
pub(crate) struct CallView {
    /// By which its result is given.
    id: String,
    /// Always `function`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// What is called.
    function: FunctionView,
    /// What the model's provider wants to see again with the call; absent where it wants nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Extra>,
}

/// What is called.
#[derive(Serialize, ToSchema)]
struct FunctionView {
    /// The tool's name as the model wrote it.
    name: String,
    /// The arguments as the model wrote them, which may be no JSON.
    arguments: String,
}

/// What a provider wants to see again, as Google's own OpenAI-compatible API has it.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Extra {
    /// Gemini's.
    google: Google,
}

/// What Gemini wants to see again.
#[derive(Clone, Debug, Serialize, ToSchema)]
struct Google {
    /// What the model thought, sealed.
    thought_signature: String,
}

impl Extra {
    pub(super) fn of(call: &ToolCall) -> Option<Self> {
        let google = |thought_signature| Google { thought_signature };
        let signature = call.thought_signature().map(str::to_owned);
        signature.map(|it| Self { google: google(it) })
    }
}

impl From<ToolCall> for CallView {
    fn from(call: ToolCall) -> Self {
        Self {
            extra_content: Extra::of(&call),
            id: call.id,
            kind: "function",
            function: FunctionView {
                name: call.name,
                arguments: call.arguments,
            },
        }
    }
}

/// A piece of a call in a stream: its id and name first, then its arguments.
#[derive(Default, Serialize)]
pub(super) struct CallDelta {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    function: Option<FunctionDelta>,
    #[serde(skip_serializing_if = "Option::is_none")]
    extra_content: Option<Extra>,
}

#[derive(Serialize)]
struct FunctionDelta {
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    arguments: String,
}

impl CallDelta {
    pub(super) fn start(index: usize, id: String, name: String) -> Self {
        Self {
            index,
            id: Some(id),
            kind: Some("function"),
            function: Some(FunctionDelta {
                name: Some(name),
                arguments: String::new(),
            }),
            extra_content: None,
        }
    }

    pub(super) fn arguments(index: usize, arguments: String) -> Self {
        Self {
            index,
            function: Some(FunctionDelta {
                name: None,
                arguments,
            }),
            ..Self::default()
        }
    }

    /// What is known only when the call is whole; nothing where there is no such thing.
    pub(super) fn rest(index: usize, call: &ToolCall) -> Option<Self> {
        let extra = Extra::of(call)?;
        Some(Self {
            index,
            extra_content: Some(extra),
            ..Self::default()
        })
    }
}
