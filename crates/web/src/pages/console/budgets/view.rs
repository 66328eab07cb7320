//! How budgets stand, and what models cost, as the console shows it.

use stoa_app::budgets::{BudgetState, ConfiguredPrice, PeriodStanding, PriceSource};
use stoa_domain::budgets::MICROS_PER_MINOR;

use super::form::amount;

/// One limit of one period.
pub(super) struct StandingRow {
    pub(super) period: &'static str,
    /// What is counted: "Tokens", or the currency.
    pub(super) unit: String,
    pub(super) spent: String,
    pub(super) reserved: String,
    /// Empty where there is no limit.
    pub(super) limit: String,
    /// Of the limit, for the bar; `None` where there is no limit.
    pub(super) bar: Option<Bar>,
    pub(super) state: &'static str,
    pub(super) state_label: &'static str,
    /// What the figures leave out; may be empty.
    pub(super) note: String,
    pub(super) resets: String,
    pub(super) resets_at: String,
}

/// Hundredths of a limit.
pub(super) struct Bar {
    pub(super) spent: i64,
    pub(super) reserved: i64,
    pub(super) sentence: String,
}

/// What a configuration's model costs.
pub(super) struct PriceRow {
    pub(super) name: String,
    pub(super) model: String,
    /// `None` where it is unknown.
    pub(super) price: Option<(String, String)>,
    pub(super) source: &'static str,
}

/// The rows of a period: tokens and money.
pub(super) fn rows(
    period: &'static str,
    standing: &PeriodStanding,
    currency: &str,
) -> [StandingRow; 2] {
    let (spent, limit) = (standing.spent, standing.limit);
    let money =
        |micros: i64| amount(micros.saturating_add(MICROS_PER_MINOR / 2) / MICROS_PER_MINOR);
    let row = |unit: String,
               [spent, reserved]: [i64; 2],
               limit: Option<i64>,
               shown: &dyn Fn(i64) -> String| {
        let state = BudgetState::of(spent, limit);
        StandingRow {
            period,
            unit,
            spent: shown(spent),
            reserved: shown(reserved),
            limit: limit.map(shown).unwrap_or_default(),
            bar: limit.map(|limit| Bar::of(spent, reserved, limit)),
            state: state.as_str(),
            state_label: state_label(state, limit),
            note: String::new(),
            resets: standing
                .resets_at
                .format("%-d %b %Y, %H:%M UTC")
                .to_string(),
            resets_at: standing.resets_at.to_rfc3339(),
        }
    };
    let tokens = row(
        "Tokens".to_owned(),
        [spent.tokens, spent.reserved_tokens],
        limit.tokens,
        &grouped,
    );
    let mut paid = row(
        currency.to_owned(),
        [spent.micros, spent.reserved_micros],
        limit.micros(),
        &money,
    );
    if spent.unknown_costs > 0 {
        paid.note = format!(
            "Without {} whose price is unknown.",
            counted(spent.unknown_costs, "call", "calls")
        );
    }
    [tokens, paid]
}

impl Bar {
    fn of(spent: i64, reserved: i64, limit: i64) -> Self {
        let spent_part = percent(spent, limit);
        let reserved_part = percent(spent.saturating_add(reserved), limit) - spent_part;
        Self {
            spent: spent_part,
            reserved: reserved_part,
            sentence: match reserved_part {
                0 => format!("{spent_part} % spent"),
                _ => format!("{spent_part} % spent, {reserved_part} % reserved"),
            },
        }
    }
}

impl From<ConfiguredPrice> for PriceRow {
    fn from(priced: ConfiguredPrice) -> Self {
        Self {
            name: priced.name,
            model: priced.model,
            price: priced.price.map(|it| (price(it.input), price(it.output))),
            source: source_label(priced.source),
        }
    }
}

/// Who says a price.
pub(in super::super) const fn source_label(source: PriceSource) -> &'static str {
    match source {
        PriceSource::Configuration => "Your configuration",
        PriceSource::Table => "Price table",
        PriceSource::Unknown => "Nobody says it",
    }
}

/// Millionths as people write money: with two decimals, or as many as it takes.
pub(in super::super) fn price(millionths: u64) -> String {
    let text = format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000);
    let short = text.trim_end_matches('0');
    let decimals = short.len() - short.find('.').unwrap_or(0) - 1;
    format!("{short}{}", &"00"[..2_usize.saturating_sub(decimals)])
}

const fn state_label(state: BudgetState, limit: Option<i64>) -> &'static str {
    match (state, limit) {
        (_, None) => "No limit",
        (BudgetState::Ok, _) => "Room left",
        (BudgetState::Warning, _) => "Nearly used up",
        (BudgetState::Exhausted, _) => "Used up",
    }
}

/// Rounded down, 0 to 100.
fn percent(part: i64, limit: i64) -> i64 {
    if limit <= 0 {
        return 100;
    }
    let percent = i128::from(part.max(0)) * 100 / i128::from(limit);
    i64::try_from(percent.min(100)).unwrap_or(100)
}

/// Digits in groups of three.
fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if number < 0 { format!("-{text}") } else { text }
}

fn counted(number: i64, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{} {word}", grouped(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
            (-1_000, "-1,000"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn a_bar_is_never_longer_than_its_limit() {
        let bar = Bar::of(90, 30, 100);
        assert_eq!((bar.spent, bar.reserved), (90, 10));
        let bar = Bar::of(i64::MAX, i64::MAX, 1);
        assert_eq!((bar.spent, bar.reserved), (100, 0));
        let bar = Bar::of(0, 0, 0);
        assert_eq!(
            (bar.spent, bar.reserved, bar.sentence.as_str()),
            (100, 0, "100 % spent")
        );
    }
}
