//! Who acts, proved by a credential.
//!
//! Use cases take one of these proofs and never a raw id: a proof can only be made here, from a
//! credential that was checked (or, for a visitor, is checked by every query it is used in), and
//! it names the one instance that it is good for.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use stoa_domain::token::{SessionToken, Token, TokenHash, TokenKind};
use stoa_domain::{
    AdminRole, ApiTokenId, Email, InstanceAdminId, InstanceId, InstanceStatus, SuperAdminId,
    UserSessionId,
};
use stoa_platform_db::DbError;
use stoa_platform_db::account::Account;
use stoa_platform_db::api_tokens::{self, ApiToken, ApiTokenScope};
use stoa_platform_db::user_sessions;

use crate::App;
use crate::registry::{Registered, RegistryError};
use crate::sign_in;

/// Who does something, for the audit log and for "changed by".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The holder of a platform API token.
    PlatformToken(ApiTokenId),
    /// The holder of a client API key.
    ClientKey(ApiTokenId),
    /// A signed-in super admin.
    SuperAdmin(SuperAdminId),
    /// A signed-in client admin.
    ClientAdmin(InstanceAdminId),
    /// Whoever runs the program's commands on its host.
    CommandLine,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlatformToken(id) => write!(f, "platform_token:{id}"),
            Self::ClientKey(id) => write!(f, "client_key:{id}"),
            Self::SuperAdmin(id) => write!(f, "super_admin:{id}"),
            Self::ClientAdmin(id) => write!(f, "client_admin:{id}"),
            Self::CommandLine => f.write_str("command_line"),
        }
    }
}

/// Somebody who may do everything on the platform's side.
#[derive(Clone, Debug)]
pub struct PlatformCaller {
    actor: Actor,
    name: String,
    address: Option<IpAddr>,
}

impl PlatformCaller {
    /// Whoever runs the program's commands: they hold its configuration and its database.
    #[must_use]
    pub fn command_line() -> Self {
        Self {
            actor: Actor::CommandLine,
            name: "command line".to_owned(),
            address: None,
        }
    }

    /// The same caller, with the address that the request came from, for the audit log.
    #[must_use]
    pub fn seen_from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// How people know them: a token's name, an admin's address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address that the request came from.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Who it is.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }
}

/// Somebody who may do everything on one instance's side.
#[derive(Clone)]
pub struct ClientCaller {
    registered: Arc<Registered>,
    actor: Actor,
    name: String,
    address: Option<IpAddr>,
}

impl ClientCaller {
    /// The instance.
    #[must_use]
    pub fn instance(&self) -> InstanceId {
        self.registered.id()
    }

    /// The same caller, with the address that the request came from, for the audit log.
    #[must_use]
    pub fn seen_from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// How people know them: a key's name, an admin's address.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address that the request came from.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The instance as registered.
    #[must_use]
    pub fn registered(&self) -> &Arc<Registered> {
        &self.registered
    }

    /// Who it is.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
    }
}

/// A super admin who is signed in to the platform's console.
#[derive(Clone, Debug)]
pub struct SuperAdmin {
    caller: PlatformCaller,
    session: UserSessionId,
}

impl SuperAdmin {
    /// The same admin, with the address that the request came from, for the audit log.
    #[must_use]
    pub fn seen_from(self, address: Option<IpAddr>) -> Self {
        let caller = self.caller.seen_from(address);
        Self { caller, ..self }
    }

    /// What they may do by the platform API they may do in the console.
    #[must_use]
    pub const fn caller(&self) -> &PlatformCaller {
        &self.caller
    }

    /// The session of their browser.
    pub(crate) const fn session(&self) -> UserSessionId {
        self.session
    }
}

/// A client admin who is signed in to the own instance's console.
#[derive(Clone)]
pub struct ClientAdmin {
    caller: ClientCaller,
    role: AdminRole,
    session: UserSessionId,
}

impl ClientAdmin {
    /// The same admin, with the address that the request came from, for the audit log.
    #[must_use]
    pub fn seen_from(self, address: Option<IpAddr>) -> Self {
        let caller = self.caller.seen_from(address);
        Self { caller, ..self }
    }

    /// What they may do by the client API they may do in the console, as far as the role goes.
    #[must_use]
    pub const fn caller(&self) -> &ClientCaller {
        &self.caller
    }

    /// What they may do.
    #[must_use]
    pub const fn role(&self) -> AdminRole {
        self.role
    }

    /// The session of their browser.
    pub(crate) const fn session(&self) -> UserSessionId {
        self.session
    }
}

/// The bearer of a conversation's token. Whether the token is good is checked by each query, in
/// the same statement that reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Visitor {
    instance: InstanceId,
    token_hash: TokenHash,
    address: Option<IpAddr>,
}

impl Visitor {
    /// The instance that the token says it is of.
    #[must_use]
    pub const fn instance(&self) -> InstanceId {
        self.instance
    }

    /// The same visitor, with the address that the request came from, for what each address may
    /// take.
    #[must_use]
    pub fn seen_from(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// The address that the request came from.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The hash that the query compares.
    #[must_use]
    pub const fn token_hash(&self) -> &TokenHash {
        &self.token_hash
    }
}

/// The holder of a platform API token; `None` when it is unknown, revoked or of another kind.
///
/// # Errors
/// When the platform's database fails.
pub async fn platform_token(app: &App, text: &str) -> Result<Option<PlatformCaller>, DbError> {
    let Some(token) = Token::parse(TokenKind::Platform, text) else {
        return Ok(None);
    };
    let mut connection = app.platform().acquire().await?;
    let found = api_tokens::find_by_hash(&mut connection, &token.hash(), app.clock().now()).await?;
    Ok(match found {
        Some(ApiToken {
            id,
            scope: ApiTokenScope::Platform,
            name,
            ..
        }) => Some(PlatformCaller {
            actor: Actor::PlatformToken(id),
            name,
            address: None,
        }),
        _ => None,
    })
}

/// The holder of a client API key; `None` when it is unknown, revoked or of another kind, or its
/// instance is being deleted.
///
/// # Errors
/// When the platform's database fails.
pub async fn client_key(app: &App, text: &str) -> Result<Option<ClientCaller>, RegistryError> {
    let Some(token) = Token::parse(TokenKind::ClientKey, text) else {
        return Ok(None);
    };
    let found = {
        let mut connection = app.platform().acquire().await?;
        api_tokens::find_by_hash(&mut connection, &token.hash(), app.clock().now()).await?
    };
    match found {
        Some(ApiToken {
            id,
            scope: ApiTokenScope::Client(instance),
            name,
            ..
        }) => client(app, instance, Actor::ClientKey(id), name).await,
        _ => Ok(None),
    }
}

async fn client(
    app: &App,
    instance: InstanceId,
    actor: Actor,
    name: String,
) -> Result<Option<ClientCaller>, RegistryError> {
    let registered = app.registered(instance).await?;
    let alive = registered.filter(|registered| registered.status() != InstanceStatus::Deleting);
    Ok(alive.map(|registered| ClientCaller {
        registered,
        actor,
        name,
        address: None,
    }))
}

/// The super admin whose browser holds this session's token; `None` when it is unknown, over, has
/// rested too long or is a client admin's.
///
/// # Errors
/// When the platform's database fails.
pub async fn super_admin(app: &App, text: &str) -> Result<Option<SuperAdmin>, DbError> {
    let Some((session, account)) = signed_in(app, text).await? else {
        return Ok(None);
    };
    Ok(match account {
        Account::SuperAdmin { id, email } => Some(SuperAdmin {
            caller: PlatformCaller {
                actor: Actor::SuperAdmin(id),
                name: email.as_str().to_owned(),
                address: None,
            },
            session,
        }),
        Account::InstanceAdmin { .. } => None,
    })
}

/// The client admin whose browser holds this session's token; `None` when it is unknown, over, has
/// rested too long or is a super admin's, or the instance is being deleted.
///
/// # Errors
/// When the platform's database fails.
pub async fn client_admin(app: &App, text: &str) -> Result<Option<ClientAdmin>, RegistryError> {
    let Some((session, account)) = signed_in(app, text).await? else {
        return Ok(None);
    };
    let Account::InstanceAdmin {
        id,
        instance,
        email,
        role,
    } = account
    else {
        return Ok(None);
    };
    let name = Email::as_str(&email).to_owned();
    let caller = client(app, instance, Actor::ClientAdmin(id), name).await?;
    Ok(caller.map(|caller| ClientAdmin {
        caller,
        role,
        session,
    }))
}

async fn signed_in(app: &App, text: &str) -> Result<Option<(UserSessionId, Account)>, DbError> {
    let Some(token) = Token::parse(TokenKind::UserSession, text) else {
        return Ok(None);
    };
    let mut connection = app.platform().acquire().await?;
    let now = app.clock().now();
    let found =
        user_sessions::find(&mut connection, &token.hash(), sign_in::SESSION_IDLE, now).await?;
    Ok(found.map(|session| (session.id, session.account)))
}

/// The bearer of a chat session's token; `None` when it cannot be one.
#[must_use]
pub fn session_token(text: &str) -> Option<Visitor> {
    let token = SessionToken::parse(text)?;
    Some(Visitor {
        instance: token.instance_id(),
        token_hash: token.hash(),
        address: None,
    })
}
