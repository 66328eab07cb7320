//! Supabase's ways of not letting one in, each with what to do about it. Its servers cannot be had
//! here: servers that say what Supavisor's source and Supabase's documents say stand in for them,
//! found under Supabase's names.

use std::{future::Future, io, net::IpAddr, pin::Pin, sync::Arc};

use stoa_client_db::{
    AddressRules, ClientDatabases, ClientDbError, DatabaseAddress, Deadlines, PoolSettings, Target,
    preflight::{self, CheckStatus, PreflightReport},
};
use stoa_domain::DatabaseState;
use stoa_fake_postgres::{FakePostgres, Script, SignIn};
use stoa_outbound::{AddressPolicy, Outbound, Resolve};
use tokio_util::task::TaskTracker;

use crate::support::{hasty, new_id};

const PROJECT: &str = "abcdefghijklmnopqrst";
const DIRECT: &str = "db.abcdefghijklmnopqrst.supabase.co";
const POOLER: &str = "aws-0-eu-central-1.pooler.supabase.com";

/// Names as the test has them; all others have no address.
struct Names(Vec<(&'static str, IpAddr)>);

impl Resolve for Names {
    fn resolve<'a>(
        &'a self,
        host: &'a str,
    ) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + 'a>> {
        let found = self.0.iter().filter(|(name, _)| *name == host);
        let found = found.map(|(_, address)| *address).collect();
        Box::pin(async { Ok(found) })
    }
}

/// The door with Supabase's names leading here, where they are open without TLS.
fn door(names: &[(&'static str, &str)]) -> (Outbound, AddressRules) {
    let policy = AddressPolicy::parse(&format!("{DIRECT}, {POOLER}")).unwrap();
    let names = names
        .iter()
        .map(|(name, address)| (*name, address.parse().unwrap()));
    let outbound = Outbound::with_resolver(policy.clone(), Arc::new(Names(names.collect())));
    (outbound, AddressRules::new(policy))
}

async fn report(
    url: &str,
    names: &[(&'static str, &str)],
    deadlines: Deadlines,
) -> PreflightReport {
    let (outbound, rules) = door(names);
    let address = DatabaseAddress::parse(url, &rules).unwrap();
    preflight::check(
        &outbound,
        &address,
        new_id(),
        deadlines,
        &TaskTracker::new(),
    )
    .await
}

/// The failed check: its name, what was found and what to do.
fn failure(report: &PreflightReport) -> (&str, &str, &str) {
    let failed = report
        .checks
        .iter()
        .find(|it| it.status == CheckStatus::Fail)
        .unwrap_or_else(|| panic!("nothing failed: {report:#?}"));
    (
        &failed.name,
        &failed.detail,
        failed.remedy.as_deref().unwrap(),
    )
}

#[tokio::test]
async fn the_direct_host_leads_to_the_poolers_string() {
    let url = format!("postgresql://postgres:s3cret@{DIRECT}:5432/postgres");
    let string = format!(
        "postgresql://postgres.{PROJECT}:[YOUR-PASSWORD]@aws-0-REGION.pooler.supabase.com:5432/postgres"
    );
    // Without an address, and with one of the IPv6 network where nothing answers.
    for (names, check) in [(vec![], "dns"), (vec![(DIRECT, "::1")], "connect")] {
        let found = report(&url, &names, hasty().deadlines).await;
        let (name, _, remedy) = failure(&found);
        assert_eq!(name, check, "{found:#?}");
        assert!(remedy.contains(&string), "{remedy}");
        assert!(
            remedy.contains("IPv6") && remedy.contains("paused"),
            "{remedy}"
        );
        assert!(!format!("{found:?}").contains("s3cret"));
    }
    // What it gives is recognised when it comes back as it is, and so is the region alone.
    let refused = |url: &str| DatabaseAddress::parse(url, &AddressRules::default()).unwrap_err();
    assert!(refused(&string).remedy().len() > 20);
    let filled = string.replace("[YOUR-PASSWORD]", "s3cret");
    assert!(
        refused(&filled).to_string().contains("placeholder"),
        "{:?}",
        refused(&filled)
    );
    let found = report(
        &string
            .replace("[YOUR-PASSWORD]", "s3cret")
            .replace("REGION", "eu-centrl-1"),
        &[],
        hasty().deadlines,
    )
    .await;
    let (name, _, remedy) = failure(&found);
    assert_eq!(name, "dns");
    assert!(
        remedy.contains("aws-0-REGION") && remedy.contains("Connect"),
        "{remedy}"
    );
}

#[tokio::test]
async fn each_refusal_of_the_pooler_has_its_own_remedy() {
    let with_project = format!("postgres.{PROJECT}");
    let not_found = format!("(ENOTFOUND) tenant/user postgres.{PROJECT} not found");
    for (user, sqlstate, said, detail, remedy) in [
        (
            with_project.as_str(),
            "XX000",
            "Tenant or user not found",
            "does not know the project",
            "paused",
        ),
        (
            &with_project,
            "XX000",
            not_found.as_str(),
            "in eu-central-1",
            "another region",
        ),
        (
            "postgres",
            "XX000",
            "Tenant or user not found",
            "cannot tell which project",
            "postgres.PROJECT-REF:[YOUR-PASSWORD]@aws-0-eu-central-1",
        ),
        (
            "postgres",
            "XX000",
            "(ENOIDENTIFIER) no tenant identifier provided (external_id or sni_hostname required)",
            "cannot tell which project",
            "behind the user",
        ),
        (
            &with_project,
            "XX000",
            "(EMAXCONNSESSION) max clients reached in session mode - max clients are limited to pool_size: 15",
            "no connection left",
            ":6543/postgres",
        ),
        (
            &with_project,
            "XX000",
            "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
            "no connection left",
            "pool size",
        ),
        (
            &with_project,
            "XX000",
            "(ECIRCUITBREAKER) too many authentication failures, new connections are temporarily blocked",
            "blocked sign-ins",
            "wait a few minutes",
        ),
        (
            &with_project,
            "XX000",
            "Circuit breaker open: Too many authentication errors",
            "blocked sign-ins",
            "Correct the password",
        ),
        (
            &with_project,
            "XX000",
            "(ECIRCUITBREAKER) too many failed attempts to connect to the database, new connections are temporarily blocked",
            "did not answer",
            "restore it",
        ),
        (
            &with_project,
            "XX000",
            "(ESSLREQUIRED) SSL connection is required for user: postgres",
            "without TLS",
            "sslmode",
        ),
        (
            &with_project,
            "XX000",
            "(EADDRNOTALLOWED) address not in tenant allow_list: {10, 0, 0, 1}",
            "network restrictions",
            "Network restrictions",
        ),
        (
            &with_project,
            "XX000",
            "(EAUTHQUERY) user not found in the database",
            "does not find the role",
            "SQL below",
        ),
        (
            &with_project,
            "XX000",
            "(EBANNED) tenant is banned: unpaid",
            "stopped this database",
            "console",
        ),
        (
            &with_project,
            "53300",
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
            "no connection left",
            "pooler",
        ),
        (
            &with_project,
            "28P01",
            "password authentication failed for user \"postgres\"",
            "refused the password",
            "password",
        ),
    ] {
        let script = Script::new().sign_in(SignIn::refuse(sqlstate, said));
        let server = FakePostgres::start(script).await.unwrap();
        let port = server.address().port();
        let url = format!("postgresql://{user}:s3cret@{POOLER}:{port}/postgres");
        let found = report(&url, &[(POOLER, "127.0.0.1")], Deadlines::default()).await;
        let (name, seen, advice) = failure(&found);
        assert_eq!(name, "sign_in", "{said}: {found:#?}");
        assert!(seen.contains(detail), "{said}: {seen}");
        assert!(advice.contains(remedy), "{said}: {advice}");
        assert!(!format!("{found:?}").contains("s3cret"));
    }
}

#[tokio::test]
async fn the_direct_servers_refusals_are_named_too() {
    for (password, sqlstate, said, detail, remedy) in [
        (
            "[s3cret]",
            "28P01",
            "password authentication failed",
            "refused the password",
            "brackets",
        ),
        (
            "s3cret",
            "28000",
            "no pg_hba.conf entry for host \"10.0.0.1\", user \"postgres\", database \"postgres\", no encryption",
            "without TLS",
            "sslmode",
        ),
        (
            "s3cret",
            "57P01",
            "Project is paused",
            "stopped this database",
            "Start it again",
        ),
    ] {
        let script = Script::new().sign_in(SignIn::refuse(sqlstate, said));
        let server = FakePostgres::start(script).await.unwrap();
        let port = server.address().port();
        let url = format!("postgresql://postgres:{password}@{DIRECT}:{port}/postgres");
        let found = report(&url, &[(DIRECT, "127.0.0.1")], Deadlines::default()).await;
        let (name, seen, advice) = failure(&found);
        assert_eq!(name, "sign_in", "{found:#?}");
        assert!(
            seen.contains(detail) && advice.contains(remedy),
            "{seen} {advice}"
        );
    }
}

#[tokio::test]
async fn supabases_own_authority_is_asked_for() {
    // Supabase's certificates are signed by nobody that this machine trusts, like this one.
    let folder = tempfile::tempdir().unwrap();
    crate::tls_postgres::certificate(folder.path(), &format!("DNS:{POOLER}"));
    let port = crate::tls::tls_in_front(folder.path(), "127.0.0.1:9".into()).await;
    let url = format!(
        "postgresql://postgres.{PROJECT}:s3cret@{POOLER}:{port}/postgres?sslmode=verify-full"
    );
    let found = report(&url, &[(POOLER, "127.0.0.1")], Deadlines::default()).await;
    let (name, _, remedy) = failure(&found);
    assert_eq!(name, "tls", "{found:#?}");
    assert!(
        remedy.contains("SSL Configuration") && remedy.contains("ca_certificate"),
        "{remedy}"
    );
}

#[tokio::test]
async fn a_pause_is_seen_in_every_way_that_it_shows() {
    let state = async |url: &str, names: &[(&'static str, &str)]| {
        let (outbound, rules) = door(names);
        let address = DatabaseAddress::parse(url, &rules).unwrap();
        let databases = ClientDatabases::new(outbound, PoolSettings::default(), TaskTracker::new());
        let address = Arc::new(address);
        let target = Target {
            instance: new_id(),
            generation: 1,
            address: Arc::clone(&address),
        };
        let error: ClientDbError = databases.checkout(&target).await.err().unwrap();
        error.database_state(&address)
    };
    let gone = format!("postgresql://postgres:s3cret@{DIRECT}:5432/postgres");
    assert_eq!(state(&gone, &[]).await, DatabaseState::Paused);
    for (said, expected) in [
        ("Tenant or user not found", DatabaseState::Paused),
        (
            "(ENOTFOUND) tenant/user postgres.x not found",
            DatabaseState::Paused,
        ),
        (
            "(EMAXCONNSESSION) max clients reached",
            DatabaseState::Unreachable,
        ),
    ] {
        let script = Script::new().sign_in(SignIn::refuse("XX000", said));
        let server = FakePostgres::start(script).await.unwrap();
        let port = server.address().port();
        let url = format!("postgresql://postgres.{PROJECT}:s3cret@{POOLER}:{port}/postgres");
        assert_eq!(
            state(&url, &[(POOLER, "127.0.0.1")]).await,
            expected,
            "{said}"
        );
    }
    assert_eq!(
        state(&gone, &[(DIRECT, "::1")]).await,
        DatabaseState::Unreachable
    );
}
