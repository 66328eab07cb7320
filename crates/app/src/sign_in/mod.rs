//! Signing in with a password, setting one by a link, signing out.

pub(crate) mod backoff;
pub mod form_token;

use std::net::IpAddr;
use std::time::Duration;

use chrono::TimeDelta;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use stoa_domain::token::{Token, TokenKind};
use stoa_domain::{Email, InstanceStatus, Slug, UserSessionId};
use stoa_platform_db::account::{Account, AccountId};
use stoa_platform_db::instances::{self, Instance};
use stoa_platform_db::user_sessions::{self, NewUserSession};
use stoa_platform_db::{DbError, PgConnection, instance_admins, sign_in_links, super_admins};

use crate::App;
use crate::access::{Actor, ClientAdmin, SuperAdmin};
use crate::audit::{self, By, Deed};
use crate::passwords::PasswordError;
use backoff::Subject;

/// A browser that rests this long is signed out.
pub const SESSION_IDLE: TimeDelta = TimeDelta::minutes(30);
/// A browser is signed out after this time, however busy it is.
pub const SESSION_LIFE: TimeDelta = TimeDelta::hours(12);

/// Why somebody was not signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// Address or password is not right; which of them is not told.
    #[error("this e-mail address and password do not go together")]
    Wrong,
    /// Too many failures of late.
    #[error("too many tries; wait {} s", .0.as_secs() + 1)]
    Wait(Duration),
    /// The link is unknown, used or too old.
    #[error("this link does not work any more")]
    Link,
    /// There is no such console.
    #[error("there is no such console")]
    NotFound,
    /// The password is not fit, or could not be checked.
    #[error(transparent)]
    Password(#[from] PasswordError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

/// A browser that is signed in from now on.
pub struct SignedIn {
    /// The session's token, for the cookie.
    pub token: Token,
    /// Where it leads.
    pub console: Console,
}

/// Which console an account opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Console {
    /// The platform's.
    Platform,
    /// An instance's.
    Client(Slug),
}

/// Whom a link lets in.
pub struct Invited {
    /// Whose password is set.
    pub email: Email,
    /// What it opens.
    pub console: Console,
    /// The name of the instance whose console it is; `None` for the platform's.
    pub instance_name: Option<String>,
}

/// Signs a super admin in.
///
/// # Errors
/// When address and password do not go together, there were too many tries, or the database fails.
pub async fn super_admin(
    app: &App,
    email: &str,
    password: &SecretString,
    from: Option<IpAddr>,
) -> Result<SignedIn, SignInError> {
    let email = Email::parse(email).ok();
    let subjects = subjects("platform", email.as_ref(), from);
    app.backoff()
        .attempt(&subjects, app.clock().now())
        .map_err(SignInError::Wait)?;
    let found = match &email {
        None => None,
        Some(email) => {
            let mut connection = app.platform().acquire().await?;
            super_admins::find_by_email(&mut connection, email).await?
        }
    };
    let found = found.filter(|admin| admin.disabled_at.is_none());
    let hash = found
        .as_ref()
        .and_then(|admin| admin.password_hash.as_ref());
    check(app, password, hash).await?;
    let admin = found.ok_or(SignInError::Wrong)?;
    app.backoff().succeeded(&subjects);
    let account = Account::SuperAdmin {
        id: admin.id,
        email: admin.email,
    };
    let mut transaction = app.platform().begin().await?;
    let token = begin_session(app, &mut transaction, &account, from).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(SignedIn {
        token,
        console: Console::Platform,
    })
}

/// Signs an admin of the instance with this slug in.
///
/// # Errors
/// When there is no such instance, address and password do not go together, there were too many
/// tries, or the database fails.
pub async fn client_admin(
    app: &App,
    slug: &str,
    email: &str,
    password: &SecretString,
    from: Option<IpAddr>,
) -> Result<SignedIn, SignInError> {
    let instance = console(app, slug).await?;
    let email = Email::parse(email).ok();
    let subjects = subjects(instance.slug.as_str(), email.as_ref(), from);
    app.backoff()
        .attempt(&subjects, app.clock().now())
        .map_err(SignInError::Wait)?;
    let found = match &email {
        None => None,
        Some(email) => {
            let mut connection = app.platform().acquire().await?;
            instance_admins::find_by_email(&mut connection, instance.id, email).await?
        }
    };
    let hash = found
        .as_ref()
        .and_then(|admin| admin.password_hash.as_ref());
    check(app, password, hash).await?;
    let admin = found.ok_or(SignInError::Wrong)?;
    app.backoff().succeeded(&subjects);
    let account = Account::InstanceAdmin {
        id: admin.id,
        instance: instance.id,
        email: admin.email,
        role: admin.role,
    };
    let mut transaction = app.platform().begin().await?;
    let token = begin_session(app, &mut transaction, &account, from).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(SignedIn {
        token,
        console: Console::Client(instance.slug),
    })
}

/// The instance whose console is at this slug, unless it is being deleted.
///
/// # Errors
/// When there is none, or the database fails.
pub async fn console(app: &App, slug: &str) -> Result<Instance, SignInError> {
    let slug = Slug::parse(slug).map_err(|_| SignInError::NotFound)?;
    let mut connection = app.platform().acquire().await?;
    let found = instances::find_by_slug(&mut connection, &slug).await?;
    found
        .filter(|instance| instance.status != InstanceStatus::Deleting)
        .ok_or(SignInError::NotFound)
}

/// Whom a link would let in. The link stays unused: programs that scan mail open links, too.
///
/// # Errors
/// When the link does not work, or the database fails.
pub async fn invited(app: &App, token: &str) -> Result<Invited, SignInError> {
    let token = Token::parse(TokenKind::SignInLink, token).ok_or(SignInError::Link)?;
    let mut connection = app.platform().acquire().await?;
    let account = sign_in_links::peek(&mut connection, &token.hash(), app.clock().now())
        .await?
        .ok_or(SignInError::Link)?;
    invitation(&mut connection, &account).await
}

/// Sets the password of whom a link lets in, uses the link up, ends the account's other sessions
/// and signs the browser in. A password that is not fit leaves the link as it is.
///
/// # Errors
/// When the link does not work, the password is not fit, or the database fails.
pub async fn set_password(
    app: &App,
    token: &str,
    password: &SecretString,
    from: Option<IpAddr>,
) -> Result<SignedIn, SignInError> {
    // Hashing costs a tenth of a second of a core, so only those with a link have it done.
    invited(app, token).await?;
    let token = Token::parse(TokenKind::SignInLink, token).ok_or(SignInError::Link)?;
    let hash = app.passwords().hash(password).await?;
    let now = app.clock().now();
    let mut transaction = app.platform().begin().await?;
    let account = sign_in_links::take(&mut transaction, &token.hash(), now)
        .await?
        .ok_or(SignInError::Link)?;
    let console = invitation(&mut transaction, &account).await?.console;
    match &account {
        Account::SuperAdmin { id, .. } => {
            super_admins::set_password(&mut transaction, *id, &hash, now).await?;
        }
        Account::InstanceAdmin { id, instance, .. } => {
            let hash = Some(&hash);
            instance_admins::set_password(&mut transaction, *instance, *id, hash, now).await?;
        }
    }
    user_sessions::revoke_all(&mut transaction, account.id(), None).await?;
    let session = begin_session(app, &mut transaction, &account, from).await?;
    let deed = account_deed("account.password_set", &account);
    audit::record(app, &mut transaction, by(&account, from), deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(SignedIn {
        token: session,
        console,
    })
}

/// Signs a super admin's browser out.
///
/// # Errors
/// When the database fails.
pub async fn sign_out_super_admin(app: &App, admin: &SuperAdmin) -> Result<(), SignInError> {
    end_session(app, admin.session()).await
}

/// Signs a client admin's browser out.
///
/// # Errors
/// When the database fails.
pub async fn sign_out_client_admin(app: &App, admin: &ClientAdmin) -> Result<(), SignInError> {
    end_session(app, admin.session()).await
}

async fn end_session(app: &App, session: UserSessionId) -> Result<(), SignInError> {
    let mut connection = app.platform().acquire().await?;
    user_sessions::revoke(&mut connection, session).await?;
    Ok(())
}

async fn check(
    app: &App,
    password: &SecretString,
    hash: Option<&SecretString>,
) -> Result<(), SignInError> {
    let hash = hash.map(|hash| hash.expose_secret());
    if app.passwords().check(password, hash).await? {
        Ok(())
    } else {
        Err(SignInError::Wrong)
    }
}

fn subjects(place: &str, email: Option<&Email>, from: Option<IpAddr>) -> Vec<Subject> {
    let account = email.map(|email| Subject::Account(format!("{place}/{email}")));
    account
        .into_iter()
        .chain(from.map(Subject::of_address))
        .collect()
}

async fn invitation(
    connection: &mut PgConnection,
    account: &Account,
) -> Result<Invited, SignInError> {
    let email = account.email().clone();
    let Account::InstanceAdmin { instance, .. } = account else {
        return Ok(Invited {
            email,
            console: Console::Platform,
            instance_name: None,
        });
    };
    let instance = instances::find(connection, *instance)
        .await?
        .filter(|instance| instance.status != InstanceStatus::Deleting)
        .ok_or(SignInError::Link)?;
    Ok(Invited {
        email,
        console: Console::Client(instance.slug),
        instance_name: Some(instance.name.to_string()),
    })
}

/// Begins a session with a new token and notes the sign-in.
async fn begin_session(
    app: &App,
    connection: &mut PgConnection,
    account: &Account,
    from: Option<IpAddr>,
) -> Result<Token, DbError> {
    let token = Token::issue(TokenKind::UserSession, app.random());
    let now = app.clock().now();
    let new = NewUserSession {
        id: app.new_id(UserSessionId::generate),
        account: account.id(),
        token: token.hash(),
        created_at: now,
        expires_at: now + SESSION_LIFE,
    };
    user_sessions::insert(connection, &new).await?;
    match account.id() {
        AccountId::SuperAdmin(id) => super_admins::mark_signed_in(connection, id, now).await?,
        AccountId::InstanceAdmin(id) => {
            instance_admins::mark_signed_in(connection, id, now).await?;
        }
    }
    let deed = account_deed("account.signed_in", account);
    audit::record(app, connection, by(account, from), deed).await?;
    Ok(token)
}

fn by(account: &Account, from: Option<IpAddr>) -> By {
    let actor = match account {
        Account::SuperAdmin { id, .. } => Actor::SuperAdmin(*id),
        Account::InstanceAdmin { id, .. } => Actor::ClientAdmin(*id),
    };
    By::known(actor, account.email().as_str(), from)
}

fn account_deed<'a>(action: &'a str, account: &Account) -> Deed<'a> {
    let (target_kind, target_id, instance) = match account {
        Account::SuperAdmin { id, .. } => ("super_admin", id.to_string(), None),
        Account::InstanceAdmin { id, instance, .. } => {
            ("instance_admin", id.to_string(), Some(*instance))
        }
    };
    Deed {
        action,
        target_kind,
        target_id,
        instance,
        reason: None,
        details: json!({}),
    }
}
