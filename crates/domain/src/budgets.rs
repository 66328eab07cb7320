//! What an instance, each of its end users and each address may spend on AI by day and by month.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::violation::{Violation, Violations};

/// The most tokens that a limit can be, and the most money in minor units: both far beyond what
/// anybody spends, and small enough that sums of them do not overflow.
const MOST_TOKENS: i64 = 1_000_000_000_000_000;
const MOST_MONEY: i64 = 100_000_000_000;

/// Millionths in a minor unit of a currency that has hundredths.
pub const MICROS_PER_MINOR: i64 = 10_000;

/// An instance's budgets. What is absent is not limited. Days and months are UTC's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Budgets {
    /// What everything together may take.
    pub instance: PeriodLimits,
    /// What each end user may take: a known one, else each conversation.
    pub end_user: PeriodLimits,
    /// What may be taken from each address that people chat from; in IPv6 from each network of 64
    /// bits.
    pub address: PeriodLimits,
    /// The currency of money in these budgets: that of the price table, `USD`.
    pub currency: String,
    /// What a visitor reads instead of an answer when a budget is exhausted, 1 to 1,000 characters.
    pub exceeded_message: String,
}

/// Limits by day and by month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PeriodLimits {
    /// From midnight to midnight.
    pub day: SpendLimit,
    /// From the first of a month to the next.
    pub month: SpendLimit,
}

/// A limit; either, both or neither may be set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SpendLimit {
    /// Tokens that models read and write.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tokens: Option<i64>,
    /// Their price in minor units of the currency: 500 for 5 dollars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub money: Option<i64>,
}

impl SpendLimit {
    /// Whether neither is limited.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.tokens.is_none() && self.money.is_none()
    }

    /// The limit of money in millionths.
    #[must_use]
    pub fn micros(self) -> Option<i64> {
        self.money
            .map(|minor| minor.saturating_mul(MICROS_PER_MINOR))
    }
}

impl PeriodLimits {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.day.is_none() && self.month.is_none()
    }

    /// Whether money is limited.
    #[must_use]
    pub const fn has_money(self) -> bool {
        self.day.money.is_some() || self.month.money.is_some()
    }
}

impl Default for Budgets {
    fn default() -> Self {
        let none = PeriodLimits::default();
        Self {
            instance: none,
            end_user: none,
            address: none,
            currency: "USD".into(),
            exceeded_message: "I cannot answer any more questions for now. Please try again later."
                .into(),
        }
    }
}

impl Budgets {
    /// Whether nothing is limited.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.instance.is_none() && self.end_user.is_none() && self.address.is_none()
    }

    /// Whether anybody's money is limited.
    #[must_use]
    pub const fn has_money(&self) -> bool {
        self.instance.has_money() || self.end_user.has_money() || self.address.has_money()
    }

    /// Examines every field; `currency` is that of prices.
    ///
    /// # Errors
    /// Each field that is wrong, with what would be right.
    pub fn validate(&self, currency: &str) -> Result<(), Vec<Violation>> {
        let mut violations = Violations::default();
        for (whose, limits) in [
            ("instance", self.instance),
            ("end_user", self.end_user),
            ("address", self.address),
        ] {
            for (period, limit) in [("day", limits.day), ("month", limits.month)] {
                violations.require(
                    limit
                        .tokens
                        .is_none_or(|it| (0..=MOST_TOKENS).contains(&it)),
                    &format!("{whose}.{period}.tokens"),
                    "a whole number of tokens, 0 to 10^15",
                );
                violations.require(
                    limit.money.is_none_or(|it| (0..=MOST_MONEY).contains(&it)),
                    &format!("{whose}.{period}.money"),
                    "a whole number of minor units, 0 to 10^11: 500 for 5 dollars",
                );
            }
        }
        violations.require(
            self.currency == currency,
            "currency",
            &format!("“{currency}”, the currency of the prices that are known"),
        );
        violations.require_text(&self.exceeded_message, 1_000, "exceeded_message");
        violations.require(
            !self.exceeded_message.trim().is_empty(),
            "exceeded_message",
            "a sentence: it is what visitors read when a budget is exhausted",
        );
        violations.into_result()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_limits_nothing_and_an_empty_object_means_it() {
        let default = Budgets::default();
        assert_eq!(default.validate("USD"), Ok(()));
        assert!(default.is_none() && !default.has_money());
        assert_eq!(serde_json::from_str::<Budgets>("{}").unwrap(), default);
        assert!(serde_json::from_str::<Budgets>(r#"{"instance":{"week":{}}}"#).is_err());
    }

    #[test]
    fn one_limit_of_money_is_enough_to_need_prices() {
        let some: Budgets = serde_json::from_str(r#"{"address":{"month":{"money":500}}}"#).unwrap();
        assert!(some.has_money() && !some.is_none());
        assert_eq!(some.address.month.micros(), Some(5_000_000));
        let tokens: Budgets = serde_json::from_str(r#"{"end_user":{"day":{"tokens":0}}}"#).unwrap();
        assert!(
            !tokens.has_money() && !tokens.is_none(),
            "none at all is a limit too"
        );
    }

    #[test]
    fn each_wrong_field_is_named() {
        let wrong = Budgets {
            instance: PeriodLimits {
                day: SpendLimit {
                    tokens: Some(-1),
                    money: Some(i64::MAX),
                },
                ..PeriodLimits::default()
            },
            currency: "EUR".into(),
            exceeded_message: " ".into(),
            ..Budgets::default()
        };
        let fields: Vec<_> = wrong
            .validate("USD")
            .unwrap_err()
            .into_iter()
            .map(|it| it.field)
            .collect();
        assert_eq!(
            fields,
            [
                "instance.day.tokens",
                "instance.day.money",
                "currency",
                "exceeded_message"
            ]
        );
    }
}
