//! Looking at an address before it is used: the preflight, and the rules that only the platform
//! knows.

use std::net::IpAddr;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use stoa_client_db::preflight::{
    Check, CheckStatus, Facts, PreflightReport, authority_check, role_sql,
};
use stoa_client_db::{CertificateAuthority, DatabaseAddress};
use stoa_domain::InstanceId;
use stoa_outbound::{Resolve as _, SystemResolver};
use tokio::time::timeout;

use super::NewAddress;
use crate::App;

const RESOLVE_DEADLINE: Duration = Duration::from_secs(5);

/// An address, and what was found.
pub(super) struct Examined {
    /// What was found, fit to be shown.
    pub(super) report: PreflightReport,
    /// The address, where the text was one.
    pub(super) address: Option<DatabaseAddress>,
    /// Whether it leads to the platform's own database, which is not allowed.
    pub(super) is_platform: bool,
}

/// Whose word an address is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// A client's, who may not reach everything.
    ByClient,
    /// The operator's, in a deployment dedicated to one client: where the platform's tables are too.
    ByOperator,
}

/// Looks at a database as `instance` would use it. Changes nothing in it.
pub(super) async fn examine(
    app: &App,
    instance: InstanceId,
    new: &NewAddress,
    authority: Option<CertificateAuthority>,
    given: Given,
) -> Examined {
    let settings = app.settings();
    let url = new.url.expose_secret();
    let parsed = match given {
        Given::ByClient => DatabaseAddress::parse(url, &settings.address_rules),
        Given::ByOperator => DatabaseAddress::parse_operators(url),
    };
    let keep_out = settings.platform_isolation && given == Given::ByClient;
    let address = match parsed {
        Ok(address) => address,
        Err(error) => {
            return Examined {
                report: refused(None, "address", error.to_string(), error.remedy()),
                address: None,
                is_platform: false,
            };
        }
    };
    let address = match authority {
        Some(authority) => address.with_certificate_authority(authority),
        None => address,
    };
    // Before any connection: the platform's server is not for guessing passwords at.
    if keep_out && leads_to_platform(app, &address).await {
        return Examined {
            report: refused(Some(&address), "address", IS_PLATFORM.into(), USE_ANOTHER),
            address: Some(address),
            is_platform: true,
        };
    }
    let mut report = app.clients().preflight(&address, instance).await;
    // A name or a pooler may have hidden where it leads; the tables do not.
    let is_platform = keep_out && report.facts.platform;
    if is_platform {
        report.ok = false;
        report
            .checks
            .push(failed("ownership", IS_PLATFORM.into(), USE_ANOTHER));
    }
    insert_after(
        &mut report,
        "tls",
        authority_check(&address, app.clock().now()),
    );
    insert_after(&mut report, "sign_in", new.supabase.project_check(&address));
    Examined {
        report,
        address: Some(address),
        is_platform,
    }
}

/// Puts a check where it belongs in the order, if that was reached.
fn insert_after(report: &mut PreflightReport, name: &str, check: Option<Check>) {
    let place = report.checks.iter().position(|it| it.name == name);
    if let (Some(place), Some(check)) = (place, check) {
        report.checks.insert(place + 1, check);
    }
}

const IS_PLATFORM: &str = "this is the platform's own database";
const USE_ANOTHER: &str = "Use a database of your own.";

/// A report of one failure that kept everything else from being looked at.
fn refused(
    address: Option<&DatabaseAddress>,
    name: &str,
    detail: String,
    remedy: &str,
) -> PreflightReport {
    let (user, database) =
        address.map_or(("stoa_bot", "postgres"), |it| (it.role(), it.database()));
    PreflightReport {
        ok: false,
        checks: vec![failed(name, detail, remedy)],
        role_sql: role_sql(user, database),
        facts: Facts::default(),
    }
}

fn failed(name: &str, detail: String, remedy: &str) -> Check {
    Check {
        name: name.into(),
        status: CheckStatus::Fail,
        detail,
        remedy: Some(remedy.into()),
    }
}

/// Whether both addresses name the same database on the same host, however the host is written.
async fn leads_to_platform(app: &App, address: &DatabaseAddress) -> bool {
    // Its parameters are another driver's, and say nothing of the place.
    let platform = app.platform_url().expose_secret();
    let platform = platform.split('?').next().unwrap_or_default();
    let Ok(platform) = DatabaseAddress::parse_operators(platform) else {
        return false;
    };
    if (platform.database(), platform.port()) != (address.database(), address.port()) {
        return false;
    }
    if platform.host() == address.host() {
        return true;
    }
    let (ours, theirs) = tokio::join!(resolved(&platform), resolved(address));
    ours.iter().any(|it| theirs.contains(it))
}

/// The addresses of a host; every loopback address as one.
async fn resolved(address: &DatabaseAddress) -> Vec<IpAddr> {
    match timeout(RESOLVE_DEADLINE, SystemResolver.resolve(address.host())).await {
        Ok(Ok(found)) => found
            .into_iter()
            .map(|it| match it.to_canonical() {
                ip if ip.is_loopback() => IpAddr::from([127, 0, 0, 1]),
                ip => ip,
            })
            .collect(),
        _ => Vec::new(),
    }
}
