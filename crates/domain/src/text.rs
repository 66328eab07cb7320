//! Short texts that people choose, parsed once.

use std::fmt;

/// Why a text was refused; the sentence is fit to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidText(pub String);

macro_rules! text {
    ($($(#[$doc:meta])* $name:ident)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )+};
}

text! {
    /// An instance's name in addresses: 2 to 48 of `a-z`, `0-9` and `-`, starting with a letter.
    Slug
    /// An e-mail address, in lower case.
    Email
    /// An instance's name as people read it, 1 to 100 characters.
    InstanceName
}

/// Slugs that addresses of the product itself use or may come to use.
const RESERVED: &[&str] = &[
    "admin",
    "api",
    "app",
    "assets",
    "auth",
    "billing",
    "chat",
    "console",
    "demo-login",
    "docs",
    "health",
    "healthz",
    "help",
    "login",
    "logout",
    "metrics",
    "new",
    "openapi",
    "platform",
    "public",
    "readyz",
    "setup",
    "sign-in",
    "sign-out",
    "static",
    "status",
    "stoa",
    "support",
    "system",
    "v1",
    "widget",
    "www",
];

impl Slug {
    /// Parses a slug as given.
    ///
    /// # Errors
    /// When it has another form, or is reserved for the product's own addresses.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let well_formed = (2..=48).contains(&text.len())
            && text.chars().all(allowed)
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && !text.ends_with('-')
            && !text.contains("--");
        if !well_formed {
            return Err(InvalidText(
                "a slug is 2 to 48 lower-case letters, digits and single hyphens, starting with a \
                 letter, for example “acme-support”"
                    .into(),
            ));
        }
        if RESERVED.contains(&text) {
            return Err(InvalidText(format!(
                "“{text}” is reserved for the platform's own addresses; choose another slug"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// A slug made of a name, or `None` when nothing of it can be used.
    #[must_use]
    pub fn from_name(name: &InstanceName) -> Option<Self> {
        let mut slug = String::new();
        for c in name.as_str().chars().flat_map(char::to_lowercase) {
            match c {
                'a'..='z' | '0'..='9' => slug.push(c),
                'ä' => slug.push_str("ae"),
                'ö' => slug.push_str("oe"),
                'ü' => slug.push_str("ue"),
                'ß' => slug.push_str("ss"),
                _ if !slug.is_empty() && !slug.ends_with('-') => slug.push('-'),
                _ => {}
            }
        }
        let start = slug.find(|c: char| c.is_ascii_lowercase())?;
        let short: String = slug[start..].chars().take(40).collect();
        let short = short.trim_end_matches('-');
        Self::parse(short)
            .or_else(|_| Self::parse(&format!("{short}-chat")))
            .ok()
    }

    /// The same slug with a suffix, for when it is taken.
    #[must_use]
    pub fn with_suffix(&self, suffix: u32) -> Option<Self> {
        Self::parse(&format!("{}-{suffix}", self.0)).ok()
    }
}

impl Email {
    /// Parses an address of the form `local@domain` and puts it in lower case.
    ///
    /// # Errors
    /// When it cannot be an address. Whether it receives mail only a mail can tell.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        let refused =
            || InvalidText("this is not an e-mail address, for example “ada@example.com”".into());
        let (local, domain) = text.rsplit_once('@').ok_or_else(refused)?;
        let printable = |s: &str| s.chars().all(|c| !c.is_control() && !c.is_whitespace());
        let bad = local.is_empty()
            || text.len() > 254
            || local.contains(['@', '<', '>', ',', ';', '"'])
            || !domain.contains('.') && domain != "localhost"
            || domain.split('.').any(str::is_empty)
            || !domain
                .chars()
                .all(|c| c.is_alphanumeric() || c == '.' || c == '-')
            || !printable(local);
        if bad {
            Err(refused())
        } else {
            Ok(Self(text.to_lowercase()))
        }
    }
}

impl InstanceName {
    /// Parses a name; white space at its ends is dropped.
    ///
    /// # Errors
    /// When it is empty, longer than 100 characters, or holds control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 100 || text.chars().any(char::is_control) {
            return Err(InvalidText(
                "a name has 1 to 100 characters, none of them a control character".into(),
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        for good in ["ab", "acme-support", "a1", &"a".repeat(48)] {
            assert_eq!(Slug::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a",
            "-a",
            "a-",
            "a--b",
            "1a",
            "Acme",
            "a b",
            "a/b",
            "ä",
            "api",
            &"a".repeat(49),
        ] {
            assert!(Slug::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn slugs_from_names() {
        let slug =
            |name| Slug::from_name(&InstanceName::parse(name).unwrap()).map(|s| s.to_string());
        assert_eq!(
            slug("Acme Support & Söhne!").as_deref(),
            Some("acme-support-soehne")
        );
        assert_eq!(slug("API").as_deref(), Some("api-chat"));
        assert_eq!(slug("42 Things").as_deref(), Some("things"));
        assert_eq!(slug("日本"), None);
    }

    #[test]
    fn addresses() {
        assert_eq!(
            Email::parse(" Ada@Example.com ").unwrap().as_str(),
            "ada@example.com"
        );
        for bad in [
            "",
            "ada",
            "@example.com",
            "a@b",
            "a@.com",
            "a b@example.com",
            "a@exa mple.com",
            "a@b@c.de\n",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad}");
        }
    }
}
