//! The hidden field that proves that a form was served to the browser that sends it.
//!
//! It is derived from a secret in an `HttpOnly` cookie of the same browser (the session's token, or
//! before sign-in a random one), so nothing is stored and another site can neither read nor guess it.

use sha2::{Digest as _, Sha256};
use stoa_domain::Random;
use subtle::ConstantTimeEq as _;

/// The field's value for a browser with this secret in its cookie.
#[must_use]
pub fn of(secret: &str) -> String {
    let hash = Sha256::new()
        .chain_update(b"stoa form token v1|")
        .chain_update(secret.as_bytes())
        .finalize();
    hex(&hash)
}

/// Whether `sent` is the value for this secret, told in constant time.
#[must_use]
pub fn matches(secret: &str, sent: &str) -> bool {
    !secret.is_empty() && bool::from(of(secret).as_bytes().ct_eq(sent.as_bytes()))
}

/// A new secret for the cookie of a browser that nobody has signed in with yet.
#[must_use]
pub fn new_secret(random: &Random) -> String {
    hex(&random.bytes::<32>())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_its_secret() {
        let secret = new_secret(&Random::seeded(1));
        assert!(matches(&secret, &of(&secret)));
        assert!(!matches(&secret, &of("another")));
        assert!(!matches(&secret, ""));
        assert!(!matches("", &of("")), "no cookie, no token");
        assert!(!of(&secret).contains(&secret));
    }
}
