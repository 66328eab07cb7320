//! What a client sets about its chat: words, looks, features and who may embed it.
//!
//! Stored whole as one version; [`LiveConfiguration::default`] is what a new instance starts with.

use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::violation::{Violation, Violations};

/// One version of an instance's chat settings and branding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfiguration {
    /// The chat's words.
    pub display: Display,
    /// The chat's looks.
    pub theme: Theme,
    /// What visitors can do besides chatting.
    pub features: Features,
    /// Who may embed the chat. Not shown to visitors.
    pub access: Access,
}

/// The chat's words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Display {
    /// The bot's name; the instance's own name when empty. At most 60 characters.
    pub bot_name: String,
    /// A line under the name. At most 120 characters.
    pub tagline: String,
    /// The bot's first words. At most 500 characters.
    pub greeting: String,
    /// What the empty input says; the language's own words when empty. At most 120 characters.
    pub placeholder: String,
    /// Questions to begin with: at most 6 of at most 160 characters.
    pub starters: Vec<String>,
    /// A line under the input, for example on privacy. At most 300 characters.
    pub disclaimer: String,
    /// Whether answers show their sources.
    pub show_sources: bool,
    /// A BCP 47 language, or `auto` for the visitor's.
    pub language: String,
}

/// The chat's looks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Theme {
    /// Accent colour on light, `#rrggbb`.
    pub accent: String,
    /// Accent colour on dark, `#rrggbb`.
    pub accent_dark: String,
    /// Light, dark, or what the visitor's system prefers.
    pub color_scheme: ColorScheme,
    /// Corner radius in CSS pixels, 0 to 24.
    pub radius: u8,
    /// An `https` address of a logo.
    pub logo_url: Option<String>,
}

/// Which colours a chat is shown in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ColorScheme {
    /// As the visitor's system prefers.
    #[default]
    Auto,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

/// What visitors can do besides chatting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Features {
    /// Rate answers.
    pub feedback: bool,
    /// Ask for a person.
    pub handoff: bool,
    /// See what the chat is made with.
    pub show_powered_by: bool,
}

/// Who may embed the chat.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// Origins such as `https://www.example.com`, at most 50. With none, no site may embed the
    /// chat; the hosted page works all the same.
    pub allowed_origins: Vec<String>,
}

impl Default for Display {
    fn default() -> Self {
        Self {
            bot_name: String::new(),
            tagline: String::new(),
            greeting: "Hello! What would you like to know?".into(),
            placeholder: String::new(),
            starters: Vec::new(),
            disclaimer: String::new(),
            show_sources: true,
            language: "auto".into(),
        }
    }
}

impl Default for Theme {
    fn default() -> Self {
        Self {
            accent: "#0b6b57".into(),
            accent_dark: "#5cc9a7".into(),
            color_scheme: ColorScheme::Auto,
            radius: 10,
            logo_url: None,
        }
    }
}

impl Default for Features {
    fn default() -> Self {
        Self {
            feedback: true,
            handoff: false,
            show_powered_by: true,
        }
    }
}

impl Access {
    /// The allowed origins that are origins: what a client's database holds is not to be trusted
    /// where it would stand in a header.
    #[must_use]
    pub fn origins(&self) -> Vec<&str> {
        let origins = self.allowed_origins.iter().map(String::as_str);
        origins.filter(|origin| is_origin(origin)).collect()
    }
}

impl LiveConfiguration {
    /// Examines every field.
    ///
    /// # Errors
    /// Each field that is wrong, with what would be right.
    pub fn validate(&self) -> Result<(), Vec<Violation>> {
        let mut violations = Violations::default();
        self.display.validate(&mut violations);
        self.theme.validate(&mut violations);
        let origins = &self.access.allowed_origins;
        violations.require(
            origins.len() <= 50,
            "access.allowed_origins",
            "at most 50 origins",
        );
        violations.require(
            origins.iter().all(|origin| is_origin(origin)),
            "access.allowed_origins",
            "origins such as “https://www.example.com”, without a path",
        );
        violations.into_result()
    }
}

impl Display {
    fn validate(&self, violations: &mut Violations) {
        let texts = [
            (&self.bot_name, 60, "display.bot_name"),
            (&self.tagline, 120, "display.tagline"),
            (&self.greeting, 500, "display.greeting"),
            (&self.placeholder, 120, "display.placeholder"),
            (&self.disclaimer, 300, "display.disclaimer"),
        ];
        for (text, max, field) in texts {
            violations.require_text(text, max, field);
        }
        violations.require(
            self.starters.len() <= 6,
            "display.starters",
            "at most 6 questions",
        );
        for starter in &self.starters {
            violations.require_text(starter, 160, "display.starters");
        }
        let language_is_plain = self.language.len() <= 35
            && self.language.split('-').all(|part| {
                (1..=8).contains(&part.len()) && part.chars().all(|c| c.is_ascii_alphanumeric())
            });
        violations.require(
            language_is_plain,
            "display.language",
            "“auto” or a language such as “en” or “de-AT”",
        );
    }
}

impl Theme {
    fn validate(&self, violations: &mut Violations) {
        for (color, field) in [
            (&self.accent, "theme.accent"),
            (&self.accent_dark, "theme.accent_dark"),
        ] {
            violations.require(is_color(color), field, "a colour such as “#0b6b57”");
        }
        violations.require(self.radius <= 24, "theme.radius", "0 to 24");
        let logo_is_safe = self.logo_url.as_deref().is_none_or(|logo| {
            logo.len() <= 2000 && Url::parse(logo).is_ok_and(|url| url.scheme() == "https")
        });
        violations.require(logo_is_safe, "theme.logo_url", "an https address, or null");
    }
}

fn is_color(text: &str) -> bool {
    text.strip_prefix('#')
        .is_some_and(|hex| hex.len() == 6 && hex.chars().all(|c| c.is_ascii_hexdigit()))
}

/// An origin written exactly as browsers send it. A URL's host may hold `;`, `,` and `*`, which mean
/// something in the header that origins are put into, so those are not taken.
fn is_origin(text: &str) -> bool {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '/' | '[' | ']');
    text.chars().all(plain)
        && Url::parse(text).is_ok_and(|url| {
            matches!(url.scheme(), "https" | "http") && url.origin().ascii_serialization() == text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid_and_an_empty_object_means_it() {
        assert_eq!(LiveConfiguration::default().validate(), Ok(()));
        let parsed: LiveConfiguration = serde_json::from_str("{}").unwrap();
        assert_eq!(parsed, LiveConfiguration::default());
    }

    #[test]
    fn unknown_fields_are_refused() {
        assert!(serde_json::from_str::<LiveConfiguration>(r#"{"role":"owner"}"#).is_err());
        assert!(serde_json::from_str::<LiveConfiguration>(r#"{"theme":{"css":"x"}}"#).is_err());
    }

    #[test]
    fn each_wrong_field_is_named() {
        let mut configuration = LiveConfiguration::default();
        configuration.theme.accent = "green; } body { display: none".into();
        configuration.theme.logo_url = Some("javascript:alert(1)".into());
        configuration.display.greeting = "\0".into();
        configuration.access.allowed_origins = vec!["https://a.example/".into()];
        let violations = configuration.validate().unwrap_err();
        let fields: Vec<_> = violations
            .into_iter()
            .map(|violation| violation.field)
            .collect();
        let expected = [
            "display.greeting",
            "theme.accent",
            "theme.logo_url",
            "access.allowed_origins",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        for good in [
            "https://a.example",
            "http://localhost:3000",
            "https://a.example:8443",
        ] {
            assert!(is_origin(good), "{good}");
        }
        for bad in [
            "a.example",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "null",
            "*",
            "file:///x",
            "https://a.example;script-src",
            "https://a.example,b",
            "https://*",
        ] {
            assert!(!is_origin(bad), "{bad}");
        }
        let access = Access {
            allowed_origins: vec![
                "https://a.example".into(),
                "https://b.example; script-src *".into(),
                "'self'".into(),
            ],
        };
        assert_eq!(access.origins(), ["https://a.example"]);
    }
}
