//! Applying what is missing.

use std::time::Duration;

use postgres_types::Type;
use stoa_domain::InstanceId;

use super::{AFTER, BEFORE, Migrations, SchemaChange};
use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    marker,
    row::{all, column},
};

/// One migration at a time in a database. The lock ends with the transaction, so it works through
/// a transaction pooler, and nothing is left of it when this process dies.
const TAKE_TURNS: &str = "SELECT pg_catalog.pg_advisory_xact_lock(7809634091206763)";

/// The third bounds how long a process that hangs, or a machine that has gone, keeps its locks.
const SET_LIMITS: &str = "SELECT pg_catalog.set_config('lock_timeout', $1, true),
        pg_catalog.set_config('statement_timeout', $2, true),
        pg_catalog.set_config('idle_in_transaction_session_timeout', '15s', true)";

/// How long a migration waits and works.
///
/// Waiting for a lock is short in any case: whoever wants to read the table queues behind a
/// migration that waits for a client's own long query, so the chat stands still for that time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    lock: Duration,
    statement: Duration,
    /// How long this side waits for the server's word on one step.
    step: Duration,
}

impl Patience {
    /// Somebody waits who could be served without: what takes longer is left to the sweep.
    pub(crate) const VISITOR: Self = Self {
        lock: Duration::from_secs(2),
        statement: Duration::from_secs(5),
        step: Duration::from_secs(15),
    };
    /// Nobody waits, or nobody can be served without.
    pub(crate) const ALONE: Self = Self {
        lock: Duration::from_secs(3),
        statement: Duration::from_secs(100),
        step: Duration::from_secs(120),
    };
}

/// Whose database is to be brought to what, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order<'a> {
    pub(crate) instance: InstanceId,
    /// Whether the database must carry this instance's marker.
    pub(crate) marker_required: bool,
    pub(crate) migrations: &'a Migrations,
    pub(crate) patience: Patience,
    /// How long other statements on the connection may take.
    pub(crate) usual_deadline: Duration,
}

/// Applies what is missing, claims the database for its instance, and closes the schema to others.
///
/// On failure nothing of it was kept, and the connection is fit for use unless it was lost.
///
/// # Errors
///
/// `Mismatch` when it belongs to another instance and that matters, `ForeignMigration` when one was
/// applied that is not ours, `SchemaTooNew`, else `Migration`.
pub(crate) async fn migrate(
    connection: &mut ClientConnection,
    order: Order<'_>,
) -> Result<SchemaChange, ClientDbError> {
    connection.set_statement_deadline(order.patience.step);
    let outcome = transact(connection, order).await;
    connection.set_statement_deadline(order.usual_deadline);
    outcome
}

async fn transact(
    connection: &mut ClientConnection,
    order: Order<'_>,
) -> Result<SchemaChange, ClientDbError> {
    let transaction = connection.begin().await?;
    match apply(&transaction, order).await {
        Ok(change) => {
            transaction.commit().await?;
            Ok(change)
        }
        Err(error) => {
            // A connection that is unfit, or that this makes so, is closed, which undoes as well.
            if transaction.answers() {
                drop(transaction.rollback().await);
            }
            Err(error)
        }
    }
}

async fn apply(
    connection: &ClientConnection,
    order: Order<'_>,
) -> Result<SchemaChange, ClientDbError> {
    let Order {
        instance,
        migrations,
        patience,
        ..
    } = order;
    begin(connection, patience).await.map_err(failed(0))?;
    let applied = applied(connection).await?;
    let from = applied.iter().map(|it| it.version).max().unwrap_or(0);
    if from > migrations.newest_usable() {
        return Err(ClientDbError::SchemaTooNew {
            version: from,
            newest: migrations.newest_usable(),
        });
    }
    for migration in migrations.after(0) {
        match applied.iter().find(|it| it.version == migration.version) {
            Some(known) if known.checksum == migration.checksum => continue,
            Some(_) => {
                return Err(ClientDbError::ForeignMigration {
                    version: migration.version,
                });
            }
            None => {}
        }
        connection
            .run_script(&migration.sql)
            .await
            .map_err(failed(migration.version))?;
        connection
            .execute(
                "INSERT INTO stoa.schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
                &[
                    (&migration.version, Type::INT4),
                    (&migration.name.as_ref(), Type::TEXT),
                    (&migration.checksum.as_slice(), Type::BYTEA),
                ],
            )
            .await
            .map_err(failed(migration.version))?;
    }
    let latest = migrations.latest();
    let owner = marker::claim(connection, instance, latest)
        .await
        .map_err(failed(latest))?;
    if order.marker_required && owner != instance {
        return Err(ClientDbError::Mismatch);
    }
    connection.run_script(AFTER).await.map_err(failed(latest))?;
    Ok(SchemaChange {
        from,
        to: from.max(latest),
    })
}

async fn begin(connection: &ClientConnection, patience: Patience) -> Result<(), ClientDbError> {
    let milliseconds = |time: Duration| format!("{}ms", time.as_millis());
    let (lock, statement) = (
        milliseconds(patience.lock),
        milliseconds(patience.statement),
    );
    connection
        .query(SET_LIMITS, &[(&lock, Type::TEXT), (&statement, Type::TEXT)])
        .await?;
    connection.run_script(TAKE_TURNS).await?;
    connection.run_script(BEFORE).await
}

fn failed(version: i32) -> impl Fn(ClientDbError) -> ClientDbError {
    move |source| ClientDbError::Migration {
        version,
        source: Box::new(source),
    }
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
