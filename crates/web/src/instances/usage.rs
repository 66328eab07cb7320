//! What an instance used, by day.

use std::sync::Arc;

use axum::extract::State;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use stoa_app::App;
use stoa_app::instances::usage::{self, Usage};
use stoa_domain::InstanceId;
use stoa_domain::budgets::MICROS_PER_MINOR;
use utoipa::{IntoParams, ToSchema};

use crate::http::caller::Platform;
use crate::http::id::Id;
use crate::http::params::Params;
use crate::http::problem::{Problem, ProblemDocument};

/// Which days.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// The first day, such as `2026-01-01`; 29 days before the last when left out.
    #[param(value_type = Option<NaiveDate>)]
    from: Option<String>,
    /// The last day; today when left out.
    #[param(value_type = Option<NaiveDate>)]
    to: Option<String>,
}

/// An instance's usage.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageView {
    /// The first day, in UTC.
    from: NaiveDate,
    /// The last day, in UTC.
    to: NaiveDate,
    /// The currency of what it cost.
    currency: String,
    /// All days together.
    total: UsageSums,
    /// Each day, the quiet ones too.
    data: Vec<UsageDayView>,
}

/// One day's usage.
#[derive(Serialize, ToSchema)]
pub(crate) struct UsageDayView {
    /// The day, in UTC.
    day: NaiveDate,
    /// What was counted.
    #[serde(flatten)]
    sums: UsageSums,
}

/// What was counted.
#[derive(Clone, Copy, Default, Serialize, ToSchema)]
pub(crate) struct UsageSums {
    /// Answered messages.
    messages: i64,
    /// Tokens that models read.
    input_tokens: i64,
    /// Tokens that models wrote.
    output_tokens: i64,
    /// What it cost, as far as that is known, in minor units of `currency`, rounded to the nearest.
    cost: i64,
    /// The same in millionths of the currency, exact.
    cost_micros: i64,
    /// How many calls of models are not in it: the price or what was taken is unknown.
    unknown_costs: i64,
    /// How many people chatted; null until it was counted in the client's database.
    active_end_users: Option<i64>,
    /// How much the client's database held; null until it was measured.
    storage_bytes: Option<i64>,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        let mut total = UsageSums::default();
        let data = usage
            .from
            .iter_days()
            .take_while(|day| *day <= usage.to)
            .map(|day| {
                let counted = usage.days.iter().find(|counted| counted.day == day);
                let sums = counted.map_or_else(UsageSums::default, |counted| UsageSums {
                    messages: counted.messages,
                    input_tokens: counted.input_tokens,
                    output_tokens: counted.output_tokens,
                    cost: minor(counted.cost_micros),
                    cost_micros: counted.cost_micros,
                    unknown_costs: counted.unknown_costs,
                    ..UsageSums::default()
                });
                total.messages += sums.messages;
                total.input_tokens += sums.input_tokens;
                total.output_tokens += sums.output_tokens;
                total.cost_micros += sums.cost_micros;
                total.unknown_costs += sums.unknown_costs;
                UsageDayView { day, sums }
            })
            .collect();
        total.cost = minor(total.cost_micros);
        Self {
            currency: usage.currency,
            from: usage.from,
            to: usage.to,
            total,
            data,
        }
    }
}

/// What an instance used, by day.
#[utoipa::path(get, path = "/api/platform/v1/instances/{id}/usage", tag = "platform",
    params(("id" = InstanceId, Path, description = "The instance"), UsageQuery),
    responses((status = 200, body = UsageView), (status = 404, body = ProblemDocument)))]
pub(crate) async fn by_day(
    State(app): State<Arc<App>>,
    Platform(caller): Platform,
    Id(instance): Id<InstanceId>,
    Params(query): Params<UsageQuery>,
) -> Result<axum::Json<UsageView>, Problem> {
    let from = day("from", query.from)?;
    let to = day("to", query.to)?;
    let usage = usage::by_day(&app, &caller, instance, from, to).await?;
    Ok(axum::Json(usage.into()))
}

const fn minor(micros: i64) -> i64 {
    micros.saturating_add(MICROS_PER_MINOR / 2) / MICROS_PER_MINOR
}

/// A day, or the day of a time as RFC 3339 writes it.
fn day(field: &str, text: Option<String>) -> Result<Option<NaiveDate>, Problem> {
    let Some(text) = text else { return Ok(None) };
    text.parse()
        .or_else(|_| {
            text.parse::<chrono::DateTime<chrono::Utc>>()
                .map(|time| time.date_naive())
        })
        .map(Some)
        .map_err(|_| Problem::invalid_field(field, "a day such as 2026-01-31"))
}
