//! HTTP calls that a client describes.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use stoa_domain::{ToolMethod, Violation};
use stoa_outbound::Outbound;
use uuid::Uuid;

use crate::Outcome;

/// A tool as a person describes it, not examined yet. It holds secrets, so there is no `Debug`.
pub struct Description {
    /// How it is called.
    pub method: ToolMethod,
    /// The address with its placeholders.
    pub url: String,
    /// The headers by name.
    pub headers: BTreeMap<String, String>,
    /// The JSON schema of its arguments.
    pub parameters: Value,
    /// How long a call may take, in milliseconds.
    pub timeout_ms: i32,
}

/// A tool that can be called.
pub struct HttpTool {
    host: String,
    parameters: Value,
}

impl HttpTool {
    /// Examines a description.
    ///
    /// # Errors
    /// Every field that is not right.
    pub fn parse(description: Description) -> Result<Self, Vec<Violation>> {
        let host = url::Url::parse(&description.url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        Ok(Self {
            host,
            parameters: description.parameters,
        })
    }

    /// The JSON schema of its arguments, as a model is told.
    #[must_use]
    pub fn schema(&self) -> Value {
        self.parameters.clone()
    }

    /// Where a call goes.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Makes a call, and says what came of it.
    pub async fn call(
        &self,
        outbound: &Outbound,
        input: &Map<String, Value>,
        idempotency_key: Option<Uuid>,
    ) -> Outcome {
        let _ = (outbound, input, idempotency_key);
        Outcome::failed("unreachable", "HTTP tools are not called yet.".to_owned())
    }
}
