//! A client's Supabase project, which may stand beside its database: address and keys.

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use stoa_domain::seal::{DataKey, SealError};
use stoa_domain::violation::Violations;
use stoa_domain::{InstanceId, Random};
use url::Url;
use zeroize::Zeroizing;

use crate::registry::supabase_place;

const LONGEST_URL: usize = 2_000;
const LONGEST_KEY: usize = 4_096;

/// What a client gives of its Supabase project. All of it is optional.
#[derive(Default)]
pub struct SupabaseProject {
    /// The project's address.
    pub url: Option<String>,
    /// The key that browsers may have.
    pub anon_key: Option<SecretString>,
    /// The secret that signs the project's tokens.
    pub jwt_secret: Option<SecretString>,
}

/// A project's keys, as they are sealed as one.
#[derive(Serialize, Deserialize)]
struct Plain {
    anon_key: Option<String>,
    jwt_secret: Option<String>,
}

impl SupabaseProject {
    /// Whether nothing of it is given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.url.is_none() && self.anon_key.is_none() && self.jwt_secret.is_none()
    }

    /// Notes what is wrong.
    pub(super) fn examine(&self, violations: &mut Violations) {
        let url_is_right = self.url.as_deref().is_none_or(|url| {
            url.len() <= LONGEST_URL
                && Url::parse(url).is_ok_and(|url| {
                    matches!(url.scheme(), "https" | "http")
                        && url.host_str().is_some_and(|host| !host.is_empty())
                        && url.username().is_empty()
                        && url.password().is_none()
                })
        });
        violations.require(
            url_is_right,
            "supabase_url",
            "the project's address, such as “https://abcdefgh.supabase.co”",
        );
        for (key, field) in [
            (&self.anon_key, "supabase_anon_key"),
            (&self.jwt_secret, "supabase_jwt_secret"),
        ] {
            let key_is_right = key.as_ref().is_none_or(|key| {
                let key = key.expose_secret();
                (1..=LONGEST_KEY).contains(&key.len())
                    && key.bytes().all(|it| it.is_ascii_graphic())
            });
            violations.require(
                key_is_right,
                field,
                "the key as the project's settings show it, without spaces",
            );
        }
    }

    /// The keys, sealed; `None` when there are none.
    pub(super) fn seal_keys(
        &self,
        instance: InstanceId,
        key: &DataKey,
        random: &Random,
    ) -> Result<Option<Vec<u8>>, SealError> {
        if self.anon_key.is_none() && self.jwt_secret.is_none() {
            return Ok(None);
        }
        let exposed = |it: &Option<SecretString>| it.as_ref().map(|it| it.expose_secret().into());
        let plain = Plain {
            anon_key: exposed(&self.anon_key),
            jwt_secret: exposed(&self.jwt_secret),
        };
        let plain = serde_json::to_vec(&plain).map_err(|_| SealError::Malformed)?;
        key.seal(&supabase_place(instance), &Zeroizing::new(plain), random)
            .map(Some)
    }
}

/// Opens the key that browsers may have, of what was sealed.
///
/// # Errors
/// When it does not open with this key for this instance.
pub(crate) fn open_anon_key(
    sealed: &[u8],
    instance: InstanceId,
    key: &DataKey,
) -> Result<Option<SecretString>, SealError> {
    let opened = key.open(&supabase_place(instance), sealed)?;
    let plain: Plain = serde_json::from_slice(&opened).map_err(|_| SealError::Malformed)?;
    Ok(plain.anon_key.map(SecretString::from))
}
