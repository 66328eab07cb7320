//! Passwords: Argon2id with the parameters OWASP gives first (19 MiB, 2 passes, 1 lane).
//!
//! One check costs about 0.1 s of a core, so checks run on blocking threads behind a semaphore: a
//! flood of sign-ins queues behind itself and leaves the chats alone.

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use secrecy::{ExposeSecret, SecretString};
use stoa_domain::Random;
use tokio::sync::Semaphore;

/// How many checks run at once.
const AT_ONCE: usize = 2;
/// The fewest characters of a password. NIST SP 800-63B asks for at least 8, and for long ones to
/// be taken.
pub const MIN_CHARACTERS: usize = 10;
const MAX_BYTES: usize = 512;

/// Why a password was not taken or could not be worked on.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// Too short or too long; the sentence is fit to show.
    #[error("a password has at least {MIN_CHARACTERS} characters and at most {MAX_BYTES} bytes")]
    Unfit,
    /// The work was cut off, as happens at shutdown.
    #[error("the password could not be checked")]
    Unavailable,
}

/// Hashes and checks passwords, a few at a time.
pub struct Passwords {
    places: Semaphore,
    random: Random,
    /// Checked for unknown people, so that an answer takes as long for them as for known ones.
    dummy: String,
}

impl Passwords {
    /// Ready to work; makes the dummy hash, which takes as long as one check.
    ///
    /// # Errors
    /// When Argon2 refuses its own parameters.
    pub fn new(random: Random) -> Result<Self, PasswordError> {
        let dummy =
            hash(b"nobody's password", &random.bytes()).ok_or(PasswordError::Unavailable)?;
        Ok(Self {
            places: Semaphore::new(AT_ONCE),
            random,
            dummy,
        })
    }

    /// The hash to store, as a PHC string.
    ///
    /// # Errors
    /// When the password is too short or too long.
    pub async fn hash(&self, password: &SecretString) -> Result<SecretString, PasswordError> {
        let text = password.expose_secret();
        if text.chars().count() < MIN_CHARACTERS || text.len() > MAX_BYTES {
            return Err(PasswordError::Unfit);
        }
        let (password, salt) = (password.clone(), self.random.bytes());
        let hashed = self
            .work(move || hash(password.expose_secret().as_bytes(), &salt))
            .await?;
        hashed
            .map(SecretString::from)
            .ok_or(PasswordError::Unavailable)
    }

    /// Whether this is the password of the stored hash; without one, takes as long and says no.
    ///
    /// # Errors
    /// When the check was cut off.
    pub async fn check(
        &self,
        password: &SecretString,
        stored: Option<&str>,
    ) -> Result<bool, PasswordError> {
        if password.expose_secret().len() > MAX_BYTES {
            return Ok(false);
        }
        let known = stored.is_some();
        let stored = stored.unwrap_or(&self.dummy).to_owned();
        let password = password.clone();
        let matches = self
            .work(move || matches(password.expose_secret().as_bytes(), &stored))
            .await?;
        Ok(known && matches)
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let _place = self
            .places
            .acquire()
            .await
            .map_err(|_| PasswordError::Unavailable)?;
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| PasswordError::Unavailable)
    }
}

fn hash(password: &[u8], salt: &[u8; 16]) -> Option<String> {
    Argon2::default()
        .hash_password_with_salt(password, salt)
        .ok()
        .map(|hash: PasswordHash| hash.to_string())
}

fn matches(password: &[u8], stored: &str) -> bool {
    PasswordHash::new(stored)
        .is_ok_and(|stored| Argon2::default().verify_password(password, &stored).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_matches_its_own_hash_only() {
        let passwords = Passwords::new(Random::seeded(1)).unwrap();
        let right = SecretString::from("correct horse battery");
        let stored = passwords.hash(&right).await.unwrap();
        let stored = stored.expose_secret();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(passwords.check(&right, Some(stored)).await.unwrap());
        assert!(
            !passwords
                .check(&"wrong horse battery".into(), Some(stored))
                .await
                .unwrap()
        );
        assert!(
            !passwords
                .check(&"nobody's password".into(), None)
                .await
                .unwrap(),
            "the dummy opens nothing"
        );
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        let passwords = Passwords::new(Random::seeded(1)).unwrap();
        for unfit in ["short".to_owned(), "x".repeat(513)] {
            assert!(matches!(
                passwords.hash(&unfit.into()).await,
                Err(PasswordError::Unfit)
            ));
        }
    }
}
