//! Bringing a client's database up to date: all of it in one transaction, or nothing.

use postgres_types::Type;
use sha2::{Digest, Sha256};
use std::time::Duration;
use stoa_domain::InstanceId;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    marker,
    row::{all, column},
};

/// The schema version that this program writes. It reads the one before as well.
pub const SCHEMA_VERSION: i32 = 2;

/// How long a whole migration may take.
const DEADLINE: Duration = Duration::from_secs(120);

struct Migration {
    version: i32,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "first_tables",
        sql: include_str!("../migrations/0001_first_tables.sql"),
    },
    Migration {
        version: 2,
        name: "versions_and_summaries",
        sql: include_str!("../migrations/0002_versions_and_summaries.sql"),
    },
];
const BEFORE: &str = include_str!("../migrations/before.sql");
const AFTER: &str = include_str!("../migrations/after.sql");

/// One migration at a time in a database, and no waiting behind a long-running query of the
/// client's. Both hold for this transaction only, so they work through a transaction pooler.
const TAKE_TURNS: &str = "
SET LOCAL lock_timeout = '5s';
SET LOCAL statement_timeout = '100s';
SELECT pg_catalog.pg_advisory_xact_lock(7809634091206763);
";

/// Applies what is missing, claims the database for `instance`, and closes the schema to others.
///
/// # Errors
///
/// `Mismatch` when it belongs to another instance and that matters, and then nothing is changed.
pub(crate) async fn migrate(
    connection: &mut ClientConnection,
    instance: InstanceId,
    usual_deadline: Duration,
    marker_required: bool,
) -> Result<(), ClientDbError> {
    connection.set_statement_deadline(DEADLINE);
    let outcome = apply(connection, instance, marker_required).await;
    connection.set_statement_deadline(usual_deadline);
    outcome
}

async fn apply(
    connection: &mut ClientConnection,
    instance: InstanceId,
    marker_required: bool,
) -> Result<(), ClientDbError> {
    let transaction = connection.begin().await?;
    let failed = |version| {
        move |source: ClientDbError| ClientDbError::Migration {
            version,
            source: Box::new(source),
        }
    };
    transaction
        .run_script(TAKE_TURNS)
        .await
        .map_err(failed(0))?;
    transaction.run_script(BEFORE).await.map_err(failed(0))?;
    let applied = applied(&transaction).await?;
    for migration in MIGRATIONS {
        let checksum = Sha256::digest(migration.sql.as_bytes()).to_vec();
        match applied.iter().find(|it| it.version == migration.version) {
            Some(known) if known.checksum == checksum => continue,
            Some(_) => {
                return Err(ClientDbError::ForeignMigration {
                    version: migration.version,
                });
            }
            None => {}
        }
        transaction
            .run_script(migration.sql)
            .await
            .map_err(failed(migration.version))?;
        transaction
            .execute(
                "INSERT INTO stoa.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                &[
                    (&migration.version, Type::INT4),
                    (&migration.name, Type::TEXT),
                    (&checksum, Type::BYTEA),
                ],
            )
            .await
            .map_err(failed(migration.version))?;
    }
    let owner = marker::claim(&transaction, instance, SCHEMA_VERSION).await?;
    if marker_required && owner != instance {
        return Err(ClientDbError::Mismatch);
    }
    transaction
        .run_script(AFTER)
        .await
        .map_err(failed(SCHEMA_VERSION))?;
    transaction.commit().await
}

struct Applied {
    version: i32,
    checksum: Vec<u8>,
}

async fn applied(connection: &ClientConnection) -> Result<Vec<Applied>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT version, checksum FROM stoa.schema_migrations ORDER BY version",
            &[],
        )
        .await?;
    all(&rows, |row| {
        Ok(Applied {
            version: column(row, "version")?,
            checksum: column(row, "checksum")?,
        })
    })
}
