//! What an instance used, by day.

use chrono::{Days, NaiveDate};
use stoa_domain::InstanceId;
use stoa_platform_db::instances;
use stoa_platform_db::usage_events::{self, UsageDay};

use super::InstanceError;
use crate::App;
use crate::access::PlatformCaller;
use crate::budgets;

/// How far back usage is shown when no day is named.
const DEFAULT_DAYS: Days = Days::new(29);
/// The longest time that is summed up in one go.
const LONGEST_DAYS: i64 = 366;

/// An instance's usage by day.
#[derive(Clone, Debug)]
pub struct Usage {
    /// The first day, in UTC.
    pub from: NaiveDate,
    /// The last day, in UTC.
    pub to: NaiveDate,
    /// The currency of what it cost.
    pub currency: String,
    /// The days on which there was any, in order.
    pub days: Vec<UsageDay>,
}

/// What an instance used from one day to another, both included; the last thirty days when left
/// out.
///
/// # Errors
/// When there is no such instance, the days are in the wrong order or too many, or the platform's
/// database fails.
pub async fn by_day(
    app: &App,
    _: &PlatformCaller,
    instance: InstanceId,
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
) -> Result<Usage, InstanceError> {
    let to = to.unwrap_or_else(|| app.clock().now().date_naive());
    let from = from.unwrap_or_else(|| to.checked_sub_days(DEFAULT_DAYS).unwrap_or(to));
    if from > to || (to - from).num_days() >= LONGEST_DAYS {
        return Err(InstanceError::Invalid {
            field: "from",
            message: format!("a day before “to”, at most {LONGEST_DAYS} days in all"),
        });
    }
    let mut connection = app.platform().acquire().await?;
    instances::find(&mut connection, instance)
        .await?
        .ok_or(InstanceError::NotFound)?;
    let days = usage_events::sum_by_day(&mut connection, instance, from, to).await?;
    let (_, currency) = budgets::price_table();
    Ok(Usage {
        from,
        to,
        currency,
        days,
    })
}
