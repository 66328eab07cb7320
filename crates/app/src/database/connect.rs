//! Giving an instance its database: looked at, brought up to date, marked, and only then noted.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;
use stoa_client_db::preflight::{Check, CheckStatus, PreflightReport};
use stoa_client_db::{ClientDbError, DatabaseAddress, holdings};
use stoa_domain::Violation;
use stoa_domain::seal::SealError;
use stoa_platform_db::instances;
use stoa_platform_db::{DbError, PgConnection};

use super::examine::{Given, examine};
use super::ready::{MadeReady, Owner, accepted, made_ready, make_ready_for_operator, require_fit};
use super::{DatabaseError, SupabaseProject};
use crate::access::ClientCaller;
use crate::audit::{self, By, Deed};
use crate::registry::{Registered, RegistryError};
use crate::{App, moving};

/// A database as its client gives it.
pub struct NewAddress {
    /// The connection string.
    pub url: SecretString,
    /// The certificate authorities by which its server proves itself, in PEM form; the public ones
    /// where it is left out.
    pub ca_certificate: Option<String>,
    /// The Supabase project that it is part of, if it is.
    pub supabase: SupabaseProject,
}

/// Why a database was not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A field is wrong.
    #[error("the body is not right")]
    Invalid(Vec<Violation>),
    /// It leads to the platform's own database.
    #[error("this is the platform's own database")]
    IsPlatform(Box<PreflightReport>),
    /// A check failed.
    #[error("the database did not pass its check")]
    CheckFailed(Box<PreflightReport>),
    /// The present database holds data, which would be left behind.
    #[error("the instance has a database that holds data")]
    AlreadySet,
    /// It was moved away from before, and is kept as it was.
    #[error("the database is one that was moved away from")]
    Departed,
    /// The database is being moved to another.
    #[error("the database is being moved")]
    Moving,
    /// Another change of the database was made at the same time.
    #[error("the database was changed at the same time")]
    Changed,
    /// The deployment is dedicated to one instance, whose database the environment names.
    #[error(
        "this deployment is dedicated to one instance, whose database is set in its environment"
    )]
    Dedicated,
    /// The address could not be sealed.
    #[error("the address could not be sealed")]
    Sealed(#[from] SealError),
    /// The new database passed its check and failed all the same.
    #[error("the client's database failed")]
    Database(#[from] DatabaseError),
    /// The registry failed.
    #[error("the instance could not be looked up")]
    Registry(#[from] RegistryError),
    /// The platform's database failed.
    #[error("the platform's database failed")]
    Platform(#[from] DbError),
}

impl From<ClientDbError> for ConnectError {
    fn from(error: ClientDbError) -> Self {
        Self::Database(error.into())
    }
}

impl ConnectError {
    /// The first check that failed, where it was a check.
    #[must_use]
    pub fn failed_check(&self) -> Option<&Check> {
        match self {
            Self::IsPlatform(report) | Self::CheckFailed(report) => report
                .checks
                .iter()
                .find(|check| check.status == CheckStatus::Fail),
            _ => None,
        }
    }
}

/// A database that was connected.
pub struct Connected {
    /// The instance as it is now.
    pub registered: Arc<Registered>,
    /// What the check found: nothing that failed.
    pub report: PreflightReport,
}

/// Looks at a database and says what is wrong with it. Changes nothing.
///
/// # Errors
/// When a field beside the address is wrong.
pub async fn check(
    app: &App,
    caller: &ClientCaller,
    new: &NewAddress,
) -> Result<PreflightReport, ConnectError> {
    let authority = require_fit(new)?;
    let examined = examine(app, caller.instance(), new, authority, Given::ByClient).await;
    Ok(examined.report)
}

/// Connects a database: from here the instance's content is there. Runs to its end even if the
/// caller goes away.
///
/// # Errors
/// When a check fails, the present database holds data and the new one is another, or a database
/// fails. Then nothing has changed for the instance.
pub async fn put(
    app: &Arc<App>,
    caller: &ClientCaller,
    new: NewAddress,
) -> Result<Connected, ConnectError> {
    connect_for(app, caller.registered(), new, By::from(caller)).await
}

/// Connects a database for an instance that leaves nothing behind.
///
/// # Errors
/// As [`put`].
pub(crate) async fn connect_for(
    app: &Arc<App>,
    registered: &Arc<Registered>,
    new: NewAddress,
    by: By,
) -> Result<Connected, ConnectError> {
    if app.settings().dedicated.is_some() {
        return Err(ConnectError::Dedicated);
    }
    let (worker, registered) = (Arc::clone(app), Arc::clone(registered));
    let work = app
        .tasks()
        .spawn(async move { connect(&worker, &registered, &new, by).await });
    // A task that was cut off has changed nothing, or all of it.
    work.await.unwrap_or(Err(ConnectError::Changed))
}

async fn connect(
    app: &App,
    registered: &Registered,
    new: &NewAddress,
    by: By,
) -> Result<Connected, ConnectError> {
    let (address, report) = accepted(app, registered.id(), new, Given::ByClient).await?;
    require_no_loss(app, registered, &address, report.facts.own).await?;
    let owner = Owner {
        instance: registered.id(),
        key: registered.key(),
        generation: registered.row().database.generation,
    };
    let mut ready = made_ready(app, owner, new, address, report).await?;
    let present = registered.target();
    ready.leaves = present.is_some_and(|it| !moving::same_place(&it.address, &ready.address));
    note(app, owner, &ready, by).await?;
    // First what leads to the old address, then the connections to it, so that none is opened anew.
    app.forget_instance(owner.instance).await;
    app.clients().forget(owner.instance);
    let registered = app.registered(owner.instance).await?;
    Ok(Connected {
        registered: registered.ok_or(ConnectError::Changed)?,
        report: ready.report,
    })
}

/// Gives the one instance of a dedicated deployment the database that the operator has named now.
/// What a former one holds stays there: the operator's word is final.
///
/// # Errors
/// As [`put`].
pub(crate) async fn follow_operator(
    app: &App,
    registered: &Registered,
    new: &NewAddress,
    by: By,
) -> Result<(), ConnectError> {
    let owner = Owner {
        instance: registered.id(),
        key: registered.key(),
        generation: registered.row().database.generation,
    };
    let ready = make_ready_for_operator(app, owner, new).await?;
    note(app, owner, &ready, by).await?;
    app.clients().forget(owner.instance);
    app.forget_instance(owner.instance).await;
    Ok(())
}

/// An instance moves to another database only where it leaves nothing behind: to one that is its
/// own already, to the same one with another password, or from one that holds nothing.
async fn require_no_loss(
    app: &App,
    registered: &Registered,
    new: &DatabaseAddress,
    is_own: bool,
) -> Result<(), ConnectError> {
    let Some(present) = registered.target() else {
        return Ok(());
    };
    if moving::same_place(&present.address, new) {
        return Ok(());
    }
    let mut platform = app.platform().acquire().await?;
    moving::require_none_under_way(&mut platform, registered.id()).await?;
    drop(platform);
    if is_own {
        return Ok(());
    }
    // What cannot be looked into may hold something.
    let connection = app
        .checkout(registered)
        .await
        .map_err(|_| ConnectError::AlreadySet)?;
    match holdings::holds_anything(&connection).await {
        Ok(false) => Ok(()),
        Ok(true) | Err(_) => Err(ConnectError::AlreadySet),
    }
}

/// Notes the new database, and makes the instance active if that was all it waited for.
async fn note(app: &App, owner: Owner<'_>, ready: &MadeReady, by: By) -> Result<(), ConnectError> {
    let (instance, now) = (owner.instance, app.clock().now());
    let database = &ready.database;
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    let generation = instances::set_database(connection, instance, database, now).await?;
    // Somebody else's change came between: undone by leaving the transaction.
    if generation != Some(owner.generation + 1) {
        return Err(ConnectError::Changed);
    }
    // A move that began meanwhile would go on from another database.
    if ready.leaves {
        moving::require_none_under_way(connection, instance).await?;
    }
    instances::set_ai_ready(connection, instance, ready.ai_ready.then_some(now)).await?;
    instances::activate_if_ready(connection, instance, now).await?;
    let details = json!({
        "host": database.facts.host,
        "version": database.facts.version,
        "supabase": database.supabase_url.is_some(),
    });
    let deed = Deed::on_instance("instance.database_set", instance, details);
    audit::record(app, connection, by, deed).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(())
}
