//! Bearer tokens: 256 random bits behind a fixed prefix, stored as their SHA-256 only.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{InstanceId, Random};

/// What a token opens; each kind has its own prefix, so that scanners and people know a leaked one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// The platform API.
    Platform,
    /// One instance's client API.
    ClientKey,
    /// A one-time link to set up an account or sign in.
    SignInLink,
    /// A signed-in browser.
    UserSession,
}

impl TokenKind {
    /// The fixed beginning of every token of this kind.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Platform => "stoa_pt_",
            Self::ClientKey => "stoa_ck_",
            Self::SignInLink => "stoa_ln_",
            Self::UserSession => "stoa_us_",
        }
    }
}

/// The beginning of a chat session's token.
const SESSION_PREFIX: &str = "stoa_cs_";
const SECRET_BYTES: usize = 32;

/// The SHA-256 of a token: what is stored. The token has 256 random bits, so no salt is needed.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    fn of(text: &str) -> Self {
        Self(Sha256::digest(text.as_bytes()).into())
    }

    /// The hash's bytes, for a database driver.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(…)")
    }
}

/// A token in the clear: issued once, or just received.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// A new token.
    #[must_use]
    pub fn issue(kind: TokenKind, random: &Random) -> Self {
        let secret = URL_SAFE_NO_PAD.encode(random.bytes::<SECRET_BYTES>());
        Self(format!("{}{secret}", kind.prefix()).into())
    }

    /// A received token, or `None` when it cannot be one of this kind.
    #[must_use]
    pub fn parse(kind: TokenKind, text: &str) -> Option<Self> {
        let secret = text.strip_prefix(kind.prefix())?;
        let bytes = URL_SAFE_NO_PAD.decode(secret).ok()?;
        (bytes.len() == SECRET_BYTES).then(|| Self(text.to_owned().into()))
    }

    /// The token itself, to be shown once or put in a link.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// What is stored.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }

    /// Its last four characters, by which people recognise it.
    #[must_use]
    pub fn hint(&self) -> String {
        let text = self.expose();
        text[text.len() - 4..].to_owned()
    }
}

/// A chat session's token. It names its instance, because the hash that proves it lies in that
/// instance's own database; the name gives nothing to whoever lacks the 256 bits behind it.
#[derive(Clone)]
pub struct SessionToken {
    instance: InstanceId,
    text: SecretString,
}

impl SessionToken {
    /// A new token for a session of this instance.
    #[must_use]
    pub fn issue(instance: InstanceId, random: &Random) -> Self {
        let mut bytes = [0_u8; 16 + SECRET_BYTES];
        bytes[..16].copy_from_slice(instance.as_uuid().as_bytes());
        bytes[16..].copy_from_slice(&random.bytes::<SECRET_BYTES>());
        let text = format!("{SESSION_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)).into();
        Self { instance, text }
    }

    /// A received token, or `None` when it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text.strip_prefix(SESSION_PREFIX)?)
            .ok()?;
        if bytes.len() != 16 + SECRET_BYTES {
            return None;
        }
        let instance = InstanceId::from_uuid(Uuid::from_slice(&bytes[..16]).ok()?);
        Some(Self {
            instance,
            text: text.to_owned().into(),
        })
    }

    /// Whose session it says it is; only the hash proves it.
    #[must_use]
    pub const fn instance_id(&self) -> InstanceId {
        self.instance
    }

    /// The token itself, given to the visitor once.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// What is stored in the client's database.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.expose())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Clock;

    #[test]
    fn a_token_is_known_by_its_kind_and_its_hash() {
        let token = Token::issue(TokenKind::Platform, &Random::seeded(1));
        let received = Token::parse(TokenKind::Platform, token.expose()).unwrap();
        assert_eq!(received.hash(), token.hash());
        assert!(Token::parse(TokenKind::ClientKey, token.expose()).is_none());
        assert!(Token::parse(TokenKind::Platform, "stoa_pt_short").is_none());
        assert_eq!(format!("{:?}", token.hash()), "TokenHash(…)");
    }

    #[test]
    fn a_session_token_names_its_instance() {
        let random = Random::seeded(2);
        let instance = InstanceId::generate(&Clock::system(), &random);
        let token = SessionToken::issue(instance, &random);
        let received = SessionToken::parse(token.expose()).unwrap();
        assert_eq!(received.instance_id(), instance);
        assert_eq!(received.hash(), token.hash());
        assert!(SessionToken::parse("stoa_cs_AAAA").is_none());
    }
}
