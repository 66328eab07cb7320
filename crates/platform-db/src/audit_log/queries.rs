//! Writing, reading and checking the audit log.

use sqlx::{PgConnection, query, query_as};
use stoa_domain::{AuditEntryId, InstanceId};
use uuid::Uuid;

use super::chain::{GENESIS, Line};
use super::{Actor, AuditEntry, Head, NewAuditEntry, Verdict};
use crate::{DbError, stored};

/// The advisory lock under which the chain grows, in this database only.
const CHAIN_LOCK: i64 = 0x5354_4f41_4155_4454;
/// How many lines are checked at a time.
const VERIFY_PAGE: i64 = 1000;

/// Appends a line in the caller's transaction and answers its place. Until that ends no other line
/// can be appended, so this comes last before the commit.
///
/// # Errors
/// When the database fails.
pub async fn append(connection: &mut PgConnection, new: &NewAuditEntry) -> Result<i64, DbError> {
    query!("SELECT pg_advisory_xact_lock($1)", CHAIN_LOCK)
        .execute(&mut *connection)
        .await?;
    // A statement of its own after the lock: it must see what the lock's last holder committed.
    let head = head(connection).await?;
    let line = line(head.position + 1, new);
    let hash = line.hash(&head.hash);
    query!(
        "INSERT INTO stoa_platform.audit_log
             (position, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id, instance_id,
              address, reason, details, prev_hash, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::text::json, $14, $15)",
        line.position,
        line.id,
        line.at,
        line.actor_kind,
        line.actor_id,
        line.actor_name,
        line.action,
        line.target_kind,
        line.target_id,
        line.instance_id,
        line.address,
        line.reason,
        line.details,
        head.hash.as_slice(),
        hash.as_slice(),
    )
    .execute(connection)
    .await?;
    Ok(line.position)
}

fn line(position: i64, new: &NewAuditEntry) -> Line {
    Line {
        position,
        id: new.id.as_uuid(),
        at: new.at,
        actor_kind: new.actor.kind.as_str().to_owned(),
        actor_id: new.actor.id,
        actor_name: new.actor.name.clone(),
        action: new.action.clone(),
        target_kind: new.target_kind.clone(),
        target_id: new.target_id.clone(),
        instance_id: new.instance.map(|id| id.as_uuid()),
        address: new.address.map(|address| address.to_string()),
        reason: new.reason.clone(),
        details: new.details.to_string(),
    }
}

/// The end of the chain, to be kept where whoever can change this database cannot.
///
/// # Errors
/// When the database fails.
pub async fn head(connection: &mut PgConnection) -> Result<Head, DbError> {
    let row =
        query!("SELECT position, hash FROM stoa_platform.audit_log ORDER BY position DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    row.map_or(
        Ok(Head {
            position: 0,
            hash: GENESIS,
        }),
        |row| {
            Ok(Head {
                position: row.position,
                hash: to_hash(row.hash)?,
            })
        },
    )
}

fn to_hash(bytes: Vec<u8>) -> Result<[u8; 32], DbError> {
    bytes.try_into().map_err(|_| DbError::NotUnderstood {
        column: "hash",
        problem: "it has not 32 bytes".to_owned(),
    })
}

/// What a list is narrowed to, and where it goes on.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only what was done in this instance.
    pub instance: Option<InstanceId>,
    /// Only lines before this place.
    pub before: Option<i64>,
    /// At most so many.
    pub limit: i64,
}

struct StoredLine {
    line: Line,
    prev_hash: Vec<u8>,
    hash: Vec<u8>,
}

struct Row {
    position: i64,
    id: Uuid,
    at: chrono::DateTime<chrono::Utc>,
    actor_kind: String,
    actor_id: Option<Uuid>,
    actor_name: String,
    action: String,
    target_kind: String,
    target_id: String,
    instance_id: Option<Uuid>,
    address: Option<String>,
    reason: Option<String>,
    details: String,
    prev_hash: Vec<u8>,
    hash: Vec<u8>,
}

impl From<Row> for StoredLine {
    fn from(row: Row) -> Self {
        Self {
            line: Line {
                position: row.position,
                id: row.id,
                at: row.at,
                actor_kind: row.actor_kind,
                actor_id: row.actor_id,
                actor_name: row.actor_name,
                action: row.action,
                target_kind: row.target_kind,
                target_id: row.target_id,
                instance_id: row.instance_id,
                address: row.address,
                reason: row.reason,
                details: row.details,
            },
            prev_hash: row.prev_hash,
            hash: row.hash,
        }
    }
}

impl TryFrom<Line> for AuditEntry {
    type Error = DbError;

    fn try_from(line: Line) -> Result<Self, DbError> {
        let address = line.address.as_deref().map(str::parse).transpose();
        Ok(Self {
            position: line.position,
            entry: NewAuditEntry {
                id: AuditEntryId::from_uuid(line.id),
                at: line.at,
                actor: Actor {
                    kind: stored::word("actor_kind", &line.actor_kind)?,
                    id: line.actor_id,
                    name: line.actor_name,
                },
                action: line.action,
                target_kind: line.target_kind,
                target_id: line.target_id,
                instance: line.instance_id.map(InstanceId::from_uuid),
                address: address.map_err(stored::not_understood("address"))?,
                reason: line.reason,
                details: serde_json::from_str(&line.details)
                    .map_err(stored::not_understood("details"))?,
            },
        })
    }
}

/// A page of the log, the newest line first.
///
/// # Errors
/// When the database fails.
pub async fn list(
    connection: &mut PgConnection,
    filter: &Filter,
) -> Result<Vec<AuditEntry>, DbError> {
    query_as!(
        Row,
        r#"SELECT position, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id,
                  instance_id, address, reason, details::text AS "details!", prev_hash, hash
           FROM stoa_platform.audit_log
           WHERE ($1::uuid IS NULL OR instance_id = $1) AND ($2::bigint IS NULL OR position < $2)
           ORDER BY position DESC LIMIT $3"#,
        filter.instance.map(|id| id.as_uuid()),
        filter.before,
        filter.limit,
    )
    .fetch_all(connection)
    .await?
    .into_iter()
    .map(|row| StoredLine::from(row).line.try_into())
    .collect()
}

/// Walks the whole chain and checks every line.
///
/// # Errors
/// When the database fails.
pub async fn verify(connection: &mut PgConnection) -> Result<Verdict, DbError> {
    let mut head = Head {
        position: 0,
        hash: GENESIS,
    };
    loop {
        let page = lines_after(connection, head.position).await?;
        if page.is_empty() {
            return Ok(Verdict::Intact(head));
        }
        for StoredLine {
            line,
            prev_hash,
            hash,
        } in page
        {
            let expected = line.hash(&head.hash);
            let holds =
                line.position == head.position + 1 && prev_hash == head.hash && hash == expected;
            if !holds {
                return Ok(Verdict::Broken {
                    position: head.position + 1,
                });
            }
            head = Head {
                position: line.position,
                hash: expected,
            };
        }
    }
}

async fn lines_after(
    connection: &mut PgConnection,
    position: i64,
) -> Result<Vec<StoredLine>, DbError> {
    let rows = query_as!(
        Row,
        r#"SELECT position, id, at, actor_kind, actor_id, actor_name, action, target_kind, target_id,
                  instance_id, address, reason, details::text AS "details!", prev_hash, hash
           FROM stoa_platform.audit_log WHERE position > $1 ORDER BY position LIMIT $2"#,
        position,
        VERIFY_PAGE,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(StoredLine::from).collect())
}
