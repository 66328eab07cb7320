//! The people who run the platform.

use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::json;
use stoa_domain::{Email, SuperAdminId};
use stoa_platform_db::account::AccountId;
use stoa_platform_db::super_admins;
use stoa_platform_db::{DbError, Taken};

use crate::App;
use crate::access::PlatformCaller;
use crate::audit::{self, Deed};
use crate::links::{self, SetupLink};
use crate::passwords::PasswordError;

/// How long a super admin's link works: it is shown to whoever makes the account, so it is short.
const LINK_LIFE: TimeDelta = TimeDelta::hours(1);

/// Why a super admin was not made.
#[derive(Debug, thiserror::Error)]
pub enum SuperAdminError {
    /// There is one with this address.
    #[error("there is a super admin with this e-mail address already")]
    EmailTaken,
    /// The password is not fit.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[source] DbError),
}

impl From<DbError> for SuperAdminError {
    fn from(error: DbError) -> Self {
        match error.taken() {
            Some(Taken::SuperAdminEmail) => Self::EmailTaken,
            _ => Self::Platform(error),
        }
    }
}

/// A super admin who was just made.
#[derive(Clone, Debug)]
pub struct Created {
    /// The account's id.
    pub id: SuperAdminId,
    /// The address to sign in with.
    pub email: Email,
    /// The link to set a password, where none was given.
    pub link: Option<SetupLink>,
}

/// Makes a super admin, with a password or with a one-time link to set one.
///
/// # Errors
/// When the address is taken, the password not fit, or the platform's database fails.
pub async fn create(
    app: &App,
    caller: &PlatformCaller,
    email: &Email,
    password: Option<&SecretString>,
) -> Result<Created, SuperAdminError> {
    let hash = match password {
        Some(password) => Some(app.passwords().hash(password).await?),
        None => None,
    };
    let id = app.new_id(SuperAdminId::generate);
    let now = app.clock().now();
    let mut transaction = app.platform().begin().await?;
    super_admins::insert(&mut transaction, id, email, now).await?;
    let link = match hash {
        Some(hash) => {
            super_admins::set_password(&mut transaction, id, &hash, now).await?;
            None
        }
        None => {
            let account = AccountId::SuperAdmin(id);
            Some(links::issue(app, &mut transaction, account, LINK_LIFE).await?)
        }
    };
    let deed = Deed {
        action: "super_admin.created",
        target_kind: "super_admin",
        target_id: id.to_string(),
        instance: None,
        reason: None,
        details: json!({"email": email.as_str(), "with_password": password.is_some()}),
    };
    audit::record(app, &mut transaction, caller, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(Created {
        id,
        email: email.clone(),
        link,
    })
}

/// How many super admins there are: with none, the platform's console cannot be entered yet.
///
/// # Errors
/// When the platform's database fails.
pub async fn count(app: &App) -> Result<i64, SuperAdminError> {
    let mut connection = app.platform().acquire().await?;
    Ok(super_admins::count(&mut connection).await?)
}
