//! How answers are made: the bot's instructions and its use of the documents.

use stoa_client_db::{ClientDbError, rag_instructions};
use stoa_domain::{RagInstructions, Violation};

use crate::App;
use crate::access::ClientCaller;
use crate::chat::prompt::variables;
use crate::database::DatabaseError;

/// Why instructions were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RagInstructionsError {
    /// A field is wrong.
    #[error("the instructions are not right")]
    Invalid(Vec<Violation>),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
}

impl From<ClientDbError> for RagInstructionsError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

/// The instructions, or what stands in for them before they were first set.
///
/// # Errors
/// When the client's database fails.
pub async fn get(
    app: &App,
    caller: &ClientCaller,
) -> Result<RagInstructions, RagInstructionsError> {
    let connection = app.checkout(caller.registered()).await?;
    Ok(rag_instructions::get(&connection)
        .await?
        .unwrap_or_default())
}

/// What may not be meant in instructions that are right all the same: variables that are none.
#[must_use]
pub fn warnings(instructions: &RagInstructions) -> Vec<Violation> {
    let known = variables::KNOWN
        .map(|name| format!("{{{{{name}}}}}"))
        .join(", ");
    let unknown = variables::unknown(&instructions.system_prompt).into_iter();
    unknown
        .map(|name| Violation {
            field: "system_prompt".to_owned(),
            message: format!(
                "{{{{{name}}}}} is no variable and stays as it is written; there are {known}"
            ),
        })
        .collect()
}

/// Replaces the instructions, for every answer from now on.
///
/// # Errors
/// When a field is wrong, or the client's database fails.
pub async fn put(
    app: &App,
    caller: &ClientCaller,
    instructions: RagInstructions,
) -> Result<RagInstructions, RagInstructionsError> {
    instructions
        .validate()
        .map_err(RagInstructionsError::Invalid)?;
    let connection = app.checkout(caller.registered()).await?;
    rag_instructions::put(&connection, &instructions, app.clock().now()).await?;
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    Ok(instructions)
}
