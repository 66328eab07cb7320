//! HTTP calls that a client describes: an address with placeholders, headers, and a JSON schema of
//! the arguments.

mod address;
mod call;
mod description;

use serde_json::{Map, Value};
use stoa_domain::{ToolEffect, ToolMethod, Violation};
use stoa_outbound::Outbound;
use url::Url;
use uuid::Uuid;

pub use description::{Description, is_name};

use crate::Outcome;
use crate::door::{AddressRefused, judge};
use crate::headers::Headers;
use crate::schema::Schema;
use crate::secrets::Secrets;
use address::Address;

/// A tool that can be called.
pub struct HttpTool {
    method: ToolMethod,
    effect: ToolEffect,
    address: Address,
    headers: Headers,
    schema: Schema,
    timeout_ms: u32,
}

impl HttpTool {
    /// Examines a description.
    ///
    /// # Errors
    /// Every field that is not right.
    pub fn parse(description: Description) -> Result<Self, Vec<Violation>> {
        description::examine(description)
    }

    /// The JSON schema of its arguments, as a model is told.
    #[must_use]
    pub const fn schema(&self) -> &Value {
        self.schema.as_value()
    }

    /// Whether a call changes something.
    #[must_use]
    pub const fn effect(&self) -> ToolEffect {
        self.effect
    }

    /// Where a call goes.
    #[must_use]
    pub fn host(&self) -> &str {
        self.address.host()
    }

    /// Judges where calls go, so far as can be said without resolving the name. It is judged again
    /// when one is made.
    ///
    /// # Errors
    /// Why no call is made there.
    pub fn judge(&self, outbound: &Outbound) -> Result<(), AddressRefused> {
        judge(outbound, self.address.sample())
    }

    /// The address that a call with these arguments goes to.
    ///
    /// # Errors
    /// What is wrong with the arguments, as the model is told.
    pub fn destination(&self, input: &Map<String, Value>) -> Result<Url, Outcome> {
        self.prepare(input).map(|prepared| prepared.url)
    }

    /// Makes a call, and says what came of it. Nothing is sent unless the arguments fit.
    pub async fn call(
        &self,
        outbound: &Outbound,
        input: &Map<String, Value>,
        idempotency_key: Option<Uuid>,
    ) -> Outcome {
        match self.prepare(input) {
            Ok(prepared) => self.send(outbound, prepared, idempotency_key).await,
            Err(refused) => refused,
        }
    }

    /// A text without what is secret of this tool.
    #[must_use]
    pub fn without_secrets(&self, text: &str) -> String {
        self.secrets().taken_out_of(text.to_owned())
    }

    /// What is taken out of everything that its server says.
    fn secrets(&self) -> Secrets {
        let address = self.address.secrets();
        let address = Secrets::of(address.iter().map(String::as_str));
        self.headers.secrets().and(address)
    }
}
