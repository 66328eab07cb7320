//! What AI may cost: budgets by day and month for an instance, each end user and each address, with
//! a stop before the call that would go beyond them.
//!
//! Every call of a model goes through a [`Spender`]: it reserves what the call may take in the ledger
//! in the platform's database, which replicas share, and settles it to what the call took. A client
//! without budgets is not asked for, and its calls cost no round trip more; what they take is added
//! up all the same, so that a budget that is set later knows of it.

mod bill;
mod estimate;
mod news;
mod price;
mod room;
mod spender;
mod vectors;

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate, Utc};
use stoa_ai::prices::{self, Price};
use stoa_client_db::{ClientDbError, api_configurations, budgets as stored};
use stoa_domain::{ApiConfigurationId, Budgets, SpendLimit, Violation};
use stoa_platform_db::DbError;
pub use stoa_platform_db::budgets::Period;
use stoa_platform_db::budgets::{self as ledger, Spent};

pub(crate) use bill::PaidStream;
pub use news::BudgetNews;
pub use price::PriceSource;
pub(crate) use price::of_configuration;
pub use spender::{Exhausted, Refused};
pub(crate) use spender::{Payer, Spender};
pub(crate) use vectors::{NotEmbedded, embed, embed_for};

use crate::App;
use crate::access::ClientCaller;
use crate::database::DatabaseError;

/// From this part of a budget on, whoever looks is warned.
pub const WARN_PERCENT: u8 = 80;

/// Why budgets were not read or changed.
#[derive(Debug, thiserror::Error)]
pub enum BudgetsError {
    /// A field is wrong.
    #[error("the budgets are not right")]
    Invalid(Vec<Violation>),
    /// The client's database failed.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

impl From<ClientDbError> for BudgetsError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

/// Budgets, and how they stand.
pub struct Shown {
    /// What is set, or what stands in for it before.
    pub budgets: Budgets,
    /// How the instance's day and month stand.
    pub periods: [PeriodStanding; 2],
    /// The day and the currency of the price table.
    pub table: (NaiveDate, String),
    /// What each enabled configuration costs, in the order in which they are tried.
    pub prices: Vec<ConfiguredPrice>,
    /// What is right and may not be meant.
    pub warnings: Vec<Violation>,
}

/// How an instance's budget of one period stands.
pub struct PeriodStanding {
    /// When the period began.
    pub starts_on: NaiveDate,
    /// When the next one begins.
    pub resets_at: DateTime<Utc>,
    /// What it is limited to.
    pub limit: SpendLimit,
    /// What was spent and is reserved.
    pub spent: Spent,
}

/// What a configuration's model costs.
pub struct ConfiguredPrice {
    /// The configuration.
    pub id: ApiConfigurationId,
    /// What the client calls it.
    pub name: String,
    /// The model.
    pub model: String,
    /// Its price, if it is known.
    pub price: Option<Price>,
    /// Who says so.
    pub source: PriceSource,
}

/// Where a budget stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BudgetState {
    /// There is room, or no limit.
    Ok,
    /// Most of it is used up.
    Warning,
    /// Nothing is left.
    Exhausted,
}

impl BudgetState {
    /// Of so much spent.
    #[must_use]
    pub fn of(spent: i64, limit: Option<i64>) -> Self {
        match limit {
            Some(limit) if spent >= limit => Self::Exhausted,
            Some(limit) if news::is_nearly(spent, limit) => Self::Warning,
            _ => Self::Ok,
        }
    }

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Exhausted => "exhausted",
        }
    }
}

/// In whole hundredths, rounded down: 100 only when nothing is left. `None` without a limit.
#[must_use]
pub fn percent(spent: i64, limit: Option<i64>) -> Option<i64> {
    let limit = limit?;
    if limit <= 0 {
        return Some(100);
    }
    let percent = i128::from(spent) * 100 / i128::from(limit);
    Some(i64::try_from(percent).unwrap_or(i64::MAX))
}

/// A budget of an instance's of which most is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearly {
    /// Of which period.
    pub period: Period,
    /// Whether it is one of money; else of tokens.
    pub is_money: bool,
    /// How much of it is spent.
    pub percent: i64,
    /// When it begins anew.
    pub resets_at: DateTime<Utc>,
}

/// The instance's budgets of which most is used up; none where that cannot be looked up, which
/// whoever asks for an answer will hear.
pub async fn nearly_used_up(app: &App, caller: &ClientCaller) -> Vec<Nearly> {
    let found = async {
        let contents = app.contents(caller.registered()).await?;
        let limits = contents.budgets.instance;
        if limits.is_none() {
            return Ok(Vec::new());
        }
        let at = app.clock().now();
        let mut connection = app.platform().acquire().await?;
        let [day, month] = ledger::spent(&mut connection, caller.instance(), at).await?;
        let of = |period: Period, limit: SpendLimit, spent: Spent| {
            [
                (false, spent.tokens, limit.tokens),
                (true, spent.micros, limit.micros()),
            ]
            .into_iter()
            .filter(|(_, spent, limit)| BudgetState::of(*spent, *limit) != BudgetState::Ok)
            .filter_map(move |(is_money, spent, limit)| {
                Some(Nearly {
                    period,
                    is_money,
                    percent: percent(spent, limit)?,
                    resets_at: period.end(at),
                })
            })
        };
        let day = of(Period::Day, limits.day, day);
        Ok(day.chain(of(Period::Month, limits.month, month)).collect())
    };
    let found: Result<_, BudgetsError> = found.await;
    found.unwrap_or_else(|error| {
        tracing::debug!(instance = %caller.instance(), %error, "budgets are not shown");
        Vec::new()
    })
}

/// The budgets and how they stand.
///
/// # Errors
/// When a database fails.
pub async fn get(app: &App, caller: &ClientCaller) -> Result<Shown, BudgetsError> {
    let connection = app.checkout(caller.registered()).await?;
    let budgets = stored::get(&connection).await?.unwrap_or_default();
    let configurations = api_configurations::list(&connection).await?;
    drop(connection);
    let enabled = configurations.into_iter().filter(|it| it.settings.enabled);
    let prices: Vec<_> = enabled
        .map(|it| {
            let (price, source) = of_configuration(&it.settings);
            ConfiguredPrice {
                id: it.id,
                name: it.settings.name,
                model: it.settings.model,
                price,
                source,
            }
        })
        .collect();
    let at = app.clock().now();
    let [day, month] = {
        let mut connection = app.platform().acquire().await?;
        ledger::spent(&mut connection, caller.instance(), at).await?
    };
    let standing = |period: Period, limit, spent| PeriodStanding {
        starts_on: period.start(at),
        resets_at: period.end(at),
        limit,
        spent,
    };
    Ok(Shown {
        periods: [
            standing(Period::Day, budgets.instance.day, day),
            standing(Period::Month, budgets.instance.month, month),
        ],
        table: price_table(),
        warnings: warnings(&budgets, &prices),
        prices,
        budgets,
    })
}

/// Replaces the budgets, for every call from now on.
///
/// # Errors
/// When a field is wrong, or a database fails or has no place for them yet.
pub async fn put(
    app: &App,
    caller: &ClientCaller,
    budgets: Budgets,
) -> Result<Shown, BudgetsError> {
    let (_, currency) = price_table();
    budgets.validate(&currency).map_err(BudgetsError::Invalid)?;
    let connection = app.checkout(caller.registered()).await?;
    stored::put(&connection, &budgets, app.clock().now()).await?;
    drop(connection);
    app.tell_contents_changed(caller.instance()).await;
    get(app, caller).await
}

/// The day and the currency of the price table, read once.
static PRICE_TABLE: LazyLock<(NaiveDate, String)> = LazyLock::new(|| {
    let table = prices::table_date_and_currency();
    let (date, currency) = table.unwrap_or_else(|| (String::new(), "USD".to_owned()));
    (date.parse().unwrap_or_default(), currency)
});

/// The day and the currency of the price table.
#[must_use]
pub fn price_table() -> (NaiveDate, String) {
    PRICE_TABLE.clone()
}

/// A limit of money keeps models from being asked whose price nobody knows.
fn warnings(budgets: &Budgets, prices: &[ConfiguredPrice]) -> Vec<Violation> {
    let unknown = prices
        .iter()
        .filter(|it| budgets.has_money() && it.price.is_none());
    unknown
        .map(|it| Violation {
            field: "prices".to_owned(),
            message: format!(
                "The price of “{}” ({}) is not known, so it is not asked while a budget limits money. Give its input_price and output_price.",
                it.name, it.model
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_warns_from_four_fifths_on_and_is_exhausted_when_nothing_is_left() {
        for (spent, limit, state) in [
            (0, None, BudgetState::Ok),
            (i64::MAX, None, BudgetState::Ok),
            (79, Some(100), BudgetState::Ok),
            (80, Some(100), BudgetState::Warning),
            (99, Some(100), BudgetState::Warning),
            (100, Some(100), BudgetState::Exhausted),
            (0, Some(0), BudgetState::Exhausted),
            (i64::MAX, Some(i64::MAX), BudgetState::Exhausted),
        ] {
            assert_eq!(BudgetState::of(spent, limit), state, "{spent} of {limit:?}");
        }
    }
}
