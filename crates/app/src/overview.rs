//! What a client's console shows first: where the instance stands and what is left to do.

use stoa_client_db::{PageRequest, documents};

use crate::App;
use crate::access::ClientCaller;
use crate::database::DatabaseError;

/// What is done of the way to a working chat. What lies in the client's database counts as not done
/// while that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// A database is connected.
    pub database: bool,
    /// An AI configuration has passed its test.
    pub ai: bool,
    /// There is a document.
    pub knowledge: bool,
    /// The settings were changed at least once.
    pub appearance: bool,
    /// A site may embed the chat.
    pub site: bool,
}

/// How far an instance is.
pub async fn progress(app: &App, caller: &ClientCaller) -> Progress {
    let row = caller.registered().row();
    let known = Progress {
        database: row.database.address_sealed.is_some(),
        ai: row.ai_ready_at.is_some(),
        ..Progress::default()
    };
    match in_client_database(app, caller, known).await {
        Ok(progress) => progress,
        Err(error) => {
            tracing::debug!(instance = %caller.instance(), %error, "progress is shown without the client's database");
            known
        }
    }
}

async fn in_client_database(
    app: &App,
    caller: &ClientCaller,
    known: Progress,
) -> Result<Progress, DatabaseError> {
    let contents = app.contents(caller.registered()).await?;
    let connection = app.checkout(caller.registered()).await?;
    let one = PageRequest {
        limit: 1,
        after: None,
    };
    let found = documents::list(&connection, None, &one).await?;
    Ok(Progress {
        knowledge: !found.data.is_empty(),
        appearance: contents.live_version > 0,
        site: !contents.live.access.origins().is_empty(),
        ..known
    })
}
