//! Budgets as their client sees them.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Serialize;
use stoa_app::budgets::{
    BudgetState, ConfiguredPrice, PeriodStanding, PriceSource, Shown, percent,
};
use stoa_domain::budgets::MICROS_PER_MINOR;
use stoa_domain::{ApiConfigurationId, Budgets, Violation};
use utoipa::ToSchema;

/// Budgets and how they stand.
#[derive(Serialize, ToSchema)]
pub(crate) struct BudgetsView {
    #[serde(flatten)]
    budgets: Budgets,
    /// How the instance's own budgets stand.
    standing: StandingView,
    /// What models cost.
    prices: PricesView,
    /// What was saved and may not be meant: models that are not asked, since their price is unknown.
    warnings: Vec<Violation>,
}

/// How an instance's budgets stand.
#[derive(Serialize, ToSchema)]
pub(crate) struct StandingView {
    /// The present day.
    day: PeriodView,
    /// The present month.
    month: PeriodView,
}

/// How one period stands.
#[derive(Serialize, ToSchema)]
pub(crate) struct PeriodView {
    /// Its first day, in UTC.
    starts_on: NaiveDate,
    /// When the next one begins.
    resets_at: DateTime<Utc>,
    /// Tokens that models read and wrote.
    tokens: TokensView,
    /// What they cost.
    money: MoneyView,
    /// The worse of the two: `ok`, `warning` from 80 % on, or `exhausted`.
    #[schema(pattern = "^(ok|warning|exhausted)$")]
    state: &'static str,
}

/// Tokens of a period.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokensView {
    /// The limit; null where there is none.
    limit: Option<i64>,
    /// What was spent; estimated where a provider did not say.
    spent: i64,
    /// What calls under way may take.
    reserved: i64,
    /// The part of the limit that was spent; null where there is none.
    percent: Option<i64>,
    /// `ok`, `warning` from 80 % on, or `exhausted`.
    state: &'static str,
}

/// Money of a period, in minor units of the currency.
#[derive(Serialize, ToSchema)]
pub(crate) struct MoneyView {
    /// The limit; null where there is none.
    limit: Option<i64>,
    /// What was spent, rounded to the nearest minor unit.
    spent: i64,
    /// The same in millionths of the currency, exact.
    spent_micros: i64,
    /// What calls under way may take, rounded up.
    reserved: i64,
    /// How many calls are not in it, because the price of their model is unknown.
    unknown_costs: i64,
    /// The part of the limit that was spent; null where there is none.
    percent: Option<i64>,
    /// `ok`, `warning` from 80 % on, or `exhausted`.
    state: &'static str,
}

/// What models cost.
#[derive(Serialize, ToSchema)]
pub(crate) struct PricesView {
    /// The day of the price table that is shipped.
    as_of: NaiveDate,
    /// Its currency, which configurations' own prices are in too.
    currency: String,
    /// The enabled configurations, in the order in which they are tried.
    configurations: Vec<ConfiguredPriceView>,
}

/// What a configuration's model costs.
#[derive(Serialize, ToSchema)]
pub(crate) struct ConfiguredPriceView {
    /// The configuration.
    id: ApiConfigurationId,
    /// What it is called.
    name: String,
    /// The model.
    model: String,
    /// The price of a million tokens read; null where it is unknown.
    input_price: Option<f64>,
    /// The price of a million tokens written; null where it is unknown.
    output_price: Option<f64>,
    /// Who says so: the `configuration`, the `table`, or nobody (`unknown`).
    source: &'static str,
}

impl From<Shown> for BudgetsView {
    fn from(shown: Shown) -> Self {
        let [day, month] = shown.periods.map(PeriodView::from);
        let (as_of, currency) = shown.table;
        Self {
            budgets: shown.budgets,
            standing: StandingView { day, month },
            prices: PricesView {
                as_of,
                currency,
                configurations: shown.prices.into_iter().map(Into::into).collect(),
            },
            warnings: shown.warnings,
        }
    }
}

impl From<PeriodStanding> for PeriodView {
    fn from(standing: PeriodStanding) -> Self {
        let (limit, spent) = (standing.limit, standing.spent);
        let (tokens, micros) = (
            BudgetState::of(spent.tokens, limit.tokens),
            BudgetState::of(spent.micros, limit.micros()),
        );
        Self {
            starts_on: standing.starts_on,
            resets_at: standing.resets_at,
            tokens: TokensView {
                limit: limit.tokens,
                spent: spent.tokens,
                reserved: spent.reserved_tokens,
                percent: percent(spent.tokens, limit.tokens),
                state: tokens.as_str(),
            },
            money: MoneyView {
                limit: limit.money,
                spent: spent.micros.saturating_add(MICROS_PER_MINOR / 2) / MICROS_PER_MINOR,
                spent_micros: spent.micros,
                reserved: spent.reserved_micros.saturating_add(MICROS_PER_MINOR - 1)
                    / MICROS_PER_MINOR,
                unknown_costs: spent.unknown_costs,
                percent: percent(spent.micros, limit.micros()),
                state: micros.as_str(),
            },
            state: tokens.max(micros).as_str(),
        }
    }
}

impl From<ConfiguredPrice> for ConfiguredPriceView {
    fn from(priced: ConfiguredPrice) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "prices have few digits")]
        let for_people = |millionths: u64| millionths as f64 / 1_000_000.0;
        Self {
            id: priced.id,
            name: priced.name,
            model: priced.model,
            input_price: priced.price.map(|it| for_people(it.input)),
            output_price: priced.price.map(|it| for_people(it.output)),
            source: match priced.source {
                PriceSource::Configuration => "configuration",
                PriceSource::Table => "table",
                PriceSource::Unknown => "unknown",
            },
        }
    }
}
