//! What the operator hears of budgets: a line in the log when one is nearly or wholly used up, once
//! in its period, and figures. Nobody's name, address or hash is in either.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, NaiveDate, Utc};
use stoa_domain::InstanceId;
use stoa_platform_db::budgets::{Limit, Period, Standing, Subject};

use super::WARN_PERCENT;
use crate::registry::Registered;

/// At most so many budgets are remembered as told; then all are forgotten, and told once more.
const MOST_TOLD: usize = 50_000;

/// What was told already.
#[derive(PartialEq, Eq, Hash)]
struct Told {
    instance: InstanceId,
    period: Period,
    starts_on: NaiveDate,
    is_money: bool,
}

/// What happened to budgets in this process.
#[derive(Default)]
pub struct BudgetNews {
    told: Mutex<HashSet<Told>>,
    warnings: AtomicU64,
    stops: [AtomicU64; 4],
}

impl BudgetNews {
    /// Takes note of how a limit of an instance stands when a call is about to be made.
    pub(super) fn note(
        &self,
        registered: &Registered,
        limit: &Limit,
        standing: &Standing,
        at: DateTime<Utc>,
    ) {
        if limit.subject != Subject::Instance {
            return;
        }
        for (is_money, most, used) in [
            (false, limit.tokens, standing.spent_tokens),
            (true, limit.micros, standing.spent_micros),
        ] {
            let Some(most) = most.filter(|most| is_nearly(used, *most)) else {
                continue;
            };
            let told = Told {
                instance: registered.id(),
                period: limit.period,
                starts_on: limit.period.start(at),
                is_money,
            };
            if self.is_new(told) {
                self.warnings.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(
                    instance = %registered.id(),
                    slug = %registered.slug(),
                    period = limit.period.as_str(),
                    unit = if is_money { "millionths" } else { "tokens" },
                    limit = most,
                    "a budget is nearly used up"
                );
            }
        }
    }

    fn is_new(&self, told: Told) -> bool {
        let mut all = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_TOLD {
            all.clear();
        }
        all.insert(told)
    }

    /// Counts a call that was not made.
    pub(super) fn count_stop(&self, subject: Subject) {
        self.stops[place(subject)].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a call that was not made because its price is unknown.
    pub(crate) fn count_unknown_price(&self) {
        self.stops[3].fetch_add(1, Ordering::Relaxed);
    }

    /// How many budgets were nearly used up.
    pub(crate) fn warnings(&self) -> u64 {
        self.warnings.load(Ordering::Relaxed)
    }

    /// How many calls were not made, by what stood against them.
    pub(crate) fn stops(&self) -> [(&'static str, u64); 4] {
        let count = |n: usize| self.stops[n].load(Ordering::Relaxed);
        [
            ("instance", count(0)),
            ("end_user", count(1)),
            ("address", count(2)),
            ("unknown_price", count(3)),
        ]
    }
}

const fn place(subject: Subject) -> usize {
    match subject {
        Subject::Instance => 0,
        Subject::EndUser => 1,
        Subject::Address => 2,
    }
}

/// Whether so much of a limit is used that somebody should know.
pub(super) fn is_nearly(used: i64, most: i64) -> bool {
    i128::from(used) * 100 >= i128::from(most) * i128::from(WARN_PERCENT)
}
