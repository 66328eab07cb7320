//! What the master keys hold together: which of them is in use where, and putting a newer one in an
//! older one's place.
//!
//! Which key it was is read from the sealed values themselves, so that a column which says otherwise
//! cannot make a key look unused.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query};
use stoa_domain::InstanceId;
use uuid::Uuid;

use crate::DbError;

/// How much one master key holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyUse {
    /// Its id; empty for values that name none, which nothing can open.
    pub id: String,
    /// The data keys of instances that it wraps.
    pub data_keys: i64,
    /// The answers kept for `Idempotency-Key` that it seals.
    pub answers: i64,
    /// When the last of those answers is forgotten.
    pub answers_until: Option<DateTime<Utc>>,
}

/// What every master key in use holds.
///
/// # Errors
/// When the database fails.
pub async fn in_use(
    connection: &mut PgConnection,
    now: DateTime<Utc>,
) -> Result<Vec<KeyUse>, DbError> {
    let rows = query!(
        r#"SELECT id AS "id!", count(*) FILTER (WHERE kept_until IS NULL) AS "data_keys!",
               count(kept_until) AS "answers!", max(kept_until) AS answers_until
           FROM (
               SELECT coalesce(stoa_platform.sealed_by(data_key_wrapped), '') AS id,
                      NULL::timestamptz AS kept_until
               FROM stoa_platform.chat_instances
               UNION ALL
               SELECT coalesce(stoa_platform.sealed_by(response), ''), expires_at
               FROM stoa_platform.idempotency_keys WHERE response IS NOT NULL AND expires_at > $1
           ) held
           GROUP BY id ORDER BY id"#,
        now,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| KeyUse {
            id: row.id,
            data_keys: row.data_keys,
            answers: row.answers,
            answers_until: row.answers_until,
        })
        .collect())
}

/// A wrapped data key and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrappedKey {
    /// The instance.
    pub instance: InstanceId,
    /// Its data key, wrapped.
    pub wrapped: Vec<u8>,
}

/// Some data keys of every master key in use: enough to tell whether a key ring can open what is
/// stored, also where a row or two were damaged.
///
/// # Errors
/// When the database fails.
pub async fn samples(connection: &mut PgConnection) -> Result<Vec<WrappedKey>, DbError> {
    let rows = query!(
        "SELECT id, data_key_wrapped FROM (
             SELECT id, data_key_wrapped, row_number() OVER (
                 PARTITION BY stoa_platform.sealed_by(data_key_wrapped) ORDER BY id
             ) AS nth
             FROM stoa_platform.chat_instances
         ) numbered
         WHERE nth <= 50"
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| WrappedKey {
            instance: InstanceId::from_uuid(row.id),
            wrapped: row.data_key_wrapped,
        })
        .collect())
}

/// Data keys that another master key than this one wraps, in the order of their instances' ids.
///
/// # Errors
/// When the database fails.
pub async fn data_keys_of_others(
    connection: &mut PgConnection,
    master_key_id: &str,
    after: Option<InstanceId>,
    limit: i64,
) -> Result<Vec<WrappedKey>, DbError> {
    let rows = query!(
        "SELECT id, data_key_wrapped FROM stoa_platform.chat_instances
         WHERE stoa_platform.sealed_by(data_key_wrapped) IS DISTINCT FROM $1
           AND ($2::uuid IS NULL OR id > $2)
         ORDER BY id LIMIT $3",
        master_key_id,
        after.map(|id| id.as_uuid()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| WrappedKey {
            instance: InstanceId::from_uuid(row.id),
            wrapped: row.data_key_wrapped,
        })
        .collect())
}

/// A sealed value, and the same sealed anew.
#[derive(Clone, Debug)]
pub struct Replacement<Row> {
    /// What names the row.
    pub row: Row,
    /// What is stored.
    pub old: Vec<u8>,
    /// What is to be stored.
    pub new: Vec<u8>,
}

/// Puts data keys in the place of the same ones wrapped by an older master key; says how many. One
/// that is no longer as it was read is left alone, so that two rotations cannot undo each other.
///
/// Nobody is told: the data key that the other replicas hold in their caches is the same.
///
/// # Errors
/// When the database fails.
pub async fn rewrap_data_keys(
    connection: &mut PgConnection,
    replacements: &[Replacement<InstanceId>],
    master_key_id: &str,
) -> Result<u64, DbError> {
    let ids: Vec<Uuid> = replacements.iter().map(|it| it.row.as_uuid()).collect();
    let old: Vec<Vec<u8>> = replacements.iter().map(|it| it.old.clone()).collect();
    let new: Vec<Vec<u8>> = replacements.iter().map(|it| it.new.clone()).collect();
    let done = query!(
        "UPDATE stoa_platform.chat_instances AS i
         SET data_key_wrapped = r.new, master_key_id = $4
         FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS r (id, old, new)
         WHERE i.id = r.id AND i.data_key_wrapped = r.old",
        &ids,
        &old,
        &new,
        master_key_id,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// What names a kept answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerKey {
    /// Whose key it is and for what.
    pub scope: String,
    /// The key that the caller chose.
    pub key: String,
}

/// Kept answers that another master key than this one seals, in the order of their keys.
///
/// # Errors
/// When the database fails.
pub async fn answers_of_others(
    connection: &mut PgConnection,
    master_key_id: &str,
    now: DateTime<Utc>,
    after: Option<&AnswerKey>,
    limit: i64,
) -> Result<Vec<(AnswerKey, Vec<u8>)>, DbError> {
    let rows = query!(
        r#"SELECT scope, key, response AS "response!" FROM stoa_platform.idempotency_keys
           WHERE response IS NOT NULL AND expires_at > $2
             AND stoa_platform.sealed_by(response) IS DISTINCT FROM $1
             AND ($3::text IS NULL OR (scope, key) > ($3, $4))
           ORDER BY scope, key LIMIT $5"#,
        master_key_id,
        now,
        after.map(|it| it.scope.as_str()),
        after.map(|it| it.key.as_str()),
        limit,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (scope, key) = (row.scope, row.key);
            (AnswerKey { scope, key }, row.response)
        })
        .collect())
}

/// Puts kept answers in the place of the same ones sealed by an older master key; says how many.
///
/// # Errors
/// When the database fails.
pub async fn reseal_answers(
    connection: &mut PgConnection,
    replacements: &[Replacement<AnswerKey>],
) -> Result<u64, DbError> {
    let scopes: Vec<String> = replacements.iter().map(|it| it.row.scope.clone()).collect();
    let keys: Vec<String> = replacements.iter().map(|it| it.row.key.clone()).collect();
    let old: Vec<Vec<u8>> = replacements.iter().map(|it| it.old.clone()).collect();
    let new: Vec<Vec<u8>> = replacements.iter().map(|it| it.new.clone()).collect();
    let done = query!(
        "UPDATE stoa_platform.idempotency_keys AS k SET response = r.new
         FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[]) AS r (scope, key, old, new)
         WHERE k.scope = r.scope AND k.key = r.key AND k.response = r.old",
        &scopes,
        &keys,
        &old,
        &new,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
