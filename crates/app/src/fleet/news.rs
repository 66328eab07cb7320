//! What is learned of a schema when somebody first uses a database, written to the registry.

use std::sync::Arc;

use stoa_client_db::SchemaNews;

use super::attempt;
use crate::App;

/// Keeps account until shutdown. Only the first to ask gets the news; there is one per process.
pub(crate) async fn keep_account(app: Arc<App>) {
    let Some(mut news) = app.clients().schema_news() else {
        return;
    };
    loop {
        let learned = tokio::select! {
            learned = news.recv() => learned,
            () = app.shutdown().cancelled() => return,
        };
        let Some(SchemaNews {
            instance,
            generation,
            outcome,
        }) = learned
        else {
            return;
        };
        if let Err(trouble) = &outcome {
            attempt::log(instance, trouble);
        }
        let noted = attempt::note(&app, instance, generation, outcome.as_ref().copied()).await;
        if let Err(error) = noted {
            // The sweep comes by the database and learns the same.
            tracing::warn!(%instance, %error, "what was learned of a client's schema was not noted");
        }
    }
}
