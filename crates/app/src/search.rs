//! Searching the client's documents as a chat turn does.

use stoa_client_db::search::Hit;

pub use stoa_client_db::search::Hit as SearchHit;

use crate::App;
use crate::access::ClientCaller;
use crate::chat::retrieval;
use crate::database::DatabaseError;

/// The best passages for a question, best first.
///
/// # Errors
/// When the client's database fails.
pub async fn search(
    app: &App,
    caller: &ClientCaller,
    question: &str,
    top_k: Option<u16>,
) -> Result<Vec<Hit>, DatabaseError> {
    let contents = app.contents(caller.registered()).await?;
    let top_k = top_k.unwrap_or_else(|| u16::from(contents.instructions.top_k));
    let query = [question.to_owned()];
    retrieval::find(app, &contents, caller.registered(), &query, top_k).await
}
