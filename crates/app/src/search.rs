//! Searching the client's documents as a chat turn does.

use std::sync::Arc;

use stoa_client_db::search::Hit;
use stoa_domain::MessageId;
use stoa_platform_db::usage_events::UsageKind;

pub use stoa_client_db::search::Hit as SearchHit;

use crate::App;
use crate::access::ClientCaller;
use crate::budgets::{Payer, Spender};
use crate::chat::retrieval;
use crate::database::DatabaseError;

/// The best passages for a question, best first.
///
/// # Errors
/// When the client's database fails.
pub async fn search(
    app: &Arc<App>,
    caller: &ClientCaller,
    question: &str,
    top_k: Option<u16>,
) -> Result<Vec<Hit>, DatabaseError> {
    let contents = app.contents(caller.registered()).await?;
    let top_k = top_k.unwrap_or_else(|| u16::from(contents.instructions.top_k));
    let query = [question.to_owned()];
    let event = (app.new_id(MessageId::generate), UsageKind::Embedding);
    let (registered, budgets) = (caller.registered(), &contents.budgets);
    let spender = Spender::new(app, registered, budgets, Payer::default(), event);
    let place = (&*contents, &**registered);
    let found = retrieval::find(app, place, &spender, &query, top_k).await;
    if let Some((_, model)) = contents.embedding_endpoint() {
        let model = model.to_owned();
        app.tasks().spawn(async move { spender.count(model).await });
    }
    found
}
