//! A deployment dedicated to one client: its database looked at before anything else, its instance
//! registered, its owner invited.

use std::sync::Arc;

use chrono::SecondsFormat;
use secrecy::ExposeSecret as _;
use stoa_app::dedicated::{self, Client, DedicatedError, Prepared};
use stoa_app::{App, StartError};
use stoa_client_db::preflight::{self, Check, CheckStatus, PreflightReport};
use stoa_client_db::{CertificateAuthority, DatabaseAddress, Deadlines};
use stoa_domain::Email;
use stoa_outbound::{AddressPolicy, Outbound};
use tokio_util::task::TaskTracker;

use crate::application;
use crate::command_line::failure::Failure;
use crate::command_line::output;
use crate::configuration::{Configuration, DedicatedClient};
use crate::databases::Databases;
use crate::instances;

/// Who the owner is where the operator names nobody.
const SOMEBODY: &str = "owner@localhost";

/// Looks at the client's database where the platform's tables are to be in it too, and refuses with the
/// first check that fails. Passes where there is nothing to look at.
pub(crate) async fn examine(configuration: &Configuration) -> Result<(), Failure> {
    let Some(client) = &configuration.client else {
        return Ok(());
    };
    let address = DatabaseAddress::parse_operators(client.database.expose_secret())
        .map_err(|error| Failure::from_error("malformed_configuration", &error))
        .map_err(|failure| failure.hint("correct CLIENT_DATABASE_URL"))?;
    let address = match &client.certificate_authority {
        Some(pem) => {
            let authority = CertificateAuthority::parse(pem)
                .map_err(|error| Failure::from_error("malformed_configuration", &error))
                .map_err(|failure| failure.hint("correct CLIENT_DATABASE_CA"))?;
            address.with_certificate_authority(authority)
        }
        None => address,
    };
    // The operator's own host is reached whatever the policy for clients says.
    let outbound = Outbound::new(AddressPolicy::default());
    let deadlines = Deadlines::default();
    let tasks = TaskTracker::new();
    let report = preflight::check(&outbound, &address, client.id, deadlines, &tasks).await;
    let failed = |it: &&Check| it.status == CheckStatus::Fail;
    if let Some(check) = report.checks.iter().find(failed) {
        return Err(failed_check(check, &report));
    }
    if configuration.platform_database.is_none()
        && report.facts.pooler.as_deref() == Some("transaction")
    {
        return Err(Failure::new(
            "transaction_pooler",
            "CLIENT_DATABASE_URL leads through a pooler that shares connections by transaction, over which the platform's tables cannot be used: signals between processes need LISTEN",
        )
        .hint("use the database's direct address or its session pooler (Supabase: port 5432 instead of 6543); or leave CLIENT_DATABASE_URL and set PLATFORM_DATABASE_URL to such an address of the same database"));
    }
    Ok(())
}

fn failed_check(check: &Check, report: &PreflightReport) -> Failure {
    let remedy = check.remedy.clone().unwrap_or_default();
    let hint = match check.name.as_str() {
        "ownership" => {
            "CLIENT_ID and CLIENT_DATABASE_URL do not belong together: take both from one `stoa instance env`".to_owned()
        }
        "rights" => format!("{remedy}\n{}", report.role_sql),
        _ => remedy,
    };
    Failure::new("client_database", check.detail.clone()).hint(hint)
}

/// Registers the client's instance, or follows what its environment says now.
pub(crate) async fn prepare(
    app: &Arc<App>,
    configured: &DedicatedClient,
) -> Result<Prepared, Failure> {
    let owner = match &configured.admin {
        Some(email) => email.clone(),
        None => Email::parse(SOMEBODY).map_err(|error| Failure::from_error("owner", &error))?,
    };
    let client = Client {
        id: configured.id,
        database: configured.database.clone(),
        certificate_authority: configured.certificate_authority.clone(),
        supabase_url: configured.supabase_url.clone(),
        supabase_anon_key: configured.supabase_anon_key.clone(),
        owner,
    };
    dedicated::prepare(app, &client)
        .await
        .map_err(|error| failure(&error))
}

/// Prints how the owner gets in, as long as they have not been in.
pub(crate) fn welcome(app: &App, prepared: &Prepared) -> Result<(), Failure> {
    let Some((email, link)) = &prepared.invitation else {
        return Ok(());
    };
    let until = link.expires_at.to_rfc3339_opts(SecondsFormat::Secs, true);
    let public_url = &app.settings().public_url;
    output::print(&format!(
        "This deployment is dedicated to one client; its console is {public_url}console/{slug}\n{email} sets a password here, once, until {until}:\n{url}\n",
        slug = prepared.slug,
        url = link.url,
    ))
}

/// The SQL that lets the role of the platform database's address keep the platform's tables there.
pub(crate) fn schema_sql(databases: &Databases) -> String {
    let address = DatabaseAddress::parse_operators(databases.platform().expose_secret());
    let role = address.map_or_else(
        |_| "the_role".to_owned(),
        |address| address.user().replace('"', "\"\""),
    );
    format!(
        "run this in that database, as an owner of it: CREATE SCHEMA stoa_platform AUTHORIZATION \"{role}\";"
    )
}

fn failure(error: &DedicatedError) -> Failure {
    match error {
        DedicatedError::NotAlone(_) => Failure::from_error("not_alone", error).hint(
            "a dedicated deployment has a platform database of its own: unset PLATFORM_DATABASE_URL to keep its tables in the client's database, or set MULTI_TENANT_MODE=true",
        ),
        DedicatedError::Address(_) => Failure::from_error("malformed_configuration", error)
            .hint("correct CLIENT_DATABASE_URL"),
        DedicatedError::Database(error) => instances::of_database(error),
        DedicatedError::Instance(error) => instances::failure(error),
        DedicatedError::Registry(_) => Failure::from_error("wrong_master_key", error),
        DedicatedError::Platform(_) => Failure::from_error("platform_database", error),
    }
}

/// A start that failed for want of a right says what gives it.
pub(crate) fn with_schema_sql(error: &StartError, databases: &Databases) -> Failure {
    let failure = application::start_failure(error);
    match error {
        StartError::Platform(error) if error.is_denied() => failure.hint(schema_sql(databases)),
        _ => failure,
    }
}
