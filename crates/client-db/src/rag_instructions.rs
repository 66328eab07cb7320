//! How the bot answers.

use chrono::{DateTime, Utc};
use postgres_types::Type;
use stoa_domain::RagInstructions;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{json, one},
};

/// The instructions; `None` before they were first set.
pub async fn get(connection: &ClientConnection) -> Result<Option<RagInstructions>, ClientDbError> {
    let rows = connection
        .query("SELECT instructions FROM stoa.rag_instructions", &[])
        .await?;
    one(&rows, |row| json(row, "instructions"))
}

/// Replaces the instructions.
pub async fn put(
    connection: &ClientConnection,
    instructions: &RagInstructions,
    now: DateTime<Utc>,
) -> Result<(), ClientDbError> {
    let instructions =
        serde_json::to_value(instructions).map_err(|_| ClientDbError::Unreadable {
            what: "instructions",
        })?;
    connection
        .execute(
            "INSERT INTO stoa.rag_instructions (instructions, updated_at) VALUES ($1, $2)
             ON CONFLICT (only_row) DO UPDATE
             SET instructions = excluded.instructions, updated_at = excluded.updated_at",
            &[(&instructions, Type::JSONB), (&now, Type::TIMESTAMPTZ)],
        )
        .await?;
    Ok(())
}
