//! What tools there are for a conversation: those that are described, enabled and fit to be called.
//! Loaded with what else an instance's database says of how it answers.

use serde_json::{Map, Value};
use stoa_client_db::mcp_servers::{self, StoredMcpServer};
use stoa_client_db::tools::{self, StoredTool, ToolSettings};
use stoa_client_db::{ClientConnection, ClientDbError};
use stoa_domain::seal::DataKey;
use stoa_domain::{InstanceId, ToolEffect, Violation};
use stoa_tools::Outcome;
use stoa_tools::http::{Description, HttpTool};
use uuid::Uuid;

use super::endpoint::Endpoint;
use super::mcp::{McpTool, name_for_models};
use super::open;
use crate::App;

/// How many tools the provider that takes fewest takes.
const MOST_OFFERED: usize = 128;

/// Every tool that may be called, each under a name of its own.
#[derive(Default)]
pub struct Toolbox {
    tools: Vec<BoxedTool>,
}

/// Which tools a model is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offered {
    /// All of them.
    All,
    /// Those that change nothing: for an asker who cannot be asked back.
    ReadsOnly,
}

/// A tool, whatever kind it is.
pub struct BoxedTool {
    name: String,
    description: String,
    /// The JSON schema of its arguments, as the model is told.
    schema: Value,
    effect: ToolEffect,
    host: String,
    kind: Kind,
}

/// How a call is made.
enum Kind {
    Http(HttpTool),
    Mcp(McpTool),
}

impl Toolbox {
    /// Reads them. A tool that is switched off, does not open or is not right is left out, and the
    /// latter two are logged: the others can still be called.
    ///
    /// # Errors
    /// When the client's database fails.
    pub async fn load(
        connection: &ClientConnection,
        instance: InstanceId,
        key: &DataKey,
    ) -> Result<Self, ClientDbError> {
        let mut toolbox = Self::default();
        for stored in tools::list(connection).await? {
            if stored.settings.enabled {
                toolbox.put(BoxedTool::described(stored, instance, key));
            }
        }
        for stored in mcp_servers::in_use(connection).await? {
            for tool in BoxedTool::served(&stored, instance, key) {
                toolbox.put(Some(tool));
            }
        }
        Ok(toolbox)
    }

    /// Whether there is nothing to call.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tools.is_empty()
    }

    /// What a model is told.
    #[must_use]
    pub fn offered(&self, only: Offered) -> Vec<stoa_ai::Tool> {
        let fits = |tool: &&BoxedTool| only == Offered::All || tool.effect == ToolEffect::Read;
        self.tools
            .iter()
            .filter(fits)
            .map(|tool| stoa_ai::Tool {
                name: tool.name.clone(),
                description: tool.description.clone(),
                schema: tool.schema.clone(),
                strict: false,
            })
            .collect()
    }

    /// The tool of this name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&BoxedTool> {
        self.tools.iter().find(|tool| tool.name == name)
    }

    /// Adds a tool, unless its name is taken, since a model could not tell the two apart, or there
    /// are as many as a model can be told of.
    fn put(&mut self, tool: Option<BoxedTool>) {
        if let Some(tool) = tool
            && self.tools.len() < MOST_OFFERED
            && self.find(&tool.name).is_none()
        {
            self.tools.push(tool);
        }
    }
}

impl BoxedTool {
    /// A tool that the client described; `None` when what is stored does not open or is not right.
    fn described(stored: StoredTool, instance: InstanceId, key: &DataKey) -> Option<Self> {
        let endpoint = open(&stored, instance, key)?;
        let StoredTool { id, settings, .. } = stored;
        let tool = described(&settings, endpoint);
        let Ok(tool) = tool else {
            tracing::error!(%instance, tool = %id, "a tool is not stored as it was saved");
            return None;
        };
        Some(Self {
            name: settings.name,
            description: settings.description,
            schema: tool.schema().clone(),
            effect: tool.effect(),
            host: tool.host().to_owned(),
            kind: Kind::Http(tool),
        })
    }

    /// The tools of an MCP server that somebody has allowed.
    fn served(stored: &StoredMcpServer, instance: InstanceId, key: &DataKey) -> Vec<Self> {
        let Some(endpoint) = crate::mcp_servers::open(stored, instance, key) else {
            return Vec::new();
        };
        let server = crate::mcp_servers::server(&endpoint, stored.version.clone());
        let Ok(server) = server else {
            tracing::error!(%instance, server = %stored.id, "an MCP server is not stored as it was saved");
            return Vec::new();
        };
        let tools = crate::mcp_servers::in_use(stored).into_iter();
        let tools = tools.filter_map(|(offered, effect)| {
            let tool = McpTool::new(&server, &offered)?;
            Some(Self {
                name: name_for_models(&stored.settings.name, &offered.name),
                description: offered.description,
                schema: tool.schema().clone(),
                effect,
                host: tool.host().to_owned(),
                kind: Kind::Mcp(tool),
            })
        });
        tools.collect()
    }

    /// What the model calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether a call changes something.
    #[must_use]
    pub const fn effect(&self) -> ToolEffect {
        self.effect
    }

    /// Where a call goes, for the visitor who is asked: the host, nothing secret.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether arguments fit, before anybody is asked or anything is sent.
    ///
    /// # Errors
    /// What is wrong with them, as the model is told.
    pub fn check(&self, input: &Map<String, Value>) -> Result<(), Outcome> {
        match &self.kind {
            Kind::Http(tool) => tool.destination(input).map(drop),
            Kind::Mcp(tool) => tool.check(input),
        }
    }

    /// Runs a call; never fails otherwise than by its outcome. `call_id` goes out as
    /// `Idempotency-Key` where it writes.
    pub async fn run(&self, app: &App, input: &Map<String, Value>, call_id: Uuid) -> Outcome {
        let key = (self.effect == ToolEffect::Write).then_some(call_id);
        match &self.kind {
            Kind::Http(tool) => tool.call(app.outbound(), input, key).await,
            Kind::Mcp(tool) => tool.call(app, input, key).await,
        }
    }
}

/// The tool that stored settings describe, examined anew: what a client's database says is data.
pub(super) fn described(
    settings: &ToolSettings,
    endpoint: Endpoint,
) -> Result<HttpTool, Vec<Violation>> {
    HttpTool::parse(Description {
        name: settings.name.clone(),
        description: settings.description.clone(),
        method: settings.method,
        effect: settings.effect,
        url: endpoint.url,
        headers: endpoint.headers,
        parameters: settings.parameters.clone(),
        timeout_ms: settings.timeout_ms,
    })
}
