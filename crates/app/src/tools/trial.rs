//! Calling a tool to see whether it works. It is a real call: what the tool changes is changed.

use std::time::{Duration, Instant};

use serde_json::{Map, Value};
use stoa_domain::{ToolEffect, ToolId, ToolMethod};
use stoa_tools::Outcome;
use stoa_tools::http::HttpTool;

use super::toolbox::described;
use super::{ToolError, opened, stored};
use crate::App;
use crate::access::ClientCaller;

/// How a call went.
pub struct Trial {
    /// What the model would have been told.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
    /// Where it went; `None` when nothing was sent.
    pub sent_to: Option<SentTo>,
}

/// Where a call went, without what may be secret in it.
pub struct SentTo {
    /// The method.
    pub method: ToolMethod,
    /// The host.
    pub host: String,
    /// The path, with the arguments in it.
    pub path: String,
}

/// Calls a tool, whether it is switched on or not.
///
/// # Errors
/// When there is none with this id, or the client's database fails. That the tool fails is a result,
/// not an error.
pub async fn test(
    app: &App,
    caller: &ClientCaller,
    id: ToolId,
    arguments: &Map<String, Value>,
) -> Result<Trial, ToolError> {
    let connection = app.checkout(caller.registered()).await?;
    let stored = stored(&connection, id).await?;
    drop(connection);
    let method = stored.settings.method;
    let tool = opened(&stored, caller).map(|endpoint| described(&stored.settings, endpoint));
    let Some(Ok(tool)) = tool else {
        return Ok(refused(unusable()));
    };
    let url = match tool.destination(arguments) {
        Ok(url) => url,
        Err(outcome) => return Ok(refused(outcome)),
    };
    let sent_to = SentTo {
        method,
        host: tool.host().to_owned(),
        path: tool.without_secrets(url.path()),
    };
    let started = Instant::now();
    let outcome = call(app, &tool, arguments).await;
    Ok(Trial {
        outcome,
        took: started.elapsed(),
        sent_to: Some(sent_to),
    })
}

async fn call(app: &App, tool: &HttpTool, arguments: &Map<String, Value>) -> Outcome {
    // Not one of the calls of an answer, so its key is its own.
    let key = ToolId::generate(app.clock(), app.random()).as_uuid();
    let key = (tool.effect() == ToolEffect::Write).then_some(key);
    tool.call(app.outbound(), arguments, key).await
}

fn refused(outcome: Outcome) -> Trial {
    Trial {
        outcome,
        took: Duration::ZERO,
        sent_to: None,
    }
}

/// The address was sealed elsewhere: by another deployment that this database was moved from.
fn unusable() -> Outcome {
    let why = "The stored address does not open here. Give it again, with the headers.";
    Outcome::failed("url_needed", why.to_owned())
}
