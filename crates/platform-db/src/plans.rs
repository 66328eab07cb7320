//! What an instance costs and how much it may do.

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, query, query_as};

use crate::DbError;

/// A plan. Money is in minor units of the currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Its name in the contract.
    pub code: String,
    /// Its name for people.
    pub name: String,
    /// ISO 4217, in capitals.
    pub currency: String,
    /// A month's price.
    pub base_price: i64,
    /// Messages a month that the price includes.
    pub included_messages: i64,
    /// The price of each thousand beyond.
    pub overage_per_1000: i64,
    /// A JSON object of limits; see the seeded plans for its names.
    pub limits: serde_json::Value,
    /// Since when no new instance may have it.
    pub archived_at: Option<DateTime<Utc>>,
}

/// All plans, the cheapest first.
///
/// # Errors
/// When the database fails.
pub async fn list(connection: &mut PgConnection) -> Result<Vec<Plan>, DbError> {
    Ok(query_as!(
        Plan,
        "SELECT code, name, currency, base_price, included_messages, overage_per_1000, limits, archived_at
         FROM stoa_platform.plans ORDER BY base_price, code"
    )
    .fetch_all(connection)
    .await?)
}

/// The plan with this code.
///
/// # Errors
/// When the database fails.
pub async fn find(connection: &mut PgConnection, code: &str) -> Result<Option<Plan>, DbError> {
    Ok(query_as!(
        Plan,
        "SELECT code, name, currency, base_price, included_messages, overage_per_1000, limits, archived_at
         FROM stoa_platform.plans WHERE code = $1",
        code,
    )
    .fetch_optional(connection)
    .await?)
}

/// Adds a plan.
///
/// # Errors
/// [`Taken::PlanCode`](crate::Taken::PlanCode), or when the database fails.
pub async fn insert(connection: &mut PgConnection, plan: &Plan) -> Result<(), DbError> {
    query!(
        "INSERT INTO stoa_platform.plans
             (code, name, currency, base_price, included_messages, overage_per_1000, limits, archived_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        plan.code,
        plan.name,
        plan.currency,
        plan.base_price,
        plan.included_messages,
        plan.overage_per_1000,
        plan.limits,
        plan.archived_at,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Puts a plan's new values in the place of its old ones. `false` when there is no such plan.
///
/// # Errors
/// When the database fails.
pub async fn update(connection: &mut PgConnection, plan: &Plan) -> Result<bool, DbError> {
    let done = query!(
        "UPDATE stoa_platform.plans
         SET name = $2, currency = $3, base_price = $4, included_messages = $5, overage_per_1000 = $6,
             limits = $7, archived_at = $8
         WHERE code = $1",
        plan.code,
        plan.name,
        plan.currency,
        plan.base_price,
        plan.included_messages,
        plan.overage_per_1000,
        plan.limits,
        plan.archived_at,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected() > 0)
}
