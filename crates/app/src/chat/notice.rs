//! What a program is told beside an answer that is no model's: that a budget stood against asking one.
//!
//! It is kept as the answer's `error_code`, from which a replay makes the same notice again.

use chrono::{DateTime, Utc};
use stoa_platform_db::budgets::Period;

use super::event::Notice;
use super::opening::Stop;

const DAY: &str = "day_budget_exhausted";
const MONTH: &str = "month_budget_exhausted";
const PRICE: &str = "ai_price_unknown";

/// The notice of a stop.
pub(super) fn of(stop: Stop) -> Notice {
    Notice {
        code: "budget_exhausted",
        resets_at: match stop {
            Stop::Exhausted(exhausted) => Some(exhausted.resets_at),
            Stop::UnknownPrice => None,
        },
    }
}

/// The code under which a stop is kept. Why a client's model is not asked is not for visitors, but
/// for the client.
pub(super) const fn code(stop: Stop) -> &'static str {
    match stop {
        Stop::Exhausted(exhausted) => match exhausted.period {
            Period::Day => DAY,
            Period::Month => MONTH,
        },
        Stop::UnknownPrice => PRICE,
    }
}

/// The notice of a stored answer that began at this time.
pub(super) fn stored(code: Option<&str>, at: DateTime<Utc>) -> Option<Notice> {
    let resets_at = match code? {
        DAY => Some(Period::Day.end(at)),
        MONTH => Some(Period::Month.end(at)),
        PRICE => None,
        _ => return None,
    };
    Some(Notice {
        code: "budget_exhausted",
        resets_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budgets::Exhausted;
    use stoa_platform_db::budgets::Subject;

    #[test]
    fn a_replay_says_what_was_said() {
        let at: DateTime<Utc> = "2025-12-31T23:59:59Z".parse().unwrap();
        for (period, end) in [
            (Period::Day, "2026-01-01T00:00:00Z"),
            (Period::Month, "2026-01-01T00:00:00Z"),
        ] {
            let stop = Stop::Exhausted(Exhausted {
                subject: Subject::Instance,
                period,
                resets_at: period.end(at),
                wait: std::time::Duration::ZERO,
            });
            assert_eq!(stored(Some(code(stop)), at), Some(of(stop)));
            assert_eq!(of(stop).resets_at, Some(end.parse().unwrap()));
        }
        let stop = Stop::UnknownPrice;
        assert_eq!(stored(Some(code(stop)), at), Some(of(stop)));
        assert_eq!(stored(Some("ai_timeout"), at), None);
        assert_eq!(stored(None, at), None);
    }
}
