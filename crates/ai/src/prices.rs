//! What models cost and how much they read, as far as it is known: a table that is shipped as
//! data (`data/prices.json`, with its date).
//!
//! What is not in the table is unknown, which is not 0. Models on one's own machine, and quoting
//! documents, cost nothing, and the table says so. Money is counted in whole millionths of the
//! table's currency: prices have few decimals, and sums of rounded sums would not add up.

use std::sync::LazyLock;

use serde::Deserialize;
use stoa_domain::Provider;

use crate::answer::Usage;

const TABLE: &str = include_str!("../data/prices.json");

/// The context window of a model that nobody knows: every model that is served today reads as
/// much.
pub const CAUTIOUS_CONTEXT_WINDOW: u32 = 8_192;

/// Tokens that a price is for.
const PER: u128 = 1_000_000;

/// What a million tokens cost, in millionths of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Tokens read.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from the provider's cache, where that has a price of its own.
    pub cached_input: Option<u64>,
}

/// What is known of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// What it costs, in the currency of the table.
    pub price: Price,
    /// How many tokens it reads and writes in all.
    pub context_window: Option<u32>,
    /// How many tokens it writes at most.
    pub max_output_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Table {
    as_of: String,
    source: String,
    currency: String,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    provider: Provider,
    models: Vec<String>,
    input: String,
    output: String,
    #[serde(default)]
    cached_input: Option<String>,
    #[serde(default)]
    context_window: Option<u32>,
    #[serde(default)]
    max_output_tokens: Option<u32>,
}

/// One row, read: whose, which model, and what.
type Known = (Provider, String, ModelFacts);

/// The table, read once. That it can be read is tested, so what cannot be is left out.
static ROWS: LazyLock<Vec<Known>> = LazyLock::new(|| rows().unwrap_or_default());

/// The day of the table, and the currency of its prices.
#[must_use]
pub fn table_date_and_currency() -> Option<(String, String)> {
    let table: Table = serde_json::from_str(TABLE).ok()?;
    Some((table.as_of, table.currency))
}

/// Where the table's prices are from.
#[must_use]
pub fn table_source() -> Option<String> {
    let table: Table = serde_json::from_str(TABLE).ok()?;
    Some(table.source)
}

/// The models of the table, each with whose it is.
pub fn known_models() -> impl Iterator<Item = (Provider, &'static str)> {
    let named = ROWS.iter().filter(|(_, name, _)| name != "*");
    named.map(|(provider, name, _)| (*provider, name.as_str()))
}

/// What is known of `model`, by the name that the provider gives it.
#[must_use]
pub fn model_of(provider: Provider, model: &str) -> Option<ModelFacts> {
    let model = model.strip_prefix("models/").unwrap_or(model);
    let rows = || ROWS.iter().filter(|(of, ..)| *of == provider);
    let exact = rows().find(|(_, name, _)| name == model || name == "*");
    let dated = || rows().find(|(_, name, _)| is_version_of(model, name));
    exact.or_else(dated).map(|(.., facts)| *facts)
}

/// What `model` costs by the table; `None` where nobody knows.
#[must_use]
pub fn price_of(provider: Provider, model: &str) -> Option<Price> {
    model_of(provider, model).map(|it| it.price)
}

/// How many tokens `model` reads and writes in all: by the table, or what every model does.
#[must_use]
pub fn context_window(provider: Provider, model: &str) -> u32 {
    model_of(provider, model)
        .and_then(|it| it.context_window)
        .unwrap_or(CAUTIOUS_CONTEXT_WINDOW)
}

/// What `usage` cost, in millionths of the price's currency, rounded to the nearest; `None` where
/// that is more than can be counted. Tokens from a cache cost what others do where they have no
/// price of their own.
#[must_use]
pub fn cost(usage: Usage, price: Price) -> Option<u64> {
    let cached = match price.cached_input {
        Some(_) => usage
            .cached_input_tokens
            .unwrap_or(0)
            .min(usage.input_tokens),
        None => 0,
    };
    let items = [
        (usage.input_tokens - cached, price.input),
        (cached, price.cached_input.unwrap_or(0)),
        (usage.output_tokens, price.output),
    ];
    let sum = items.iter().try_fold(0_u128, |sum, (tokens, price)| {
        sum.checked_add(u128::from(*tokens) * u128::from(*price))
    })?;
    u64::try_from(sum.checked_add(PER / 2)? / PER).ok()
}

/// `text`, a decimal such as `0.075`, in millionths; `None` for what is none or has more digits.
#[must_use]
pub fn millionths(text: &str) -> Option<u64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
    if whole.is_empty() || fraction.len() > 6 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let fraction: u64 = format!("{fraction:0<6}").parse().ok()?;
    whole
        .parse::<u64>()
        .ok()?
        .checked_mul(1_000_000)?
        .checked_add(fraction)
}

/// Whether `model` is `name` with a date or a short number behind it.
fn is_version_of(model: &str, name: &str) -> bool {
    let Some(version) = model.strip_prefix(name).and_then(|it| it.strip_prefix('-')) else {
        return false;
    };
    let digits = version.bytes().filter(u8::is_ascii_digit).count();
    let dashes = version.bytes().filter(|it| *it == b'-').count();
    digits + dashes == version.len() && matches!((digits, dashes), (3 | 4 | 8, 0) | (8, 2))
}

fn rows() -> Option<Vec<Known>> {
    let table: Table = serde_json::from_str(TABLE).ok()?;
    let known = table.rows.into_iter().map(|row| {
        let cached = row.cached_input.as_deref().map(millionths);
        let facts = ModelFacts {
            price: Price {
                input: millionths(&row.input)?,
                output: millionths(&row.output)?,
                cached_input: match cached {
                    Some(price) => Some(price?),
                    None => None,
                },
            },
            context_window: row.context_window,
            max_output_tokens: row.max_output_tokens,
        };
        Some((row.provider, row.models, facts))
    });
    let known: Vec<_> = known.collect::<Option<_>>()?;
    let each = known.into_iter().flat_map(|(provider, models, facts)| {
        models
            .into_iter()
            .map(move |model| (provider, model, facts))
    });
    Some(each.collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_reads_and_names_each_model_once() {
        let rows = rows().unwrap();
        assert!(rows.len() > 100);
        let mut names: Vec<_> = rows.iter().map(|(of, name, _)| (*of, name)).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), rows.len());
        for (_, name, facts) in &rows {
            let cached = facts.price.cached_input.unwrap_or(0);
            assert!(cached <= facts.price.input, "{name}");
            if let (Some(window), Some(output)) = (facts.context_window, facts.max_output_tokens) {
                assert!(output <= window, "{name}");
            }
        }
        let (date, currency) = table_date_and_currency().unwrap();
        assert_eq!((date.len(), currency.as_str()), (10, "USD"));
        assert!(table_source().unwrap().contains("litellm"));
    }

    #[test]
    fn a_model_is_found_by_its_name_and_dated_versions_and_no_other() {
        let input = |provider, model| price_of(provider, model).map(|it| it.input);
        let openai = |model| input(Provider::Openai, model);
        assert_eq!(openai("gpt-4o"), Some(2_500_000));
        assert_eq!(openai("gpt-4o-2024-08-06"), Some(2_500_000));
        assert_eq!(openai("gpt-4o-2024-05-13"), Some(5_000_000));
        assert_eq!(openai("gpt-4o-mini-2024-07-18"), Some(150_000));
        for unknown in [
            "gpt-4o-audio-preview",
            "gpt-4-32k",
            "chatgpt-4o-latest",
            "",
            "gpt-4o-",
            "gpt-4o-9",
        ] {
            assert_eq!(openai(unknown), None, "{unknown}");
        }
        assert_eq!(
            input(Provider::Anthropic, "claude-3-haiku-20240307"),
            Some(250_000)
        );
        assert_eq!(
            input(Provider::Gemini, "models/gemini-2.0-flash-001"),
            Some(100_000)
        );
        assert_eq!(input(Provider::OpenaiCompatible, "gpt-4o"), None);
        assert_eq!(
            input(Provider::AzureOpenai, "gpt-4o"),
            None,
            "a deployment's name is no model's"
        );
    }

    #[test]
    fn what_runs_at_home_costs_nothing_and_that_is_known() {
        let usage = Usage {
            input_tokens: u64::MAX,
            output_tokens: u64::MAX,
            cached_input_tokens: None,
        };
        for provider in [Provider::Ollama, Provider::Passages] {
            let price = price_of(provider, "any").unwrap();
            assert_eq!(cost(usage, price), Some(0));
        }
        let price = price_of(Provider::Openai, "o1").unwrap();
        assert_eq!(
            cost(usage, price),
            None,
            "more than can be counted is no number"
        );
    }

    #[test]
    fn costs_are_exact() {
        let usage = |input_tokens, output_tokens, cached_input_tokens| Usage {
            input_tokens,
            output_tokens,
            cached_input_tokens,
        };
        let price = price_of(Provider::Openai, "gpt-4o-mini").unwrap();
        assert_eq!(
            cost(usage(1_000_000, 1_000_000, None), price),
            Some(750_000)
        );
        assert_eq!(
            cost(usage(1_000_000, 0, Some(400_000)), price),
            Some(120_000)
        );
        // Half a millionth is one, less is none.
        assert_eq!(cost(usage(10, 0, None), price), Some(2));
        assert_eq!(cost(usage(3, 0, None), price), Some(0));
        assert_eq!(
            cost(usage(5, 0, Some(9)), price),
            Some(0),
            "no more is cached than was read"
        );
    }

    #[test]
    fn decimals_are_read_without_rounding() {
        for (text, value) in [
            ("0", 0),
            ("2.50", 2_500_000),
            ("0.075", 75_000),
            ("0.000001", 1),
        ] {
            assert_eq!(millionths(text), Some(value));
        }
        for wrong in [
            "",
            ".5",
            "-1",
            "1e3",
            "1.0000001",
            "1,5",
            "99999999999999999",
        ] {
            assert_eq!(millionths(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_window_that_is_not_known_is_a_small_one() {
        assert_eq!(
            context_window(Provider::Anthropic, "claude-sonnet-4-5"),
            200_000
        );
        assert_eq!(
            context_window(Provider::Ollama, "llama"),
            CAUTIOUS_CONTEXT_WINDOW
        );
    }

    proptest! {
        #[test]
        fn a_cost_is_the_sum_of_its_tokens(input in 0_u64..10_000_000, output in 0_u64..10_000_000, cached in 0_u64..10_000_000) {
            let price = Price { input: 2_500_000, output: 10_000_000, cached_input: Some(1_250_000) };
            let usage = Usage { input_tokens: input, output_tokens: output, cached_input_tokens: Some(cached) };
            let cached = cached.min(input);
            let exact = (input - cached) as f64 * 2.5 + cached as f64 * 1.25 + output as f64 * 10.0;
            let counted = cost(usage, price).unwrap() as f64;
            prop_assert!((counted - exact).abs() <= 0.5);
        }
    }
}
