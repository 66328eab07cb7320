//! The form of budgets. Its fields have the names by which the client API names what is wrong with
//! them; money is typed as people write it and counted in minor units.

use stoa_domain::Budgets;
use stoa_domain::budgets::{PeriodLimits, SpendLimit};
use stoa_domain::violation::Violations;

use super::super::super::error::PageError;
use super::super::super::form::Fields;
use super::super::refusal::Labels;
use crate::http::problem::Problem;

/// The form's fields.
pub(super) const LABELS: Labels = &[
    ("instance.day.tokens", "Everything, tokens a day"),
    ("instance.day.money", "Everything, money a day"),
    ("instance.month.tokens", "Everything, tokens a month"),
    ("instance.month.money", "Everything, money a month"),
    ("end_user.day.tokens", "Each end user, tokens a day"),
    ("end_user.day.money", "Each end user, money a day"),
    ("end_user.month.tokens", "Each end user, tokens a month"),
    ("end_user.month.money", "Each end user, money a month"),
    ("address.day.tokens", "Each address, tokens a day"),
    ("address.day.money", "Each address, money a day"),
    ("address.month.tokens", "Each address, tokens a month"),
    ("address.month.money", "Each address, money a month"),
    ("exceeded_message", "What visitors read"),
];

const TOKENS: &str = "a whole number, such as 2000000; leave it empty for no limit";
const MONEY: &str = "an amount such as 12.50; leave it empty for no limit";

/// Budgets as the form shows them.
pub(super) struct BudgetsForm {
    pub(super) groups: Vec<Group>,
    pub(super) exceeded_message: String,
}

/// The limits of everything, of an end user or of an address.
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) help: &'static str,
    pub(super) limits: Vec<Limit>,
}

/// One limit.
pub(super) struct Limit {
    /// Such as `instance.day.tokens`.
    pub(super) name: String,
    pub(super) label: &'static str,
    /// Whether it is money, which has a currency.
    pub(super) is_money: bool,
    pub(super) value: String,
}

const GROUPS: [(&str, &str, &str); 3] = [
    (
        "instance",
        "Everything together",
        "All conversations, summaries, searches and programs of this client.",
    ),
    (
        "end_user",
        "Each end user",
        "A known person; else each conversation.",
    ),
    (
        "address",
        "Each address",
        "Each internet address that people chat from.",
    ),
];

const FIELDS: [(&str, &str, bool); 4] = [
    ("day.tokens", "Tokens a day", false),
    ("day.money", "Money a day", true),
    ("month.tokens", "Tokens a month", false),
    ("month.money", "Money a month", true),
];

impl BudgetsForm {
    /// What is set.
    pub(super) fn of(budgets: &Budgets) -> Self {
        let limits = |whose: &str| match whose {
            "instance" => budgets.instance,
            "end_user" => budgets.end_user,
            _ => budgets.address,
        };
        Self {
            groups: groups(|whose, field| {
                let PeriodLimits { day, month } = limits(whose);
                let number = |limit: Option<i64>| limit.map(|it| it.to_string());
                let text = match field {
                    "day.tokens" => number(day.tokens),
                    "day.money" => day.money.map(amount),
                    "month.tokens" => number(month.tokens),
                    _ => month.money.map(amount),
                };
                text.unwrap_or_default()
            }),
            exceeded_message: budgets.exceeded_message.clone(),
        }
    }

    /// Reads a form that was sent: how to show it again, and what it asks for.
    ///
    /// # Errors
    /// When it is no form of ours. What somebody typed wrongly is in the second half.
    pub(super) fn read(
        mut fields: Fields,
        currency: &str,
    ) -> Result<(Self, Result<Budgets, Problem>), PageError> {
        let form = Self {
            groups: groups(|whose, field| fields.take(&format!("{whose}.{field}"))),
            exceeded_message: fields.take("exceeded_message").replace("\r\n", "\n"),
        };
        fields.end()?;
        let mut wrong = Violations::default();
        let mut limits = form.groups.iter().map(|group| group.read(&mut wrong));
        let mut next = || limits.next().unwrap_or_default();
        let budgets = Budgets {
            instance: next(),
            end_user: next(),
            address: next(),
            currency: currency.to_owned(),
            exceeded_message: form.exceeded_message.clone(),
        };
        drop(limits);
        let budgets = wrong.into_result().map(|()| budgets);
        Ok((form, budgets.map_err(Problem::invalid)))
    }
}

impl Group {
    fn read(&self, wrong: &mut Violations) -> PeriodLimits {
        let mut values = self.limits.iter().map(|limit| limit.read(wrong));
        let mut next = || values.next().flatten();
        let mut limit = || SpendLimit {
            tokens: next(),
            money: next(),
        };
        PeriodLimits {
            day: limit(),
            month: limit(),
        }
    }
}

impl Limit {
    fn read(&self, wrong: &mut Violations) -> Option<i64> {
        let text = self.value.trim();
        if text.is_empty() {
            return None;
        }
        let (value, right) = if self.is_money {
            (minor_units(text), MONEY)
        } else {
            (whole(text), TOKENS)
        };
        wrong.require(value.is_some(), &self.name, right);
        value
    }
}

fn groups(mut value: impl FnMut(&str, &str) -> String) -> Vec<Group> {
    let group = |(whose, title, help): (&'static str, _, _)| Group {
        title,
        help,
        limits: FIELDS
            .iter()
            .map(|&(field, label, is_money)| Limit {
                name: format!("{whose}.{field}"),
                label,
                is_money,
                value: value(whose, field),
            })
            .collect(),
    };
    GROUPS.into_iter().map(group).collect()
}

/// Digits, with the spaces and commas with which people group them.
fn whole(text: &str) -> Option<i64> {
    let digits: String = text
        .chars()
        .filter(|it| !matches!(it, ' ' | ',' | '_' | '\u{a0}' | '\u{202f}'))
        .collect();
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

/// An amount with at most two decimals, in hundredths. A comma could be either mark, so it is none.
fn minor_units(text: &str) -> Option<i64> {
    let (whole_part, decimals) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |part: &str| part.bytes().all(|it| it.is_ascii_digit());
    if whole_part.is_empty() || decimals.len() > 2 || !is_digits(whole_part) || !is_digits(decimals)
    {
        return None;
    }
    let major: i64 = whole_part.parse().ok()?;
    let minor: i64 = format!("{decimals:0<2}").parse().ok()?;
    major.checked_mul(100)?.checked_add(minor)
}

/// Hundredths as people write them.
pub(super) fn amount(minor: i64) -> String {
    format!("{}.{:02}", minor / 100, (minor % 100).abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_counted_in_hundredths_and_written_as_they_were_typed() {
        for (text, minor) in [
            ("12.50", 1_250),
            ("12.5", 1_250),
            ("7", 700),
            ("0.07", 7),
            ("0", 0),
        ] {
            assert_eq!(minor_units(text), Some(minor), "{text}");
        }
        for wrong in [
            "",
            ".",
            ".5",
            "-1",
            "1,50",
            "1.234",
            "1e3",
            "five",
            "99999999999999999999",
            "1.-5",
        ] {
            assert_eq!(minor_units(wrong), None, "{wrong}");
        }
        assert_eq!(
            (amount(1_250), amount(7), amount(0)),
            ("12.50".into(), "0.07".into(), "0.00".into())
        );
    }

    #[test]
    fn numbers_may_be_grouped() {
        for text in ["2000000", "2 000 000", "2,000,000", "2_000_000"] {
            assert_eq!(whole(text), Some(2_000_000), "{text}");
        }
        for wrong in ["", ",", "-5", "+5", "1.5", "2e6", "many"] {
            assert_eq!(whole(wrong), None, "{wrong}");
        }
    }
}
