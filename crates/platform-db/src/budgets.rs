//! The ledger that keeps clients within their budgets: what was spent by day and month, and what
//! calls under way may still take. Numbers and ids; a person is a keyed hash.
//!
//! What was spent is added by [`crate::usage_events::record`], in the statement that counts an
//! answer, so that it is added once.

use chrono::{DateTime, Datelike as _, Days, Months, NaiveDate, NaiveTime, Utc};
use sqlx::{PgConnection, query, query_as};
use stoa_domain::{InstanceId, MessageId};

use crate::DbError;
use crate::stored::words;
use crate::usage_events::UsageKind;

words! {
    /// Whom a limit is for.
    Subject {
        /// All of an instance.
        Instance = "instance",
        /// Each person who chats.
        EndUser = "end_user",
        /// Each address that people chat from.
        Address = "address",
    }

    /// How long a limit lasts before it begins anew, in UTC.
    Period {
        /// From midnight to midnight.
        Day = "day",
        /// From the first of a month to the next.
        Month = "month",
    }
}

impl Period {
    /// The first day of the period that a time is in.
    #[must_use]
    pub fn start(self, at: DateTime<Utc>) -> NaiveDate {
        let day = at.date_naive();
        match self {
            Self::Day => day,
            Self::Month => day.with_day(1).unwrap_or(day),
        }
    }

    /// When the next one begins.
    #[must_use]
    pub fn end(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let start = self.start(at);
        let next = match self {
            Self::Day => start.checked_add_days(Days::new(1)),
            Self::Month => start.checked_add_months(Months::new(1)),
        };
        next.unwrap_or(start).and_time(NaiveTime::MIN).and_utc()
    }
}

/// A person as the ledger knows them.
pub type SubjectHash = [u8; 16];

/// The people whom a call is for, where the client limits what each may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct People {
    /// Who chats.
    pub end_user: Option<SubjectHash>,
    /// From where.
    pub address: Option<SubjectHash>,
}

/// What a call takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amount {
    /// Tokens read and written.
    pub tokens: i64,
    /// Their price in millionths of the currency; `None` where that is unknown.
    pub micros: Option<i64>,
}

/// One limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Of whom.
    pub subject: Subject,
    /// For how long.
    pub period: Period,
    /// The most tokens, if they are limited.
    pub tokens: Option<i64>,
    /// The most money, in millionths, if that is limited.
    pub micros: Option<i64>,
}

/// What a call may take.
#[derive(Clone, Copy, Debug)]
pub struct Reservation<'a> {
    /// Whose.
    pub instance: InstanceId,
    /// The usage event that will take it off again.
    pub message: MessageId,
    /// The kind of that event.
    pub kind: UsageKind,
    /// For whom.
    pub people: People,
    /// All that the event may come to.
    pub wanted: Amount,
    /// How much of that was taken already.
    pub own: Amount,
    /// What it has to fit into.
    pub limits: &'a [Limit],
    /// Now.
    pub at: DateTime<Utc>,
    /// When it is not counted any more.
    pub until: DateTime<Utc>,
}

/// How a limit stands beside a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What was spent in its period.
    pub spent_tokens: i64,
    /// The same in money.
    pub spent_micros: i64,
    /// What others may still take.
    pub reserved_tokens: i64,
    /// The same in money.
    pub reserved_micros: i64,
    /// Whether the call fits.
    pub has_room: bool,
}

/// Reserves what a call may take, if every limit has room for it; gives how each stands, in the
/// order of the limits. A reservation of the same event is replaced.
///
/// Exact between replicas: one after the other, for an instance.
///
/// # Errors
/// When the database fails.
pub async fn reserve(
    connection: &mut PgConnection,
    reservation: &Reservation<'_>,
) -> Result<Vec<Standing>, DbError> {
    let limits = reservation.limits;
    let subjects: Vec<_> = limits
        .iter()
        .map(|it| it.subject.as_str().to_owned())
        .collect();
    let periods: Vec<_> = limits
        .iter()
        .map(|it| it.period.as_str().to_owned())
        .collect();
    let starts: Vec<_> = limits
        .iter()
        .map(|it| it.period.start(reservation.at))
        .collect();
    let tokens: Vec<_> = limits.iter().map(|it| it.tokens).collect();
    let micros: Vec<_> = limits.iter().map(|it| it.micros).collect();
    Ok(query_as!(
        Standing,
        r#"SELECT spent_tokens AS "spent_tokens!", spent_micros AS "spent_micros!",
                  reserved_tokens AS "reserved_tokens!", reserved_micros AS "reserved_micros!",
                  has_room AS "has_room!"
           FROM stoa_platform.reserve_budget($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
           ORDER BY number"#,
        reservation.instance.as_uuid(),
        reservation.message.as_uuid(),
        reservation.kind.as_str(),
        reservation.people.end_user.as_ref().map(<[u8; 16]>::as_slice),
        reservation.people.address.as_ref().map(<[u8; 16]>::as_slice),
        reservation.wanted.tokens,
        reservation.wanted.micros,
        reservation.own.tokens,
        reservation.own.micros.unwrap_or(0),
        reservation.at,
        reservation.until,
        &subjects,
        &periods,
        &starts,
        &tokens as &[Option<i64>],
        &micros as &[Option<i64>],
    )
    .fetch_all(connection)
    .await?)
}

/// Takes a reservation off whose event will never be counted, such as that of an answer without a
/// word, and adds what was spent for it all the same, also where nothing had to be reserved.
///
/// # Errors
/// When the database fails.
pub async fn settle(
    connection: &mut PgConnection,
    (instance, message, kind): (InstanceId, MessageId, UsageKind),
    spent: Amount,
    at: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "WITH settled AS (
             DELETE FROM stoa_platform.budget_reservations
             WHERE instance_id = $1 AND message_id = $2 AND kind = $3
             RETURNING end_user_hash, address_hash
         ), spender AS (
             SELECT end_user_hash, address_hash FROM settled
             UNION ALL
             SELECT NULL, NULL WHERE NOT EXISTS (SELECT FROM settled)
         )
         INSERT INTO stoa_platform.budget_counters AS c
             (instance_id, period, starts_on, subject, subject_hash, tokens, micros, unknown_costs)
         SELECT $1, p.period, p.starts_on, s.subject, s.hash, $4, coalesce($5::bigint, 0),
                CASE WHEN $5::bigint IS NULL THEN 1 ELSE 0 END
         FROM spender
         CROSS JOIN (VALUES ('day', $6::date), ('month', $7::date)) AS p (period, starts_on)
         CROSS JOIN LATERAL (VALUES ('instance', ''::bytea), ('end_user', end_user_hash), ('address', address_hash))
             AS s (subject, hash)
         WHERE s.hash IS NOT NULL AND $4::bigint > 0
         ORDER BY 2, 3, 4, 5
         ON CONFLICT ON CONSTRAINT budget_counters_pkey DO UPDATE
             SET tokens = c.tokens + excluded.tokens, micros = c.micros + excluded.micros,
                 unknown_costs = c.unknown_costs + excluded.unknown_costs",
        instance.as_uuid(),
        message.as_uuid(),
        kind.as_str(),
        spent.tokens,
        spent.micros,
        Period::Day.start(at),
        Period::Month.start(at),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// What an instance has spent and reserved in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// Tokens spent.
    pub tokens: i64,
    /// Money spent, in millionths, as far as it is known.
    pub micros: i64,
    /// How many calls are not in that.
    pub unknown_costs: i64,
    /// Tokens reserved by calls under way.
    pub reserved_tokens: i64,
    /// Money reserved by them.
    pub reserved_micros: i64,
}

/// What an instance has spent and reserved, in the day and in the month that a time is in.
///
/// # Errors
/// When the database fails.
pub async fn spent(
    connection: &mut PgConnection,
    instance: InstanceId,
    at: DateTime<Utc>,
) -> Result<[Spent; 2], DbError> {
    let found = query_as!(
        Spent,
        r#"SELECT coalesce(c.tokens, 0) AS "tokens!", coalesce(c.micros, 0) AS "micros!",
                  coalesce(c.unknown_costs, 0) AS "unknown_costs!",
                  r.tokens AS "reserved_tokens!", r.micros AS "reserved_micros!"
           FROM (VALUES (1, 'day', $2::date), (2, 'month', $3::date)) AS p (number, period, starts_on)
           LEFT JOIN stoa_platform.budget_counters c
               ON c.instance_id = $1 AND c.period = p.period AND c.starts_on = p.starts_on
              AND c.subject = 'instance' AND c.subject_hash = ''
           CROSS JOIN (
               SELECT coalesce(sum(tokens), 0)::bigint AS tokens, coalesce(sum(micros), 0)::bigint AS micros
               FROM stoa_platform.budget_reservations WHERE instance_id = $1 AND expires_at > $4
           ) r
           ORDER BY p.number"#,
        instance.as_uuid(),
        Period::Day.start(at),
        Period::Month.start(at),
        at,
    )
    .fetch_all(connection)
    .await?;
    let nth = |n: usize| found.get(n).copied().unwrap_or_default();
    Ok([nth(0), nth(1)])
}

/// Clears away what no budget needs any more: reservations that ended before `reservations`, and the
/// sums of people and of days from before the month of `at`. An instance's months stay.
///
/// # Errors
/// When the database fails.
pub async fn purge(
    connection: &mut PgConnection,
    at: DateTime<Utc>,
    reservations: DateTime<Utc>,
) -> Result<(), DbError> {
    query!(
        "WITH ended AS (
             DELETE FROM stoa_platform.budget_reservations WHERE expires_at < $1
         )
         DELETE FROM stoa_platform.budget_counters
         WHERE (subject <> 'instance' OR period = 'day')
           AND starts_on < CASE period WHEN 'day' THEN $2::date ELSE $3::date END",
        reservations,
        // A late event may still be for yesterday.
        Period::Day.start(at) - Days::new(2),
        Period::Month.start(at - Days::new(2)),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets an instance that is deleted.
///
/// # Errors
/// When the database fails.
pub async fn forget(connection: &mut PgConnection, instance: InstanceId) -> Result<(), DbError> {
    query!(
        "WITH reserved AS (DELETE FROM stoa_platform.budget_reservations WHERE instance_id = $1)
         DELETE FROM stoa_platform.budget_counters WHERE instance_id = $1",
        instance.as_uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
