//! Statements that differ between the schema of this program and the one before, which a database
//! has until it is next brought up to date.

use crate::connection::ClientConnection;

/// A statement in the wording of each schema that may be met. Both take the same parameters and
/// give the same columns.
pub(crate) struct Versioned {
    /// For the schema before.
    pub(crate) before: &'static str,
    /// For the schema from this version on.
    pub(crate) since: (i32, &'static str),
}

impl Versioned {
    /// The wording for the database behind this connection.
    pub(crate) fn on(&self, connection: &ClientConnection) -> &'static str {
        let (version, statement) = self.since;
        if connection.schema_version() >= version {
            statement
        } else {
            self.before
        }
    }
}
