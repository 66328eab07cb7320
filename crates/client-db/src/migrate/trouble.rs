//! Why a database could not be brought up to date, in words for whoever must mend it.

use serde::{Deserialize, Serialize};
use tokio_postgres::error::SqlState;

use crate::{address::DatabaseAddress, error::ClientDbError, provision::quoted};

/// A failure, fit to be stored on the platform's side and shown: our own words, the SQLSTATE and
/// names from the address, and nothing that the server said, which could hold a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaTrouble {
    /// A stable word.
    pub code: String,
    /// What went wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

const IT_IS_TRIED_AGAIN: &str = "It is tried again by itself.";

impl SchemaTrouble {
    /// What `error` means for the database at `address`.
    #[must_use]
    pub fn of(error: &ClientDbError, address: &DatabaseAddress) -> Self {
        match error {
            ClientDbError::Migration { version, source } => {
                let what = match version {
                    0 => "no migration was begun".to_owned(),
                    version => format!("migration {version} was not applied"),
                };
                Self::of_statement(&what, source, address)
            }
            ClientDbError::ForeignMigration { version } => Self::new(
                "schema_foreign_migration",
                format!(
                    "migration {version} in the database is not the one that this program knows under this number"
                ),
                "Run the build of Stoa that this database was last used with, or restore the schema `stoa` from a backup. Nothing is applied as long as stoa.schema_migrations holds another checksum.",
            ),
            ClientDbError::SchemaTooNew { version, newest } => Self::new(
                "schema_too_new",
                format!(
                    "the database is at schema version {version}; this program works with versions up to {newest}"
                ),
                "Run the version of Stoa that this database was last used with, or a newer one.",
            ),
            ClientDbError::Statement(_) => {
                Self::of_statement("the schema was not looked into", error, address)
            }
            ClientDbError::Mismatch => Self::new(
                "database_mismatch",
                "the database carries the marker of another instance".to_owned(),
                "Give this instance the address of its own database.",
            ),
            other => Self::new(
                other.code(),
                "the database could not be reached or asked".to_owned(),
                format!("Look whether it is up and lets Stoa in. {IT_IS_TRIED_AGAIN}"),
            ),
        }
    }

    fn of_statement(what: &str, error: &ClientDbError, address: &DatabaseAddress) -> Self {
        let Some(state) = error.sqlstate() else {
            return match error {
                ClientDbError::Timeout(_) => Self::too_slow(what),
                other => Self::new(
                    other.code(),
                    format!("{what}: the connection failed"),
                    format!("Look whether the database is up. {IT_IS_TRIED_AGAIN}"),
                ),
            };
        };
        let is = |known: &SqlState| state == known.code();
        if is(&SqlState::LOCK_NOT_AVAILABLE) {
            Self::new(
                "schema_lock_not_available",
                format!("{what}: another session holds a lock that it needs"),
                format!(
                    "{IT_IS_TRIED_AGAIN} To see who holds it: SELECT pid, usename, application_name, state, xact_start FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL ORDER BY xact_start; the oldest is the likely one. End its transaction, or SELECT pg_terminate_backend(pid)."
                ),
            )
        } else if is(&SqlState::INSUFFICIENT_PRIVILEGE) {
            Self::new(
                "schema_insufficient_privilege",
                format!("{what}: the role may not do what it needs"),
                ownership_sql(address.user(), address.database()),
            )
        } else if is(&SqlState::DISK_FULL) {
            Self::new(
                "schema_disk_full",
                format!("{what}: the database's disk is full"),
                format!("Make room on the disk of the database. {IT_IS_TRIED_AGAIN}"),
            )
        } else if is(&SqlState::READ_ONLY_SQL_TRANSACTION) {
            Self::new(
                "schema_read_only",
                format!("{what}: the database is read-only"),
                format!(
                    "Is this the address of a replica, or has the host made it read-only for want of disk? Give Stoa the address of the primary, or run: ALTER DATABASE {} SET default_transaction_read_only = off; {IT_IS_TRIED_AGAIN}",
                    quoted(address.database())
                ),
            )
        } else if is(&SqlState::QUERY_CANCELED) {
            Self::too_slow(what)
        } else {
            Self::new(
                "schema_migration_failed",
                format!("{what}: the database answered with SQLSTATE {state}"),
                "The database is as it was. `stoa instance migrate SLUG --dry-run` prints the SQL; the database's own log says what it met. Report it with the version of Stoa if the schema `stoa` was not changed by others.",
            )
        }
    }

    fn too_slow(what: &str) -> Self {
        Self::new(
            "schema_too_slow",
            format!("{what}: it took longer than a migration may take"),
            "Run `stoa instance migrate SLUG` at a quiet time of this client's.",
        )
    }

    fn new(code: &str, message: String, remedy: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message,
            remedy: remedy.into(),
        }
    }
}

/// SQL that gives `user` what it had when its role was made: the schema and everything in it.
fn ownership_sql(user: &str, database: &str) -> String {
    let (role, literal) = (quoted(user), user.replace('\'', "''"));
    let database = quoted(database);
    format!(
        "-- Run this in the database {database}, as its owner or a superuser:
GRANT {role} TO CURRENT_USER;
CREATE SCHEMA IF NOT EXISTS stoa;
GRANT USAGE, CREATE ON SCHEMA stoa TO {role};
DO $$ DECLARE it record; BEGIN
    FOR it IN SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
              WHERE n.nspname = 'stoa' AND c.relkind IN ('r', 'p', 'v') LOOP
        EXECUTE format('ALTER TABLE stoa.%I OWNER TO %I', it.relname, '{literal}');
    END LOOP;
    FOR it IN SELECT p.oid::regprocedure AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
              WHERE n.nspname = 'stoa' LOOP
        EXECUTE format('ALTER ROUTINE %s OWNER TO %I', it.name, '{literal}');
    END LOOP;
END $$;
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ServerError;

    fn trouble(sqlstate: &str) -> SchemaTrouble {
        let address = "postgres://o'hara:secret@db.example.com:5432/shop?sslmode=disable";
        let address = DatabaseAddress::parse_operators(address).unwrap();
        let server = ServerError {
            sqlstate: sqlstate.into(),
            message: "value “a visitor's words” is wrong".into(),
        };
        let error = ClientDbError::Migration {
            version: 4,
            source: Box::new(ClientDbError::Statement(server)),
        };
        SchemaTrouble::of(&error, &address)
    }

    #[test]
    fn each_usual_failure_has_a_code_and_a_remedy_of_its_own() {
        for (sqlstate, code, remedy) in [
            ("55P03", "schema_lock_not_available", "pg_stat_activity"),
            ("42501", "schema_insufficient_privilege", "ALTER TABLE"),
            ("53100", "schema_disk_full", "room"),
            ("25006", "schema_read_only", "primary"),
            ("57014", "schema_too_slow", "quiet"),
            ("22P02", "schema_migration_failed", "--dry-run"),
        ] {
            let found = trouble(sqlstate);
            assert_eq!(found.code, code);
            assert!(found.remedy.contains(remedy), "{found:?}");
            assert!(found.message.contains("migration 4"), "{found:?}");
        }
    }

    #[test]
    fn nothing_that_the_server_said_and_no_secret_is_kept() {
        for sqlstate in ["22P02", "42501", "25006"] {
            let found = format!("{:?}", trouble(sqlstate));
            assert!(
                !found.contains("visitor") && !found.contains("secret"),
                "{found}"
            );
        }
        assert!(trouble("42501").remedy.contains("'o''hara'"));
    }
}
