//! A tool of an MCP server, as it is called for a conversation.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use stoa_client_db::mcp_servers::OfferedTool;
use stoa_tools::Outcome;
use stoa_tools::mcp::{self, Call, Server};
use stoa_tools::schema::{Schema, misfits};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::App;

/// The longest name that every provider takes.
const LONGEST_NAME: usize = 64;
/// How much of a hash tells two names apart that look the same once they are cleaned.
const HASH_CHARACTERS: usize = 6;

/// A tool of an MCP server.
pub(super) struct McpTool {
    server: Arc<Server>,
    /// What the server calls it.
    name: String,
    schema: Arc<Schema>,
}

impl McpTool {
    /// `None` where the schema is not what could have been stored.
    pub(super) fn new(server: &Arc<Server>, tool: &OfferedTool) -> Option<Self> {
        let schema = Schema::of_others(tool.parameters.clone()).ok()?;
        Some(Self {
            server: Arc::clone(server),
            name: tool.name.clone(),
            schema: Arc::new(schema),
        })
    }

    pub(super) fn schema(&self) -> &Value {
        self.schema.as_value()
    }

    pub(super) fn host(&self) -> &str {
        self.server.host()
    }

    /// Whether arguments fit.
    pub(super) fn check(&self, input: &Map<String, Value>) -> Result<(), Outcome> {
        self.schema.check(input).map_err(|wrong| misfits(&wrong))
    }

    /// Makes a call in a task of its own, so that the server is told when it is given up: whoever
    /// waits for it may be gone at any moment.
    pub(super) async fn call(
        &self,
        app: &App,
        input: &Map<String, Value>,
        idempotency_key: Option<Uuid>,
    ) -> Outcome {
        let given_up = CancellationToken::new();
        let waiting = given_up.clone().drop_guard();
        let (tell, told) = oneshot::channel();
        let (outbound, server) = (app.outbound().clone(), Arc::clone(&self.server));
        let (name, schema) = (self.name.clone(), Arc::clone(&self.schema));
        let arguments = input.clone();
        app.tasks().spawn(async move {
            let call = Call {
                tool: &name,
                schema: &schema,
                arguments: &arguments,
                idempotency_key,
            };
            let given_up = given_up.cancelled_owned();
            let (outcome, farewell) = mcp::call(&outbound, &server, &call, given_up).await;
            // Where nobody waits any more, nobody is told.
            tell.send(outcome).ok();
            farewell.say().await;
        });
        let outcome = told.await;
        drop(waiting);
        outcome
            .unwrap_or_else(|_| Outcome::failed("answer_broken", "The call broke off.".to_owned()))
    }
}

/// What a model calls a tool of a server: both names, of the characters that every provider takes.
/// One that had to be changed for that ends in a hash, so that no two tools get the same.
pub(super) fn name_for_models(server: &str, tool: &str) -> String {
    let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
    let whole = format!("{server}__{tool}");
    if whole.len() <= LONGEST_NAME && whole.chars().all(is_plain) {
        return whole;
    }
    let clean = whole.chars().map(|it| if is_plain(it) { it } else { '_' });
    let room = LONGEST_NAME - HASH_CHARACTERS - "_".len();
    let clean: String = clean.take(room).collect();
    let hash = Sha256::digest(tool.as_bytes());
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{clean}_{}", &hash[..HASH_CHARACTERS])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_every_provider_and_stay_apart() {
        assert_eq!(name_for_models("crm", "find_order"), "crm__find_order");
        assert_eq!(name_for_models("crm", "find-order"), "crm__find-order");
        let others = ["find.order", "find/order", "find_order ", "findörder"];
        let mut names: Vec<String> = others.iter().map(|it| name_for_models("crm", it)).collect();
        let long = "x".repeat(100);
        names.extend([
            name_for_models("crm", &long),
            name_for_models("crm", &format!("{long}y")),
        ]);
        let is_plain = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '-');
        for name in &names {
            assert!(name.len() <= 64 && name.chars().all(is_plain), "{name}");
            assert!(name.starts_with("crm__"), "{name}");
        }
        names.sort();
        names.dedup();
        assert_eq!(names.len(), 6);
    }
}
