//! Whose database this is: a row in the database itself, read at every new connection.

use postgres_types::Type;
use stoa_domain::InstanceId;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
};

/// What a database says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) instance: InstanceId,
    pub(crate) schema_version: i32,
    /// Whether passages can have vectors.
    pub(crate) has_vectors: bool,
    /// Whether pgvector was added since the schema was last brought up to date.
    pub(crate) vectors_wait: bool,
    /// The server process that answers.
    pub(crate) process: i32,
}

/// Reads the marker; `None` where there is none yet.
pub(crate) async fn read(connection: &ClientConnection) -> Result<Option<Marker>, ClientDbError> {
    let rows = connection
        .query(
            "SELECT m.instance_id, m.schema_version, v.has AS has_vectors,
                    NOT v.has AND EXISTS (
                        SELECT FROM pg_catalog.pg_extension WHERE extname = 'vector'
                    ) AS vectors_wait,
                    pg_catalog.pg_backend_pid() AS process
             FROM stoa.stoa_instance m
             CROSS JOIN (
                 SELECT EXISTS (
                     SELECT FROM pg_catalog.pg_attribute
                     WHERE attrelid = pg_catalog.to_regclass('stoa.document_chunks')
                       AND attname = 'embedding' AND NOT attisdropped
                 ) AS has
             ) v",
            &[],
        )
        .await;
    match rows {
        Ok(rows) => one(&rows, |row| {
            Ok(Marker {
                instance: InstanceId::from_uuid(column::<Uuid>(row, "instance_id")?),
                schema_version: column(row, "schema_version")?,
                has_vectors: column(row, "has_vectors")?,
                vectors_wait: column(row, "vectors_wait")?,
                process: column(row, "process")?,
            })
        }),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes the marker unless there is one, and says whose database it is then. In a transaction, which
/// the caller undoes where it may not be another's.
pub(crate) async fn claim(
    connection: &ClientConnection,
    instance: InstanceId,
    schema_version: i32,
) -> Result<InstanceId, ClientDbError> {
    let rows = connection
        .query(
            "INSERT INTO stoa.stoa_instance AS m (instance_id, schema_version) VALUES ($1, $2)
             ON CONFLICT (only_row) DO UPDATE
             SET schema_version = greatest(m.schema_version, excluded.schema_version)
             RETURNING instance_id",
            &[
                (&instance.as_uuid(), Type::UUID),
                (&schema_version, Type::INT4),
            ],
        )
        .await?;
    one(&rows, |row| {
        Ok(InstanceId::from_uuid(column(row, "instance_id")?))
    })?
    .ok_or(ClientDbError::Unreadable {
        what: "stoa_instance",
    })
}

fn is_missing(error: &ClientDbError) -> bool {
    let missing = [
        SqlState::UNDEFINED_TABLE.code(),
        SqlState::INVALID_SCHEMA_NAME.code(),
    ];
    error
        .sqlstate()
        .is_some_and(|state| missing.contains(&state))
}
