//! A client's Supabase project, which may stand beside its database: address and keys.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use stoa_client_db::DatabaseAddress;
use stoa_client_db::preflight::{Check, CheckStatus};
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
        let is_secret = self.anon_key.as_ref().is_some_and(is_secret_key);
        violations.require(
            !is_secret,
            "supabase_anon_key",
            "the anon or publishable key: this one is secret and opens the whole project, so nothing of it was kept",
        );
    }

    /// Whether the project's address and the database's are of the same project; `None` where one of
    /// them does not say.
    pub(super) fn project_check(&self, address: &DatabaseAddress) -> Option<Check> {
        let of_database = address.supabase()?.project?;
        let of_url = project_of(self.url.as_deref()?)?;
        if of_url == of_database {
            return None;
        }
        Some(Check {
            name: "supabase_project".into(),
            status: CheckStatus::Warn,
            detail: format!(
                "the database is of the project {of_database}, and supabase_url of {of_url}"
            ),
            remedy: Some(format!(
                "Give both of the same project: https://{of_database}.supabase.co, unless the \
                 people who chat sign in with another one."
            )),
        })
    }

    /// The keys, sealed; `None` when there are none.
    pub(crate) fn seal_keys(
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

/// The reference of the project that an address is of; `None` where the name is the client's own.
fn project_of(url: &str) -> Option<String> {
    let url = Url::parse(url).ok()?;
    let project = url.host_str()?.strip_suffix(".supabase.co")?;
    Some(project.to_owned())
}

/// Whether a key is one that must never reach a browser: a secret key, or a token of another role
/// than `anon`.
fn is_secret_key(key: &SecretString) -> bool {
    #[derive(Deserialize)]
    struct Claims {
        role: Option<String>,
    }
    let key = key.expose_secret();
    if key.starts_with("sb_secret_") {
        return true;
    }
    let claims = key.split('.').nth(1).filter(|_| key.starts_with("eyJ"));
    let claims = claims.and_then(|it| URL_SAFE_NO_PAD.decode(it.trim_end_matches('=')).ok());
    let claims = claims.and_then(|it| serde_json::from_slice::<Claims>(&it).ok());
    claims
        .and_then(|it| it.role)
        .is_some_and(|role| role != "anon")
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

#[cfg(test)]
mod tests {
    use stoa_client_db::AddressRules;

    use super::*;

    #[test]
    fn a_database_and_an_address_of_different_projects_are_noticed() {
        let check = |url: Option<&str>, database: &str| {
            let project = SupabaseProject {
                url: url.map(Into::into),
                ..SupabaseProject::default()
            };
            let address = DatabaseAddress::parse(database, &AddressRules::default()).unwrap();
            project.project_check(&address)
        };
        let direct = "postgres://postgres:p@db.abcdefghijkl.supabase.co/postgres";
        let pooler = "postgres://bot.abcdefghijkl:p@aws-0-eu-west-1.pooler.supabase.com/postgres";
        for database in [direct, pooler] {
            let other = check(Some("https://mnopqrstuvwx.supabase.co"), database).unwrap();
            assert_eq!(other.status, CheckStatus::Warn);
            assert!(other.detail.contains("abcdefghijkl") && other.detail.contains("mnopqrstuvwx"));
            for same in [
                Some("https://abcdefghijkl.supabase.co/"),
                Some("https://auth.shop.example"),
                None,
            ] {
                assert_eq!(check(same, database), None, "{same:?}");
            }
        }
        let elsewhere = "postgres://u:p@db.example.com/d";
        assert_eq!(
            check(Some("https://abcdefghijkl.supabase.co"), elsewhere),
            None
        );
    }
}
