//! Taking our tables out of a database that is given up.

use postgres_types::Type;
use stoa_domain::InstanceId;

use super::Plan;
use crate::{
    connection::ClientConnection,
    error::ClientDbError,
    row::{column, one},
};

/// Drops everything of ours that `instance` has in this database, and the schema with it where
/// nothing of anybody else's is in it. `plan` names the tables. What others built on them, such as a
/// view of the client's own, keeps all of it in place, with PostgreSQL's error.
///
/// # Errors
///
/// `Mismatch` when the database carries another marker or none, else see [`ClientDbError`].
pub async fn take_down(
    connection: &mut ClientConnection,
    plan: &Plan,
    instance: InstanceId,
) -> Result<(), ClientDbError> {
    let tables: Vec<String> = plan
        .tables
        .iter()
        .map(|table| format!("stoa.{}", table.name))
        .collect();
    let transaction = connection.begin().await?;
    transaction
        .run_script("SET LOCAL lock_timeout = '5s'")
        .await?;
    let rows = transaction
        .query(
            "SELECT instance_id = $1 AS ours FROM stoa.stoa_instance FOR UPDATE",
            &[(&instance.as_uuid(), Type::UUID)],
        )
        .await?;
    if one(&rows, |row| column(row, "ours"))? != Some(true) {
        return Err(ClientDbError::Mismatch);
    }
    transaction
        .run_script(&format!(
            "DROP TABLE IF EXISTS {}, stoa.stoa_instance, stoa.schema_migrations,
                 stoa.moved_changes, stoa.move_departure, stoa.move_arrival;
             {DROP_FUNCTIONS}",
            tables.join(", ")
        ))
        .await?;
    transaction.commit().await
}

/// Functions by the names that migrations and moves give them; the schema only where it is empty
/// and ours.
const DROP_FUNCTIONS: &str = "
DO $$
DECLARE
    found record;
BEGIN
    FOR found IN
        SELECT p.oid::pg_catalog.regprocedure AS called
        FROM pg_catalog.pg_proc p
        WHERE p.pronamespace = 'stoa'::pg_catalog.regnamespace
          AND (p.proname IN ('to_vector', 'cosine_distance', 'refuse_departed', 'refuse_truncation')
               OR p.proname LIKE 'note\\_change\\_of\\_%')
    LOOP
        EXECUTE pg_catalog.format('DROP FUNCTION %s', found.called);
    END LOOP;
    BEGIN
        DROP SCHEMA stoa;
    EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN
        NULL;
    END;
END
$$;
";
