//! Whether anything of a client's is in a database yet.

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
};

/// Whether the database holds anything that somebody put there: conversations, people, documents,
/// settings or providers. An instance whose database holds nothing can move without losing it.
pub async fn holds_anything(connection: &ClientConnection) -> Result<bool, ClientDbError> {
    let rows = connection
        .query(
            "SELECT EXISTS (SELECT FROM stoa.chat_sessions)
                 OR EXISTS (SELECT FROM stoa.client_users)
                 OR EXISTS (SELECT FROM stoa.documents)
                 OR EXISTS (SELECT FROM stoa.live_configurations)
                 OR EXISTS (SELECT FROM stoa.rag_instructions)
                 OR EXISTS (SELECT FROM stoa.api_configurations)
                 OR EXISTS (SELECT FROM stoa.webhooks)
                 OR EXISTS (SELECT FROM stoa.api_keys) AS anything",
            &[],
        )
        .await?;
    one(&rows, |row| column(row, "anything"))?.ok_or(ClientDbError::Unreadable { what: "holdings" })
}
