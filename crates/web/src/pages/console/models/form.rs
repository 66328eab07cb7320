//! The form of an AI configuration: what is shown in it, and what is read from it. A key goes in and
//! never comes out again, not even that of a form that was refused.

use std::str::FromStr;

use secrecy::SecretString;
use stoa_app::api_configurations::{Changes, Shown};
use stoa_domain::Provider;
use stoa_domain::violation::Violations;

use super::super::super::error::PageError;
use super::super::super::form::Fields;
use super::super::refusal::Labels;
use crate::http::problem::Problem;

/// The form's fields.
pub(super) const LABELS: Labels = &[
    ("name", "Name"),
    ("provider", "Provider"),
    ("model", "Model"),
    ("base_url", "Address"),
    ("api_key", "Key"),
    ("embedding_model", "Model for search"),
    ("temperature", "Temperature"),
    ("max_output_tokens", "Longest answer"),
    ("priority", "Priority"),
    ("input_price", "Price of tokens read"),
    ("output_price", "Price of tokens written"),
];

const NUMBER: &str = "a number such as 0.15, with a point; or leave it empty";

/// An AI configuration as the form shows it.
pub(super) struct ModelForm {
    pub(super) name: String,
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) base_url: String,
    /// The last characters of the stored key; empty without one.
    pub(super) key_hint: String,
    pub(super) forget_key: bool,
    /// Whether a key was typed, which a refused form does not give back.
    pub(super) typed_a_key: bool,
    pub(super) embedding_model: String,
    pub(super) temperature: String,
    pub(super) max_output_tokens: String,
    pub(super) priority: String,
    pub(super) enabled: bool,
    pub(super) input_price: String,
    pub(super) output_price: String,
}

/// What a form that was sent asks for.
pub(super) struct Wanted {
    pub(super) provider: Provider,
    pub(super) changes: Changes,
}

impl ModelForm {
    /// A new configuration's. What is added is asked after those that there are.
    pub(super) fn blank(there_are: &[Shown]) -> Self {
        let models = there_are.iter().map(|it| &it.stored.settings);
        let models = models.filter(|it| it.provider != Provider::Passages);
        let last = models.map(|it| it.priority).max();
        Self {
            name: String::new(),
            provider: Provider::Openai.as_str().to_owned(),
            model: String::new(),
            base_url: String::new(),
            key_hint: String::new(),
            forget_key: false,
            typed_a_key: false,
            embedding_model: String::new(),
            temperature: String::new(),
            max_output_tokens: String::new(),
            priority: last
                .map_or(0, |it| it.saturating_add(1).min(1_000))
                .to_string(),
            enabled: true,
            input_price: String::new(),
            output_price: String::new(),
        }
    }

    /// A stored configuration's.
    pub(super) fn of(shown: &Shown) -> Self {
        let settings = &shown.stored.settings;
        Self {
            name: settings.name.clone(),
            provider: settings.provider.as_str().to_owned(),
            model: settings.model.clone(),
            base_url: shown
                .base_url
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            key_hint: settings.key_hint.clone().unwrap_or_default(),
            forget_key: false,
            typed_a_key: false,
            embedding_model: settings.embedding_model.clone().unwrap_or_default(),
            temperature: text(settings.temperature),
            max_output_tokens: text(settings.max_output_tokens),
            priority: settings.priority.to_string(),
            enabled: settings.enabled,
            input_price: text(settings.input_price),
            output_price: text(settings.output_price),
        }
    }

    /// Reads a form that was sent, for a new configuration or for the `stored` one: how to show it
    /// again, and what it asks for.
    ///
    /// # Errors
    /// When it is no form of ours. What somebody typed wrongly is in the second half.
    pub(super) fn read(
        mut fields: Fields,
        stored: Option<&Shown>,
    ) -> Result<(Self, Result<Wanted, Problem>), PageError> {
        let key = fields.take("api_key");
        let hint = stored.and_then(|it| it.stored.settings.key_hint.clone());
        let form = Self {
            name: fields.take("name"),
            provider: fields.take("provider"),
            model: fields.take("model"),
            base_url: fields.take("base_url").trim().to_owned(),
            key_hint: hint.unwrap_or_default(),
            forget_key: fields.ticked("forget_key"),
            typed_a_key: !key.is_empty(),
            embedding_model: fields.take("embedding_model").trim().to_owned(),
            temperature: fields.take("temperature"),
            max_output_tokens: fields.take("max_output_tokens"),
            priority: fields.take("priority"),
            enabled: fields.ticked("enabled"),
            input_price: fields.take("input_price"),
            output_price: fields.take("output_price"),
        };
        fields.end()?;
        let wanted = form.wanted(key, stored);
        Ok((form, wanted))
    }

    fn wanted(&self, key: String, stored: Option<&Shown>) -> Result<Wanted, Problem> {
        let mut wrong = Violations::default();
        let provider = self.provider.parse::<Provider>().ok();
        wrong.require(provider.is_some(), "provider", "one of those in the list");
        let temperature = number(&self.temperature, "temperature", NUMBER, &mut wrong);
        let whole = "a whole number such as 800; or leave it empty";
        let longest = number(
            &self.max_output_tokens,
            "max_output_tokens",
            whole,
            &mut wrong,
        );
        let input_price = number(&self.input_price, "input_price", NUMBER, &mut wrong);
        let output_price = number(&self.output_price, "output_price", NUMBER, &mut wrong);
        let order = "a whole number, 0 to 1,000; lower ones are tried first";
        let priority = number(&self.priority, "priority", order, &mut wrong);
        wrong.require(!self.priority.trim().is_empty(), "priority", order);
        wrong.into_result().map_err(Problem::invalid)?;

        let provider = provider.unwrap_or(Provider::Passages);
        let before = stored.map(|it| it.stored.settings.provider);
        // What quotes documents needs no name of a model.
        let names_none = provider == Provider::Passages && self.model.trim().is_empty();
        // An address that does not open here is shown empty and not meant to be removed.
        let keeps_address = self.base_url.is_empty() && stored.is_some_and(|it| it.needs_key);
        let changes = Changes {
            name: Some(self.name.clone()),
            provider: before
                .filter(|before| *before != provider)
                .map(|_| provider),
            model: (!names_none).then(|| self.model.clone()),
            base_url: (!keeps_address).then(|| optional(&self.base_url)),
            api_key: match (self.forget_key, key.is_empty()) {
                (_, false) => Some(Some(SecretString::from(key))),
                (true, true) => Some(None),
                (false, true) => None,
            },
            embedding_model: Some(optional(&self.embedding_model)),
            temperature: Some(temperature),
            max_output_tokens: Some(longest),
            priority,
            enabled: Some(self.enabled),
            input_price: Some(input_price),
            output_price: Some(output_price),
        };
        Ok(Wanted { provider, changes })
    }
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|it| it.to_string()).unwrap_or_default()
}

fn optional(typed: &str) -> Option<String> {
    (!typed.is_empty()).then(|| typed.to_owned())
}

/// A number that may be left out.
fn number<T: FromStr>(typed: &str, field: &str, right: &str, wrong: &mut Violations) -> Option<T> {
    let typed = typed.trim();
    if typed.is_empty() {
        return None;
    }
    let number = typed.parse().ok();
    wrong.require(number.is_some(), field, right);
    number
}
