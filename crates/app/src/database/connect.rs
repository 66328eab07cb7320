//! Giving an instance its database: looked at, brought up to date, marked, and only then noted.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use stoa_client_db::preflight::PreflightReport;
use stoa_client_db::{
    ClientDbError, DatabaseAddress, SCHEMA_VERSION, Target, api_configurations, holdings,
};
use stoa_domain::seal::SealError;
use stoa_domain::violation::Violations;
use stoa_domain::{DatabaseMode, DatabaseState, Violation};
use stoa_platform_db::instances::{self, DatabaseFacts, NewDatabase};
use stoa_platform_db::{DbError, PgConnection};

use super::examine::{Examined, examine};
use super::{DatabaseError, SupabaseProject};
use crate::App;
use crate::access::ClientCaller;
use crate::api_configurations::is_ready;
use crate::audit::{self, By, Deed};
use crate::registry::{Registered, RegistryError, address_place};

/// A database as its client gives it.
pub struct NewAddress {
    /// The connection string.
    pub url: SecretString,
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
    /// Another change of the database was made at the same time.
    #[error("the database was changed at the same time")]
    Changed,
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

/// A database that was connected.
pub struct Connected {
    /// The instance as it is now.
    pub registered: Arc<Registered>,
    /// What the check found: nothing that failed.
    pub report: PreflightReport,
}

/// What was learned of the new database while it was made ready.
struct Prepared {
    has_vectors: bool,
    ai_ready: bool,
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
    require_fit(new)?;
    Ok(examine(app, caller.instance(), &new.url).await.report)
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
    let (worker, registered, by) = (
        Arc::clone(app),
        Arc::clone(caller.registered()),
        By::from(caller),
    );
    let work = app
        .tasks()
        .spawn(async move { connect(&worker, &registered, &new, by).await });
    // A task that was cut off has changed nothing, or all of it.
    work.await.unwrap_or(Err(ConnectError::Changed))
}

/// As [`put`], whoever asks.
pub(crate) async fn connect(
    app: &App,
    registered: &Registered,
    new: &NewAddress,
    by: By,
) -> Result<Connected, ConnectError> {
    require_fit(new)?;
    let Examined {
        report,
        address,
        is_platform,
    } = examine(app, registered.id(), &new.url).await;
    if is_platform {
        return Err(ConnectError::IsPlatform(Box::new(report)));
    }
    let address = match address {
        Some(address) if report.ok => address,
        _ => return Err(ConnectError::CheckFailed(Box::new(report))),
    };
    require_no_loss(app, registered, &address, report.facts.own).await?;
    let prepared = prepare(app, registered, &address).await?;
    let facts = DatabaseFacts {
        host: Some(address.display_host()),
        version: report.facts.version.clone(),
        pgvector: report
            .facts
            .pgvector
            .clone()
            .filter(|_| prepared.has_vectors),
        pooler: report.facts.pooler.clone(),
        schema_version: Some(SCHEMA_VERSION),
    };
    let database = NewDatabase {
        mode: DatabaseMode::External,
        address_sealed: registered.key().seal(
            &address_place(registered.id()),
            address.to_secret_url().expose_secret().as_bytes(),
            app.random(),
        )?,
        facts,
        state: DatabaseState::Ready,
        supabase_url: new.supabase.url.clone(),
        supabase_sealed: new
            .supabase
            .seal_keys(registered.id(), registered.key(), app.random())?,
    };
    note(app, registered, &database, prepared.ai_ready, by).await?;
    app.clients().forget(registered.id());
    app.forget_instance(registered.id()).await;
    let registered = app.registered(registered.id()).await?;
    Ok(Connected {
        registered: registered.ok_or(ConnectError::Changed)?,
        report,
    })
}

fn require_fit(new: &NewAddress) -> Result<(), ConnectError> {
    let mut violations = Violations::default();
    new.supabase.examine(&mut violations);
    violations.into_result().map_err(ConnectError::Invalid)
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
    let place = |it: &DatabaseAddress| (it.display_host(), it.database().to_owned());
    if is_own || place(&present.address) == place(new) {
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

/// Brings the new database up to date and marks it, with pools of its own: nobody else uses it yet.
async fn prepare(
    app: &App,
    registered: &Registered,
    address: &DatabaseAddress,
) -> Result<Prepared, ClientDbError> {
    let apart = app.clients().apart();
    let target = Target {
        instance: registered.id(),
        generation: registered.row().database.generation + 1,
        address: Arc::new(address.clone()),
    };
    let prepared = async {
        let connection = apart.checkout(&target).await?;
        let configurations = api_configurations::list(&connection).await?;
        Ok(Prepared {
            has_vectors: connection.has_vectors(),
            ai_ready: configurations.iter().any(is_ready),
        })
    };
    let prepared = prepared.await;
    apart.forget(registered.id());
    prepared
}

/// Notes the new database, and makes the instance active if that was all it waited for.
async fn note(
    app: &App,
    registered: &Registered,
    database: &NewDatabase,
    ai_ready: bool,
    by: By,
) -> Result<(), ConnectError> {
    let (instance, now) = (registered.id(), app.clock().now());
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    let generation = instances::set_database(connection, instance, database, now).await?;
    // Somebody else's change came between: undone by leaving the transaction.
    if generation != Some(registered.row().database.generation + 1) {
        return Err(ConnectError::Changed);
    }
    instances::set_ai_ready(connection, instance, ai_ready.then_some(now)).await?;
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
