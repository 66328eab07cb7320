//! What a person sets about a provider, before it is stored: changed field by field, then examined.

use secrecy::{ExposeSecret as _, SecretString};
use stoa_client_db::api_configurations::{ApiConfiguration, ApiConfigurationSettings};
use stoa_domain::violation::Violations;
use stoa_domain::{Provider, Violation};
use url::Url;

use crate::contents::needs_no_key;

const LONGEST_KEY: usize = 4_096;
const LONGEST_URL: usize = 2_000;
const LARGEST_PRICE: f64 = 1_000_000.0;
/// Keys that are shorter show fewer than their last four characters.
const SHORTEST_FOR_HINT: usize = 8;

/// What is to be different. `None` leaves a field as it is, `Some(None)` clears it.
#[derive(Default)]
pub struct Changes {
    /// What it is called.
    pub name: Option<String>,
    /// Which provider.
    pub provider: Option<Provider>,
    /// Which model answers.
    pub model: Option<String>,
    /// Where the API is.
    pub base_url: Option<Option<String>>,
    /// The key.
    pub api_key: Option<Option<SecretString>>,
    /// Which model embeds.
    pub embedding_model: Option<Option<String>>,
    /// The sampling temperature.
    pub temperature: Option<Option<f64>>,
    /// The most tokens of an answer.
    pub max_output_tokens: Option<Option<i32>>,
    /// Lower ones are tried first.
    pub priority: Option<i32>,
    /// Whether it is used at all.
    pub enabled: Option<bool>,
    /// The price of a million tokens read.
    pub input_price: Option<Option<f64>>,
    /// The price of a million tokens written.
    pub output_price: Option<Option<f64>>,
}

impl Changes {
    /// Whether they would seal a stored configuration anew without the address that it has, which is
    /// in what is sealed. A key must not go to the provider's own address because another was lost.
    pub(super) fn loses_address(&self, stored: &ApiConfigurationSettings) -> bool {
        let reseals = self.api_key.is_some() || self.provider.is_some();
        stored.has_base_url && reseals && self.base_url.is_none()
    }
}

/// A configuration as it is to be stored, but for the sealing.
pub(super) struct Draft {
    pub(super) settings: ApiConfigurationSettings,
    /// The address as text: examined later than it is set.
    pub(super) base_url: Option<String>,
    /// The key, where it is given or was stored and is kept.
    pub(super) api_key: Option<SecretString>,
    /// Whether key and address are to be sealed anew.
    pub(super) reseal: bool,
}

/// The address was changed, and the key that was stored for the old one was not given again.
pub(super) struct KeyRequired;

impl Draft {
    /// A new configuration.
    pub(super) fn new(provider: Provider) -> Self {
        Self {
            settings: ApiConfigurationSettings {
                name: String::new(),
                provider,
                model: match provider {
                    Provider::Passages => provider.to_string(),
                    _ => String::new(),
                },
                sealed: None,
                key_hint: None,
                has_base_url: false,
                embedding_model: None,
                temperature: None,
                max_output_tokens: None,
                priority: 0,
                enabled: true,
                input_price: None,
                output_price: None,
            },
            base_url: None,
            api_key: None,
            reseal: true,
        }
    }

    /// A stored configuration, with its opened address and key.
    pub(super) fn of(
        stored: ApiConfiguration,
        base_url: Option<String>,
        api_key: Option<SecretString>,
    ) -> Self {
        Self {
            settings: stored.settings,
            base_url,
            api_key,
            reseal: false,
        }
    }

    /// Applies changes. A stored key never goes to another address than the one it was given for:
    /// whoever changes the provider or the address gives the key again, or clears it.
    pub(super) fn apply(&mut self, changes: Changes) -> Result<(), KeyRequired> {
        let settings = &mut self.settings;
        set(&mut settings.name, changes.name.map(|it| it.trim().into()));
        set(
            &mut settings.model,
            changes.model.map(|it| it.trim().into()),
        );
        set(&mut settings.embedding_model, changes.embedding_model);
        set(&mut settings.temperature, changes.temperature);
        set(&mut settings.max_output_tokens, changes.max_output_tokens);
        set(&mut settings.priority, changes.priority);
        set(&mut settings.enabled, changes.enabled);
        set(&mut settings.input_price, changes.input_price);
        set(&mut settings.output_price, changes.output_price);

        let base_url = changes.base_url.map(|it| it.map(|it| it.trim().to_owned()));
        let moved = changes.provider.is_some_and(|it| it != settings.provider)
            || base_url.as_ref().is_some_and(|it| !self.is_at(it));
        set(&mut self.settings.provider, changes.provider);
        set(&mut self.base_url, base_url);
        let key_given = changes.api_key.is_some();
        set(
            &mut self.api_key,
            changes.api_key.map(|it| it.map(|it| trimmed(&it))),
        );
        self.reseal |= moved || key_given;
        if self.settings.provider == Provider::Passages {
            // It asks nobody, so there is nothing to keep.
            (self.base_url, self.api_key) = (None, None);
        } else if moved && !key_given && self.settings.key_hint.is_some() {
            return Err(KeyRequired);
        }
        Ok(())
    }

    /// Whether `other` is the present address, however it is written.
    fn is_at(&self, other: &Option<String>) -> bool {
        let parsed = |text: &Option<String>| text.as_deref().map(Url::parse);
        match (parsed(&self.base_url), parsed(other)) {
            (Some(Ok(present)), Some(Ok(other))) => present == other,
            _ => self.base_url == *other,
        }
    }

    /// Examines every field.
    pub(super) fn validate(&self) -> Result<(), Vec<Violation>> {
        let mut violations = Violations::default();
        let settings = &self.settings;
        let named = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
        violations.require(named(&settings.name, 100), "name", "1 to 100 characters");
        violations.require(
            named(&settings.model, 200),
            "model",
            "the provider's name of the model, 1 to 200 characters",
        );
        self.validate_endpoint(&mut violations);
        if let Some(model) = &settings.embedding_model {
            violations.require(
                settings.provider != Provider::Passages,
                "embedding_model",
                "passages asks no model; set it on a configuration of a provider that embeds",
            );
            violations.require(
                named(model.trim(), 200),
                "embedding_model",
                "the provider's name of the model, 1 to 200 characters, or null",
            );
        }
        violations.require(
            settings
                .temperature
                .is_none_or(|it| (0.0..=2.0).contains(&it)),
            "temperature",
            "0 to 2, or null for the model's own",
        );
        violations.require(
            settings
                .max_output_tokens
                .is_none_or(|it| (1..=1_000_000).contains(&it)),
            "max_output_tokens",
            "1 to 1,000,000, or null for the model's own limit",
        );
        violations.require(
            (0..=1_000).contains(&settings.priority),
            "priority",
            "0 to 1,000; lower ones are tried first",
        );
        for (price, field) in [
            (settings.input_price, "input_price"),
            (settings.output_price, "output_price"),
        ] {
            violations.require(
                price.is_none_or(|it| (0.0..=LARGEST_PRICE).contains(&it)),
                field,
                "the price of a million tokens, 0 or more, or null",
            );
        }
        violations.into_result()
    }

    fn validate_endpoint(&self, violations: &mut Violations) {
        let provider = self.settings.provider;
        match &self.base_url {
            Some(base_url) => violations.require(
                is_base_url(base_url),
                "base_url",
                "an address such as “https://api.example.com/v1”, without user, password or fragment",
            ),
            // A stored address that does not open any more is still stored.
            None => violations.require(
                !matches!(
                    provider,
                    Provider::OpenaiCompatible | Provider::AzureOpenai
                ) || (!self.reseal && self.settings.has_base_url),
                "base_url",
                "this provider has no address of its own: say where the API is",
            ),
        }
        match &self.api_key {
            Some(key) => violations.require(
                is_key(key.expose_secret()),
                "api_key",
                "the provider's key: letters, digits and signs without spaces",
            ),
            // A stored key that does not open any more is still stored.
            None => violations.require(
                needs_no_key(provider) || (!self.reseal && self.settings.key_hint.is_some()),
                "api_key",
                "this provider needs a key",
            ),
        }
    }
}

/// The last characters of a key, by which people tell theirs apart.
pub(super) fn hint(key: &SecretString) -> String {
    let key: Vec<char> = key.expose_secret().chars().collect();
    let shown = if key.len() < SHORTEST_FOR_HINT {
        key.len() / 2
    } else {
        4
    };
    key[key.len() - shown..].iter().collect()
}

fn set<T>(field: &mut T, change: Option<T>) {
    if let Some(change) = change {
        *field = change;
    }
}

/// People paste keys with the line's end.
fn trimmed(key: &SecretString) -> SecretString {
    SecretString::from(key.expose_secret().trim().to_owned())
}

fn is_key(key: &str) -> bool {
    (1..=LONGEST_KEY).contains(&key.len()) && key.bytes().all(|it| it.is_ascii_graphic())
}

fn is_base_url(text: &str) -> bool {
    text.len() <= LONGEST_URL
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http")
                && url.host_str().is_some_and(|host| !host.is_empty())
                && url.username().is_empty()
                && url.password().is_none()
                && url.fragment().is_none()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored_key(base_url: &str) -> Draft {
        let mut draft = Draft::new(Provider::OpenaiCompatible);
        draft.settings.key_hint = Some("cdef".into());
        draft.base_url = Some(base_url.into());
        draft.api_key = Some("sk-0123456789abcdef".into());
        draft.reseal = false;
        draft
    }

    fn at(base_url: &str) -> Changes {
        Changes {
            base_url: Some(Some(base_url.into())),
            ..Changes::default()
        }
    }

    #[test]
    fn a_stored_key_does_not_follow_to_another_address() {
        for elsewhere in ["https://b.example/v1", "https://a.example/v2", "nonsense"] {
            let mut draft = stored_key("https://a.example/v1");
            assert!(draft.apply(at(elsewhere)).is_err(), "{elsewhere}");
        }
        let mut draft = stored_key("https://a.example/v1");
        let changes = Changes {
            provider: Some(Provider::Openai),
            ..Changes::default()
        };
        assert!(draft.apply(changes).is_err());
    }

    #[test]
    fn the_same_address_keeps_the_key_and_its_seal() {
        let mut draft = stored_key("https://a.example/");
        assert!(draft.apply(at("https://a.example")).is_ok());
        assert!(!draft.reseal);
        assert!(draft.api_key.is_some());
    }

    #[test]
    fn a_key_given_again_or_cleared_goes_with_the_address() {
        for key in [Some("sk-new-key-000".into()), None] {
            let mut draft = stored_key("https://a.example/v1");
            let changes = Changes {
                api_key: Some(key),
                ..at("https://b.example/v1")
            };
            assert!(draft.apply(changes).is_ok());
            assert!(draft.reseal);
        }
    }

    #[test]
    fn hints_show_less_of_short_keys() {
        for (key, shown) in [("sk-0123456789abcdef", "cdef"), ("12345", "45"), ("1", "")] {
            assert_eq!(hint(&key.into()), shown);
        }
    }

    #[test]
    fn each_wrong_field_is_named() {
        let mut draft = Draft::new(Provider::Openai);
        let changes = Changes {
            name: Some(" ".into()),
            base_url: Some(Some("ftp://a:b@h/".into())),
            embedding_model: Some(Some(String::new())),
            temperature: Some(Some(2.5)),
            max_output_tokens: Some(Some(0)),
            priority: Some(-1),
            input_price: Some(Some(-0.1)),
            ..Changes::default()
        };
        assert!(draft.apply(changes).is_ok());
        let fields: Vec<_> = draft
            .validate()
            .unwrap_err()
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        let expected = [
            "name",
            "model",
            "base_url",
            "api_key",
            "embedding_model",
            "temperature",
            "max_output_tokens",
            "priority",
            "input_price",
        ];
        assert_eq!(fields, expected);
    }
}
