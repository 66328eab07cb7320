//! A database that is made ready for an instance: accepted as it was given, brought up to date, and
//! marked as that instance's.

use std::sync::Arc;

use stoa_client_db::moving::{self as departure, Departure};
use stoa_client_db::preflight::PreflightReport;
use stoa_client_db::{CertificateAuthority, DatabaseAddress, Target, api_configurations, holdings};
use stoa_domain::seal::DataKey;
use stoa_domain::violation::Violations;
use stoa_domain::{DatabaseMode, DatabaseState, InstanceId};
use stoa_platform_db::instances::{DatabaseFacts, NewDatabase};

use super::connect::{ConnectError, NewAddress};
use super::examine::{Examined, Given, examine};
use super::stored::seal_address;
use crate::App;
use crate::api_configurations::is_ready;
use crate::contents::open_endpoint;

/// Who is given a database; an instance that is being made is in no registry yet.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// The instance.
    pub(crate) instance: InstanceId,
    /// The key that seals its secrets.
    pub(crate) key: &'a DataKey,
    /// How many addresses it had before.
    pub(crate) generation: i64,
}

/// A database that carries its owner's marker and schema, and what the registry keeps of it.
pub(crate) struct MadeReady {
    /// What the registry keeps.
    pub(crate) database: NewDatabase,
    /// Its address.
    pub(crate) address: DatabaseAddress,
    /// Whether the instance has another database now.
    pub(super) leaves: bool,
    pub(super) report: PreflightReport,
    /// Whether one of the AI configurations in it can answer.
    pub(crate) ai_ready: bool,
}

/// Makes a database ready for an instance that is being made. If it does not come to be, the
/// database is to be given back with [`give_back`].
///
/// # Errors
/// As [`super::put`].
pub(crate) async fn make_ready(
    app: &App,
    owner: Owner<'_>,
    new: &NewAddress,
) -> Result<MadeReady, ConnectError> {
    let (address, report) = accepted(app, owner.instance, new, Given::ByClient).await?;
    made_ready(app, owner, new, address, report).await
}

/// The same with the database that the operator of a dedicated deployment has named, which may be on
/// a private address and hold the platform's tables.
///
/// # Errors
/// As [`super::put`].
pub(crate) async fn make_ready_for_operator(
    app: &App,
    owner: Owner<'_>,
    new: &NewAddress,
) -> Result<MadeReady, ConnectError> {
    let (address, report) = accepted(app, owner.instance, new, Given::ByOperator).await?;
    made_ready(app, owner, new, address, report).await
}

/// Takes the marker of an instance that did not come to be out of its database.
pub(crate) async fn give_back(app: &App, instance: InstanceId, address: &DatabaseAddress) {
    let apart = app.clients().apart();
    let target = Target {
        instance,
        generation: 1,
        address: Arc::new(address.clone()),
    };
    let released = async {
        let connection = apart.checkout(&target).await?;
        holdings::release(&connection, instance).await
    };
    if let Err(error) = released.await {
        tracing::warn!(%instance, %error, "a client's database carries the marker of an instance that was not made");
    }
    apart.forget(instance);
}

/// A client's address and its report, when nothing speaks against it.
///
/// # Errors
/// When a field is wrong, a check fails, or it is the platform's own database.
pub(crate) async fn accepted_from_client(
    app: &App,
    instance: InstanceId,
    new: &NewAddress,
) -> Result<(DatabaseAddress, PreflightReport), ConnectError> {
    accepted(app, instance, new, Given::ByClient).await
}

/// The address and its report, when nothing speaks against it.
pub(super) async fn accepted(
    app: &App,
    instance: InstanceId,
    new: &NewAddress,
    given: Given,
) -> Result<(DatabaseAddress, PreflightReport), ConnectError> {
    let authority = require_fit(new)?;
    let Examined {
        report,
        address,
        is_platform,
    } = examine(app, instance, new, authority, given).await;
    if is_platform {
        return Err(ConnectError::IsPlatform(Box::new(report)));
    }
    match address {
        Some(address) if report.ok => Ok((address, report)),
        _ => Err(ConnectError::CheckFailed(Box::new(report))),
    }
}

/// What stands beside the address must be right; gives the certificate authority, where there is one.
pub(super) fn require_fit(new: &NewAddress) -> Result<Option<CertificateAuthority>, ConnectError> {
    let mut violations = Violations::default();
    new.supabase.examine(&mut violations);
    let pem = new.ca_certificate.as_deref();
    let authority = match pem.map(CertificateAuthority::parse).transpose() {
        Ok(authority) => authority,
        Err(error) => {
            let message = format!("{error}. {}", error.remedy());
            violations.require(false, "ca_certificate", &message);
            None
        }
    };
    violations.into_result().map_err(ConnectError::Invalid)?;
    Ok(authority)
}

/// Brings the new database up to date and marks it, with pools of its own: nobody else uses it yet.
pub(super) async fn made_ready(
    app: &App,
    owner: Owner<'_>,
    new: &NewAddress,
    address: DatabaseAddress,
    report: PreflightReport,
) -> Result<MadeReady, ConnectError> {
    let Owner { instance, key, .. } = owner;
    let apart = app.clients().apart();
    let target = Target {
        instance,
        generation: owner.generation + 1,
        address: Arc::new(address.clone()),
    };
    let learned = async {
        let connection = apart.checkout(&target).await?;
        if let Departure::Departed(_) = departure::state(&connection).await? {
            return Err(ConnectError::Departed);
        }
        let configurations = api_configurations::list(&connection).await?;
        // One that was sealed for another deployment answers nobody until its key is given again.
        let ai_ready = configurations
            .iter()
            .any(|it| is_ready(it) && open_endpoint(it, instance, key).is_ok());
        let version = connection.schema_version();
        Ok((connection.has_vectors(), version, ai_ready))
    };
    let learned = learned.await;
    apart.forget(instance);
    let (has_vectors, schema_version, ai_ready) = learned?;
    let seen = &report.facts;
    let facts = DatabaseFacts {
        host: Some(address.display_host()),
        version: seen.version.clone(),
        pgvector: seen.pgvector.clone().filter(|_| has_vectors),
        pooler: seen.pooler.clone(),
        schema_version: Some(schema_version),
    };
    let database = NewDatabase {
        mode: DatabaseMode::External,
        address_sealed: seal_address(&address, instance, key, app.random())?,
        facts,
        state: DatabaseState::Ready,
        supabase_url: new.supabase.url.clone(),
        supabase_sealed: new.supabase.seal_keys(instance, key, app.random())?,
    };
    Ok(MadeReady {
        database,
        address,
        leaves: false,
        report,
        ai_ready,
    })
}
