//! Whether anything of a client's is in a database yet, and giving back one in which nothing is.

use postgres_types::Type;
use stoa_domain::InstanceId;

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

/// Takes the marker of `instance` out of its database, which is nobody's from then on. For an
/// instance that did not come to be: whatever else the database holds stays. False when the
/// marker is not there.
pub async fn release(
    connection: &ClientConnection,
    instance: InstanceId,
) -> Result<bool, ClientDbError> {
    let changed = connection
        .execute(
            "DELETE FROM stoa.stoa_instance WHERE instance_id = $1",
            &[(&instance.as_uuid(), Type::UUID)],
        )
        .await?;
    Ok(changed == 1)
}
