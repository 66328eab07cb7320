//! One attempt at one database: held by a lease, done, and noted with how it went.

use chrono::{DateTime, TimeDelta, Utc};
use stoa_client_db::{SchemaChange, SchemaTrouble};
use stoa_domain::InstanceId;
use stoa_platform_db::instances::{self, SchemaClaim, SchemaError, SchemaLease};
use stoa_platform_db::{DbError, PgConnection};

use super::{HEARTBEAT, LEASE};
use crate::App;
use crate::registry::{Registered, RegistryError};

/// How an attempt ended.
pub(super) enum Outcome {
    /// It is up to date.
    Done(SchemaChange),
    /// It is as it was.
    Failed(SchemaTrouble),
    /// It was given up: another process has it now, or this one ends.
    GivenUp,
}

/// Which databases are wanted.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) per_host: i64,
    pub(super) tried_before: Option<DateTime<Utc>>,
    pub(super) gentle: bool,
}

/// Takes hold of the next database that is behind.
pub(super) async fn claim(app: &App, wanted: Wanted) -> Result<Option<SchemaLease>, DbError> {
    let now = app.clock().now();
    let claim = SchemaClaim {
        latest: app.clients().migrations().latest(),
        per_host: wanted.per_host,
        tried_before: wanted.tried_before,
        gentle: wanted.gentle,
        until: lease_end(app),
    };
    let mut transaction = app.platform().begin().await?;
    let lease = instances::claim_outdated(&mut transaction, &claim, now).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(lease)
}

pub(super) fn lease_end(app: &App) -> DateTime<Utc> {
    app.clock().now() + TimeDelta::from_std(LEASE).unwrap_or_default()
}

/// Brings the database up to date that is held, notes how that went, and lets go of it.
pub(super) async fn carry_out(app: &App, lease: &SchemaLease) -> Result<Outcome, DbError> {
    let outcome = tokio::select! {
        outcome = attempt(app, lease) => outcome?,
        // What was begun is undone with its connection.
        () = lost(app, lease) => Outcome::GivenUp,
        () = app.shutdown().cancelled() => Outcome::GivenUp,
    };
    let mut connection = app.platform().acquire().await?;
    instances::release_schema_lease(&mut connection, lease).await?;
    Ok(outcome)
}

async fn attempt(app: &App, lease: &SchemaLease) -> Result<Outcome, DbError> {
    let instance = lease.instance;
    let registered = match Registered::load(app, instance).await {
        Ok(Some(registered)) => registered,
        // Deleted meanwhile.
        Ok(None) => return Ok(Outcome::GivenUp),
        Err(RegistryError::Platform(error)) => return Err(error),
        Err(error) => {
            let trouble = unopened(&error);
            note(app, instance, lease.generation, Err(&trouble)).await?;
            return Ok(Outcome::Failed(trouble));
        }
    };
    let Some(target) = registered.target() else {
        return Ok(Outcome::GivenUp);
    };
    let learned = app.clients().migrate(target).await;
    let learned = learned.map_err(|error| SchemaTrouble::of(&error, &target.address));
    let version = learned.as_ref().map(|change| change.to);
    note(app, instance, target.generation, version).await?;
    Ok(learned.map_or_else(Outcome::Failed, Outcome::Done))
}

/// Writes to the registry what was learned of a schema.
pub(super) async fn note(
    app: &App,
    instance: InstanceId,
    generation: i64,
    learned: Result<i32, &SchemaTrouble>,
) -> Result<(), DbError> {
    let mut transaction = app.platform().begin().await?;
    let connection: &mut PgConnection = &mut transaction;
    match learned {
        Ok(version) => {
            instances::record_schema_version(connection, instance, generation, version).await?;
        }
        Err(trouble) => {
            let error = SchemaError {
                code: trouble.code.clone(),
                message: trouble.message.clone(),
                remedy: trouble.remedy.clone(),
                at: app.clock().now(),
            };
            let fraction = app.random().fraction();
            instances::record_schema_error(connection, instance, generation, &error, fraction)
                .await?;
        }
    }
    transaction.commit().await.map_err(DbError::from)?;
    app.forget_instance(instance).await;
    Ok(())
}

/// What the log says of a failure in the background.
pub(super) fn log(instance: InstanceId, trouble: &SchemaTrouble) {
    tracing::warn!(%instance, code = trouble.code, message = trouble.message, "a client's database could not be brought up to date; it is tried again");
}

/// Returns when the database is no longer held.
async fn lost(app: &App, lease: &SchemaLease) {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let Ok(mut connection) = app.platform().acquire().await else {
            continue;
        };
        match instances::prolong_schema_lease(&mut connection, lease, lease_end(app)).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(instance = %lease.instance, %error, "the lease on a client's schema was not prolonged");
            }
        }
    }
}

/// The address of the database is sealed with a key that is gone, or is none.
fn unopened(error: &RegistryError) -> SchemaTrouble {
    SchemaTrouble {
        code: "address_unreadable".into(),
        message: format!("the stored address of the database cannot be used: {error}"),
        remedy: "Is STOA_MASTER_KEY complete (`stoa doctor`)? Otherwise give the instance its database's address again.".into(),
    }
}
