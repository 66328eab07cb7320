//! The generated client configuration: names and their values, as an env file.

use std::fmt::Write as _;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use stoa_client_db::DatabaseAddress;
use stoa_domain::InstanceId;
use stoa_platform_db::{DbError, instances};

use super::InstanceError;
use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};
use crate::registry::{Registered, RegistryError};

/// The client configuration. What is not known yet is `None`, and empty where it is written out.
pub struct Environment {
    /// `CLIENT_ID`.
    pub client_id: InstanceId,
    /// `CLIENT_DATABASE_URL`, with its password.
    pub database_url: Option<SecretString>,
    /// `CLIENT_DATABASE_CA`: the certificate authorities by which the database's server proves
    /// itself, in PEM form; `None` where those are the public ones.
    pub database_ca: Option<String>,
    /// `CLIENT_SUPABASE_URL`.
    pub supabase_url: Option<String>,
    /// `CLIENT_SUPABASE_ANON_KEY`.
    pub supabase_anon_key: Option<SecretString>,
}

/// The client configuration of an instance. That it was read is noted: it holds a password.
///
/// # Errors
/// When there is no such instance, its secrets do not open, or the platform's database fails.
pub async fn read(
    app: &App,
    caller: &PlatformCaller,
    id: InstanceId,
) -> Result<Environment, InstanceError> {
    let mut transaction = app.platform().begin().await?;
    let row = instances::find(&mut transaction, id)
        .await?
        .ok_or(InstanceError::NotFound)?;
    let environment = of(&Registered::open(app, row)?)?;
    let deed = Deed::on_instance("instance.environment_read", id, json!({}));
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(environment)
}

fn of(registered: &Registered) -> Result<Environment, RegistryError> {
    Ok(Environment {
        client_id: registered.id(),
        database_url: registered
            .target()
            .map(|target| target.address.to_secret_url()),
        database_ca: registered
            .target()
            .and_then(|target| authority_of(&target.address)),
        supabase_url: registered.row().supabase_url.clone(),
        supabase_anon_key: registered.supabase_anon_key()?,
    })
}

/// The certificate authorities of an address, as the client configuration has them.
pub(crate) fn authority_of(address: &DatabaseAddress) -> Option<String> {
    let authority = address.certificate_authority()?;
    Some(authority.pem().to_owned())
}

impl Environment {
    /// The four names with their values, in the clear; empty where nothing is known yet.
    #[must_use]
    pub fn pairs(&self) -> [(&'static str, String); 4] {
        let secret = |value: &Option<SecretString>| {
            value
                .as_ref()
                .map(|value| value.expose_secret().to_owned())
                .unwrap_or_default()
        };
        [
            ("CLIENT_ID", self.client_id.to_string()),
            ("CLIENT_DATABASE_URL", secret(&self.database_url)),
            (
                "CLIENT_SUPABASE_URL",
                self.supabase_url.clone().unwrap_or_default(),
            ),
            ("CLIENT_SUPABASE_ANON_KEY", secret(&self.supabase_anon_key)),
        ]
    }

    /// The certificate authorities on one line, where there are any: `\n` stands for the end of a
    /// line, since not every reader of env files takes a value of several lines.
    #[must_use]
    pub fn authority_pair(&self) -> Option<(&'static str, String)> {
        let pem = self.database_ca.as_ref()?;
        Some(("CLIENT_DATABASE_CA", pem.trim_end().replace('\n', "\\n")))
    }

    /// An env file that a shell and every reader of such files take alike.
    #[must_use]
    pub fn to_env_file(&self) -> String {
        let mut file = String::new();
        for (name, value) in self.pairs() {
            let _ = writeln!(file, "{name}={}", quoted(&value));
        }
        if let Some((name, value)) = self.authority_pair() {
            let _ = writeln!(file, "{name}={}", quoted(&value));
        }
        file
    }
}

/// A value as it stands when it is plain, else in quotes: single ones, in which everything stands
/// for itself, unless it holds such a quote.
fn quoted(value: &str) -> String {
    let plain =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | ':' | '@' | '%');
    if value.chars().all(plain) {
        return value.to_owned();
    }
    if !value.contains('\'') {
        return format!("'{value}'");
    }
    let mut text = String::from("\"");
    for c in value.chars() {
        if matches!(c, '"' | '\\' | '$' | '`') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_where_a_shell_would_read_more_into_them() {
        assert_eq!(quoted(""), "");
        assert_eq!(
            quoted("postgres://a:b%24@h:5432/d"),
            "postgres://a:b%24@h:5432/d"
        );
        assert_eq!(
            quoted("postgres://h/d?sslmode=disable"),
            "'postgres://h/d?sslmode=disable'"
        );
        assert_eq!(quoted("a b$c`d"), "'a b$c`d'");
        assert_eq!(quoted("it's \"$5\""), "\"it's \\\"\\$5\\\"\"");
    }
}
