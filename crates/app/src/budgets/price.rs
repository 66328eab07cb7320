//! Which price counts for a model: its configuration's own, else the table's, else none is known.

use stoa_ai::Usage;
use stoa_ai::prices::{self, Price};
use stoa_client_db::api_configurations::ApiConfigurationSettings;
use stoa_domain::Provider;

/// Where a price is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PriceSource {
    /// The configuration says it.
    Configuration,
    /// The table that is shipped.
    Table,
    /// Nobody says it.
    Unknown,
}

/// What a configuration's model costs, and who says so. A configuration that gives only one of the
/// two prices takes the other from the table.
#[must_use]
pub fn of_configuration(settings: &ApiConfigurationSettings) -> (Option<Price>, PriceSource) {
    let table = prices::price_of(settings.provider, &settings.model);
    let given = |price: Option<f64>| price.and_then(millionths);
    let (input, output) = (given(settings.input_price), given(settings.output_price));
    if input.is_none() && output.is_none() {
        let source = table.map_or(PriceSource::Unknown, |_| PriceSource::Table);
        return (table, source);
    }
    let price = match (
        input.or(table.map(|it| it.input)),
        output.or(table.map(|it| it.output)),
    ) {
        (Some(input), Some(output)) => Some(Price {
            input,
            output,
            // The table's price for what is cached says nothing beside a price of one's own.
            cached_input: table
                .filter(|_| settings.input_price.is_none())
                .and_then(|it| it.cached_input),
        }),
        _ => None,
    };
    let source = price.map_or(PriceSource::Unknown, |_| PriceSource::Configuration);
    (price, source)
}

/// What texts cost to embed. A configuration's own prices are its chat model's.
pub(super) fn of_embedding(provider: Provider, model: &str) -> Option<Price> {
    prices::price_of(provider, model)
}

/// What so many tokens cost, in millionths; `None` where the price is unknown.
pub(super) fn micros(usage: Usage, price: Option<Price>) -> Option<i64> {
    i64::try_from(prices::cost(usage, price?)?).ok()
}

/// A price for people, of a million tokens, in millionths.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "checked to be in range; a price has few decimals"
)]
fn millionths(price: f64) -> Option<u64> {
    let millionths = (price * 1_000_000.0).round();
    (0.0..1e15)
        .contains(&millionths)
        .then_some(millionths as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(model: &str, input: Option<f64>, output: Option<f64>) -> ApiConfigurationSettings {
        ApiConfigurationSettings {
            name: "n".into(),
            provider: Provider::Openai,
            model: model.into(),
            sealed: None,
            key_hint: None,
            has_base_url: false,
            embedding_model: None,
            temperature: None,
            max_output_tokens: None,
            priority: 0,
            enabled: true,
            input_price: input,
            output_price: output,
        }
    }

    #[test]
    fn a_configurations_own_price_counts_before_the_table() {
        let of = |model, input, output| {
            let (price, source) = of_configuration(&settings(model, input, output));
            (
                price.map(|it| (it.input, it.output, it.cached_input)),
                source,
            )
        };
        let (table, source) = of("gpt-4o", None, None);
        assert_eq!(
            (table, source),
            (
                Some((2_500_000, 10_000_000, Some(1_250_000))),
                PriceSource::Table
            )
        );
        assert_eq!(
            of("gpt-4o", Some(3.0), Some(0.075)),
            (Some((3_000_000, 75_000, None)), PriceSource::Configuration)
        );
        assert_eq!(
            of("gpt-4o", None, Some(1.0)).0,
            Some((2_500_000, 1_000_000, Some(1_250_000)))
        );
        assert_eq!(of("mine", None, None), (None, PriceSource::Unknown));
        assert_eq!(
            of("mine", Some(1.0), None),
            (None, PriceSource::Unknown),
            "half a price is none"
        );
        assert_eq!(
            of("mine", Some(0.0), Some(0.0)),
            (Some((0, 0, None)), PriceSource::Configuration),
            "what somebody says is free is free"
        );
        for wrong in [f64::NAN, -1.0, f64::INFINITY] {
            assert_eq!(millionths(wrong), None);
        }
    }
}
