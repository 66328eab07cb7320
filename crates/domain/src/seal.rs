//! Envelope encryption: a master key ring wraps one data key per instance, and the data key seals
//! each secret of that instance with XChaCha20-Poly1305.
//!
//! Wire forms, version 1:
//!
//! - sealed secret: `0x01 ‖ nonce (24) ‖ ciphertext and tag`, associated data
//!   `v1|instance|table|column|row|data key id`, so that a sealed value moved to another instance,
//!   table, column or row does not open;
//! - secret of the platform's own: `0x01 ‖ length of the id (1) ‖ master key id ‖ nonce (24) ‖
//!   ciphertext and tag`, associated data `v1|platform|table|column|row|master key id`;
//! - wrapped data key: `0x01 ‖ length of the id (1) ‖ master key id ‖ nonce (24) ‖ ciphertext and
//!   tag`, associated data `v1|instance|chat_instances|data_key_wrapped|instance|master key id`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{InstanceId, Random};

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const PSEUDONYM_BYTES: usize = 16;
/// Data keys have had one generation so far; the id is bound so that a second can be told apart.
const DATA_KEY_ID: &str = "1";

/// Why something could not be sealed or opened. Never says anything of the secret itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A master key is missing or has another form.
    #[error("{0}")]
    BadMasterKey(String),
    /// The stored value was wrapped by a master key that the ring does not hold.
    #[error(
        "this secret was sealed with the master key “{0}”, which is not among the configured ones"
    )]
    UnknownMasterKey(String),
    /// The stored value is not of a known form.
    #[error("a sealed secret has an unknown form")]
    Malformed,
    /// The key or the place is not the one it was sealed with.
    #[error("a sealed secret does not open with this key at this place")]
    DoesNotOpen,
}

struct MasterKey {
    id: String,
    key: Zeroizing<[u8; KEY_BYTES]>,
}

/// The operator's master keys, newest first: the first wraps, all unwrap.
pub struct MasterKeyRing(Vec<MasterKey>);

impl MasterKeyRing {
    /// Parses `id:base64-of-32-bytes`, newest first, comma-separated.
    ///
    /// # Errors
    /// When there is no key, an id is missing, long or doubled, or a key is not 32 bytes or weak.
    pub fn parse(text: &SecretString) -> Result<Self, SealError> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for part in text
            .expose_secret()
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let key = MasterKey::parse(part)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(SealError::BadMasterKey(format!(
                    "the master key id “{}” stands twice",
                    key.id
                )));
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(SealError::BadMasterKey("there is no master key".into()));
        }
        Ok(Self(keys))
    }

    /// A new ring of one key, and its text for the configuration.
    #[must_use]
    pub fn generate(id: &str, random: &Random) -> SecretString {
        format!("{id}:{}", STANDARD.encode(random.bytes::<KEY_BYTES>())).into()
    }

    /// The id of the key that wraps.
    #[must_use]
    pub fn newest_id(&self) -> &str {
        &self.0[0].id
    }

    /// The ids of all keys, newest first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.id.as_str())
    }

    /// Wraps an instance's data key with the newest master key.
    ///
    /// # Errors
    /// Only when the cipher refuses, which it does for absurd lengths.
    pub fn wrap(
        &self,
        instance: InstanceId,
        data_key: &DataKey,
        random: &Random,
    ) -> Result<Vec<u8>, SealError> {
        let master = &self.0[0];
        let mut wrapped = named(&master.id)?;
        encrypt(
            &master.key,
            &wrap_data(instance, &master.id),
            &data_key.0[..],
            random,
            &mut wrapped,
        )?;
        Ok(wrapped)
    }

    /// Opens an instance's data key.
    ///
    /// # Errors
    /// When the ring lacks the key that wrapped it, or it was wrapped for another instance.
    pub fn unwrap(&self, instance: InstanceId, wrapped: &[u8]) -> Result<DataKey, SealError> {
        let (id, sealed) = split_wrapped(wrapped)?;
        let master = self.find(id)?;
        let opened = decrypt(&master.key, &wrap_data(instance, id), sealed)?;
        let key: [u8; KEY_BYTES] = opened
            .as_slice()
            .try_into()
            .map_err(|_| SealError::Malformed)?;
        Ok(DataKey(Zeroizing::new(key)))
    }
}

/// Where a secret of the platform's own is stored: one that is no instance's, or lives shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlatformPlace<'a> {
    /// The table's name.
    pub table: &'static str,
    /// The column's name.
    pub column: &'static str,
    /// What names the row.
    pub row: &'a str,
}

impl PlatformPlace<'_> {
    /// Begins like no instance's: “platform” is no UUID.
    fn associated_data(&self, master_key_id: &str) -> String {
        let Self { table, column, row } = self;
        format!("v1|platform|{table}|{column}|{row}|{master_key_id}")
    }
}

impl MasterKeyRing {
    /// Seals a secret of the platform's own with the newest master key. Whatever uses this is to be
    /// sealed anew when the master keys are rotated.
    ///
    /// # Errors
    /// Only when the cipher refuses, which it does for absurd lengths.
    pub fn seal(
        &self,
        place: &PlatformPlace<'_>,
        secret: &[u8],
        random: &Random,
    ) -> Result<Vec<u8>, SealError> {
        let master = &self.0[0];
        let mut sealed = named(&master.id)?;
        let associated = place.associated_data(&master.id);
        encrypt(&master.key, &associated, secret, random, &mut sealed)?;
        Ok(sealed)
    }

    /// Opens a secret of the platform's own at the place it was sealed for.
    ///
    /// # Errors
    /// When the ring lacks the key that sealed it, the form is unknown, or the place is another.
    pub fn open(
        &self,
        place: &PlatformPlace<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (id, sealed) = split_wrapped(sealed)?;
        let master = self.find(id)?;
        decrypt(&master.key, &place.associated_data(id), sealed)
    }

    fn find(&self, id: &str) -> Result<&MasterKey, SealError> {
        self.0
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| SealError::UnknownMasterKey(id.to_owned()))
    }
}

/// The beginning of what a master key encrypts: the version and the key's id.
fn named(id: &str) -> Result<Vec<u8>, SealError> {
    let length = u8::try_from(id.len()).map_err(|_| SealError::Malformed)?;
    let mut begun = vec![VERSION, length];
    begun.extend_from_slice(id.as_bytes());
    Ok(begun)
}

impl MasterKey {
    fn parse(text: &str) -> Result<Self, SealError> {
        let bad = |why: &str| {
            SealError::BadMasterKey(format!(
                "a master key is `id:base64-of-32-bytes`, made for example by `echo \"k1:$(openssl rand -base64 32)\"`: {why}"
            ))
        };
        let (id, encoded) = text
            .split_once(':')
            .ok_or_else(|| bad("there is no id before a colon"))?;
        let id_is_plain = (1..=32).contains(&id.len())
            && id
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        if !id_is_plain {
            return Err(bad(
                "the id is 1 to 32 letters, digits, hyphens and underscores",
            ));
        }
        let decoded = Zeroizing::new(
            STANDARD
                .decode(encoded)
                .map_err(|_| bad("the key is not base64"))?,
        );
        let key: [u8; KEY_BYTES] = decoded
            .as_slice()
            .try_into()
            .map_err(|_| bad("the key has not 32 bytes"))?;
        if is_weak(&key) {
            return Err(bad("the key is not random"));
        }
        Ok(Self {
            id: id.to_owned(),
            key: Zeroizing::new(key),
        })
    }
}

/// Keys typed by hand have few different bytes; 32 random ones have fewer than 16 different values
/// about three times in 10^17 keys.
fn is_weak(key: &[u8; KEY_BYTES]) -> bool {
    let mut seen = [false; 256];
    key.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    seen.iter().filter(|seen| **seen).count() < 16
}

fn wrap_data(instance: InstanceId, master_key_id: &str) -> String {
    format!("v1|{instance}|chat_instances|data_key_wrapped|{instance}|{master_key_id}")
}

fn split_wrapped(wrapped: &[u8]) -> Result<(&str, &[u8]), SealError> {
    let [VERSION, length, rest @ ..] = wrapped else {
        return Err(SealError::Malformed);
    };
    let (id, sealed) = rest
        .split_at_checked(usize::from(*length))
        .ok_or(SealError::Malformed)?;
    Ok((
        std::str::from_utf8(id).map_err(|_| SealError::Malformed)?,
        sealed,
    ))
}

/// The id of the master key that wrapped a data key, to tell which ones are still in use.
///
/// # Errors
/// When the stored value has another form.
pub fn wrapped_by(wrapped: &[u8]) -> Result<&str, SealError> {
    split_wrapped(wrapped).map(|(id, _)| id)
}

/// Where a secret is stored; bound to the ciphertext so that it opens nowhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealPlace {
    /// Whose secret it is.
    pub instance: InstanceId,
    /// The table's name.
    pub table: &'static str,
    /// The column's name.
    pub column: &'static str,
    /// The row's id.
    pub row: Uuid,
}

impl SealPlace {
    fn associated_data(&self) -> String {
        let Self {
            instance,
            table,
            column,
            row,
        } = self;
        format!("v1|{instance}|{table}|{column}|{row}|{DATA_KEY_ID}")
    }
}

/// The key that seals one instance's secrets. Destroying its wrapped form destroys them all.
pub struct DataKey(Zeroizing<[u8; KEY_BYTES]>);

impl DataKey {
    /// A new key.
    #[must_use]
    pub fn generate(random: &Random) -> Self {
        Self(Zeroizing::new(random.bytes()))
    }

    /// Seals a secret for one place.
    ///
    /// # Errors
    /// Only when the cipher refuses, which it does for absurd lengths.
    pub fn seal(
        &self,
        place: &SealPlace,
        secret: &[u8],
        random: &Random,
    ) -> Result<Vec<u8>, SealError> {
        let mut sealed = vec![VERSION];
        encrypt(
            &self.0,
            &place.associated_data(),
            secret,
            random,
            &mut sealed,
        )?;
        Ok(sealed)
    }

    /// Opens a secret at the place it was sealed for.
    ///
    /// # Errors
    /// When the form is unknown, or key or place are others.
    pub fn open(&self, place: &SealPlace, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let [VERSION, rest @ ..] = sealed else {
            return Err(SealError::Malformed);
        };
        decrypt(&self.0, &place.associated_data(), rest)
    }

    /// What stands for a person where their id must not: the same for the same words, nothing that
    /// leads back without this key, and nothing at all once the key is destroyed. It is the first
    /// half of an HMAC-SHA256.
    #[must_use]
    pub fn pseudonym(&self, purpose: &str, of: &[u8]) -> [u8; PSEUDONYM_BYTES] {
        let key = hmac(&self.0[..], &[b"v1|pseudonym|", purpose.as_bytes()]);
        let full = hmac(&key, &[of]);
        let mut short = [0; PSEUDONYM_BYTES];
        short.copy_from_slice(&full[..PSEUDONYM_BYTES]);
        short
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // Any length is a key; the type says that it might not be.
    let Ok(mut mac) = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(key) else {
        return [0; 32];
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn encrypt(
    key: &[u8; KEY_BYTES],
    associated: &str,
    secret: &[u8],
    random: &Random,
    out: &mut Vec<u8>,
) -> Result<(), SealError> {
    let nonce = random.bytes::<NONCE_BYTES>();
    let ciphertext = XChaCha20Poly1305::new(key.into())
        .encrypt(
            &XNonce::from(nonce),
            Payload {
                msg: secret,
                aad: associated.as_bytes(),
            },
        )
        .map_err(|_| SealError::Malformed)?;
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&ciphertext);
    Ok(())
}

fn decrypt(
    key: &[u8; KEY_BYTES],
    associated: &str,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (nonce, ciphertext) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(SealError::Malformed)?;
    XChaCha20Poly1305::new(key.into())
        .decrypt(
            &XNonce::from(*nonce),
            Payload {
                msg: ciphertext,
                aad: associated.as_bytes(),
            },
        )
        .map(Zeroizing::new)
        .map_err(|_| SealError::DoesNotOpen)
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
