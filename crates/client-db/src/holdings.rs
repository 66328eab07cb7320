//! Whether anything of a client's is in a database yet, and giving back one in which nothing is.

use postgres_types::Type;
use stoa_domain::InstanceId;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
    versioned::Versioned,
};

/// Asks whether there is a row in any of the tables of every schema, or of these.
macro_rules! any_row {
    ($($more:literal),*) => {
        concat!(
            "SELECT EXISTS (SELECT FROM stoa.chat_sessions)
                 OR EXISTS (SELECT FROM stoa.client_users)
                 OR EXISTS (SELECT FROM stoa.documents)
                 OR EXISTS (SELECT FROM stoa.live_configurations)
                 OR EXISTS (SELECT FROM stoa.rag_instructions)
                 OR EXISTS (SELECT FROM stoa.api_configurations)
                 OR EXISTS (SELECT FROM stoa.webhooks)
                 OR EXISTS (SELECT FROM stoa.api_keys)",
            $(" OR EXISTS (SELECT FROM stoa.", $more, ")",)*
            " AS anything"
        )
    };
}

/// The tables that came with tools and budgets are asked where they are.
const ANYTHING: Versioned = Versioned {
    before: any_row!(),
    since: (3, any_row!("tools", "mcp_servers", "budgets")),
};

/// Whether the database holds anything that somebody put there: conversations, people, documents,
/// settings, providers, tools or budgets. An instance whose database holds nothing can move without losing it.
pub async fn holds_anything(connection: &ClientConnection) -> Result<bool, ClientDbError> {
    let rows = connection.query(ANYTHING.on(connection), &[]).await?;
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
