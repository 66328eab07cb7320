//! Which tools a server has, taken with the bounds that a model's attention and a row have.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::error::McpError;
use super::opening::wants_a_session;
use super::parameters;
use super::session::{Failure, Session, Way};
use crate::reply::told;
use crate::schema::{MOST_BYTES, Schema};
use crate::secrets::Secrets;

/// The most tools of a server.
pub const MOST_TOOLS: usize = 128;

const MOST_PAGES: usize = 16;
const LONGEST_CURSOR: usize = 4 * 1024;
/// What MCP recommends, and what a header can carry.
const LONGEST_NAME: usize = 128;
const DESCRIPTION_BYTES: usize = 2 * 1024;
/// The most bytes of all tools: they lie in one row.
const ALL_BYTES: usize = 512 * 1024;
/// How many of the tools that are left out are named.
const MOST_NAMED: usize = 20;

/// What a server has.
#[derive(Debug)]
pub struct Listing {
    /// The version of MCP that it speaks.
    pub version: &'static str,
    /// Its tools, in its order.
    pub tools: Vec<ListedTool>,
    /// Those that are not among them, the first of them by name.
    pub left_out: Vec<LeftOut>,
}

/// A tool, as its server describes it: without secrets, and bounded.
#[derive(Clone, Debug)]
pub struct ListedTool {
    /// What the server calls it.
    pub name: String,
    /// What it is for. May be empty.
    pub description: String,
    /// What its arguments are.
    pub parameters: Schema,
    /// Whether the server says that it only reads, which is no more than that.
    pub read_only: bool,
}

/// A tool that is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// Its name, where it has one that can be shown.
    pub name: String,
    /// A stable word: `name`, `twice`, `parameters`, `task`, `too_large` or
    /// `too_many`.
    pub reason: &'static str,
}

/// Asks for all pages. A session that is lost meanwhile is opened anew, once.
pub(super) async fn list(session: &mut Session) -> Result<Listing, McpError> {
    session.open().await?;
    match pages(session).await {
        Err(Failure::Other(McpError::SessionLost)) => session.initialize().await?,
        Err(failure) if session.way == Way::Stateless && wants_a_session(&failure) => {
            session.initialize().await?;
        }
        result => return result.map_err(|failure| failure.shown(session.server())),
    }
    let result = pages(session).await;
    result.map_err(|failure| failure.shown(session.server()))
}

async fn pages(session: &mut Session) -> Result<Listing, Failure> {
    let mut taken = Taken::default();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let mut params = Map::new();
        params.extend(cursor.map(|it| ("cursor".to_owned(), it.into())));
        let within = session.left();
        let asked = session.ask("tools/list", params, HeaderMap::new(), within);
        let mut result = asked.await?.result;
        let Some(Value::Array(tools)) = result.remove("tools") else {
            return Err(McpError::Protocol("it lists no tools").into());
        };
        for tool in tools {
            taken.take(&tool, session);
        }
        cursor = match result.remove("nextCursor") {
            Some(Value::String(next)) if next.len() <= LONGEST_CURSOR => Some(next),
            Some(Value::String(_)) => {
                return Err(McpError::Protocol("a page's name is too long").into());
            }
            _ => None,
        };
        if cursor.is_none() || taken.tools.len() >= MOST_TOOLS {
            break;
        }
    }
    if cursor.is_some() {
        taken.leave_out(String::new(), "too_many");
    }
    Ok(Listing {
        version: session.version(),
        tools: taken.tools,
        left_out: taken.left_out,
    })
}

#[derive(Default)]
struct Taken {
    tools: Vec<ListedTool>,
    bytes: usize,
    left_out: Vec<LeftOut>,
}

impl Taken {
    fn take(&mut self, tool: &Value, session: &Session) {
        let secrets = &session.server().secrets;
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        let is_fit = is_name(name) && secrets.taken_out_of(name.to_owned()) == name;
        let name = if is_fit { name } else { "" }.to_owned();
        match self.examine(&name, tool, session) {
            Ok(tool) => self.tools.push(tool),
            Err(reason) => self.leave_out(name, reason),
        }
    }

    fn examine(
        &mut self,
        name: &str,
        tool: &Value,
        session: &Session,
    ) -> Result<ListedTool, &'static str> {
        let secrets = &session.server().secrets;
        if name.is_empty() {
            return Err("name");
        }
        if self.tools.iter().any(|it| it.name == name) {
            return Err("twice");
        }
        if self.tools.len() >= MOST_TOOLS {
            return Err("too_many");
        }
        // A tool that is only to be called as a task of its own, which is not spoken here.
        if tool
            .pointer("/execution/taskSupport")
            .is_some_and(|it| it == "required")
        {
            return Err("task");
        }
        let read_only = tool.pointer("/annotations/readOnlyHint") == Some(&Value::Bool(true));
        let said = ["/description", "/title", "/annotations/title"].into_iter();
        let said = said.filter_map(|it| tool.pointer(it)?.as_str());
        let description = said.map(str::trim).find(|it| !it.is_empty());
        let description = described(description.unwrap_or_default(), secrets);
        // Cleaned as text, so that no field is forgotten.
        let written = tool.get("inputSchema").unwrap_or(&Value::Null).to_string();
        if written.len() > MOST_BYTES {
            return Err("too_large");
        }
        let parameters = serde_json::from_str(&secrets.taken_out_of(written));
        let parameters: Value = parameters.map_err(|_| "parameters")?;
        if !parameters::are_fit(&parameters) {
            return Err("parameters");
        }
        let parameters = Schema::of_others(parameters).map_err(|_| "parameters")?;
        self.bytes += name.len() + description.len() + parameters.as_value().to_string().len();
        if self.bytes > ALL_BYTES {
            return Err("too_large");
        }
        Ok(ListedTool {
            name: name.to_owned(),
            description,
            parameters,
            read_only,
        })
    }

    fn leave_out(&mut self, name: String, reason: &'static str) {
        if self.left_out.len() < MOST_NAMED {
            self.left_out.push(LeftOut { name, reason });
        }
    }
}

/// What a model may be told of a tool, no longer than it should have to read.
fn described(text: &str, secrets: &Secrets) -> String {
    let mut text = told(text, secrets);
    if text.len() > DESCRIPTION_BYTES {
        let end = (0..=DESCRIPTION_BYTES)
            .rev()
            .find(|it| text.is_char_boundary(*it));
        text.truncate(end.unwrap_or_default());
    }
    text
}

fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(|it| it.is_ascii_graphic())
}
