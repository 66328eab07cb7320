//! Tools that a client gives its bot: HTTP calls that the client describes, and remote MCP servers.
//!
//! Here is how a call is made and what may come of it; who may call what, and whether the visitor
//! is asked first, is decided above. Everything goes through `stoa_outbound`, with bounds on time and
//! bytes. A tool's secrets go out with the request and nowhere else: what a tool gives back is freed
//! of them before anybody sees it.

mod door;
pub mod headers;
pub mod http;
pub mod mcp;
pub mod reply;
pub mod schema;
pub mod secrets;

pub use door::AddressRefused;

/// What came of a call, as the model and the visitor are given it: bounded, and free of secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// What the tool gave, or a sentence on why it gave nothing.
    pub content: String,
    /// A stable word where it failed.
    pub error: Option<&'static str>,
}

impl Outcome {
    /// The tool gave this.
    #[must_use]
    pub const fn done(content: String) -> Self {
        Self {
            content,
            error: None,
        }
    }

    /// It gave nothing: `code`, and a sentence that the model can act on.
    #[must_use]
    pub const fn failed(code: &'static str, content: String) -> Self {
        Self {
            content,
            error: Some(code),
        }
    }
}
