//! The check says what is wrong and how to mend it.

use secrecy::ExposeSecret;
use stoa_client_db::{
    DatabaseAddress, Deadlines,
    preflight::{CheckStatus, PreflightReport, check},
};
use stoa_domain::InstanceId;
use stoa_outbound::{AddressPolicy, Outbound};
use tokio::{io::AsyncWriteExt, net::TcpListener};
use tokio_util::task::TaskTracker;

use crate::support::{Client, cluster_url, hasty, new_id, outbound, psql, rules, url_of};

async fn report(url: &str, instance: InstanceId) -> PreflightReport {
    let address = DatabaseAddress::parse(url, &rules()).unwrap();
    check(
        &outbound(),
        &address,
        instance,
        Deadlines::default(),
        &TaskTracker::new(),
    )
    .await
}

/// The one failed check (besides the entry for what was not reached): name, detail, remedy.
fn failure(report: &PreflightReport) -> (&str, &str, &str) {
    assert!(!report.ok);
    let failed: Vec<_> = report
        .checks
        .iter()
        .filter(|it| it.status == CheckStatus::Fail && it.name != "not_checked")
        .collect();
    assert_eq!(failed.len(), 1, "{:#?}", report.checks);
    (
        &failed[0].name,
        &failed[0].detail,
        failed[0].remedy.as_deref().unwrap(),
    )
}

#[tokio::test]
async fn a_good_database_passes_before_and_after_its_first_use() {
    let client = Client::new().await;
    let url = client.given_url();
    for used in [false, true] {
        let report = report(&url, client.target.instance).await;
        assert!(report.ok, "{:#?}", report.checks);
        let names: Vec<_> = report.checks.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "address",
                "dns",
                "connect",
                "tls",
                "sign_in",
                "version",
                "rights",
                "settings",
                "pooler",
                "pgvector",
                "ownership",
                "write_and_read_back"
            ]
        );
        assert!(
            report
                .checks
                .iter()
                .all(|it| (it.status != CheckStatus::Pass) == it.remedy.is_some())
        );
        assert_eq!(report.facts.pooler.as_deref(), Some("none"));
        assert!(report.facts.version.is_some());
        let left = "SELECT count(*) FROM pg_class WHERE relname = 'preflight_of_stoa'";
        assert_eq!(psql(&url, left).await.as_deref(), Ok("0"));
        if !used {
            client.connection().await;
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_the_address_or_the_password_is_named() {
    let client = Client::new().await;
    let good = client.given_url();
    let database = client.target.address.database();
    let (user, rest) = good
        .strip_prefix("postgres://")
        .unwrap()
        .split_once(':')
        .unwrap();
    let (password, server) = rest.split_once('@').unwrap();
    let id = client.target.instance;

    let found = report(&good.replace(password, "wrong%40word"), id).await;
    let (name, detail, _) = failure(&found);
    assert_eq!(name, "sign_in");
    assert_eq!(detail, format!("the server refused the password of {user}"));
    let last = found.checks.last().unwrap();
    assert_eq!(last.name, "not_checked");
    assert!(last.detail.contains("ownership"), "{}", last.detail);
    assert!(
        !format!("{found:?}").contains("wrong"),
        "no part of the password is shown"
    );

    let url = format!(
        "postgres://{user}:{password}@{}/nowhere",
        server.split('/').next().unwrap()
    );
    let found = report(&url, id).await;
    assert_eq!(failure(&found).0, "sign_in");
    assert!(
        failure(&found).1.contains("there is no database nowhere"),
        "{:?}",
        failure(&found)
    );

    let url = format!("postgres://{user}:{password}@no-such-host.invalid:5432/{database}");
    let found = report(&url, id).await;
    assert_eq!(failure(&found).0, "dns");

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let found = report(&format!("postgres://u:p@127.0.0.1:{port}/d"), id).await;
    assert_eq!(failure(&found).0, "connect");
    assert!(failure(&found).1.contains("nothing listens"));
}

#[tokio::test]
async fn a_private_address_is_refused_unless_the_operator_allows_it() {
    let client = Client::new().await;
    let closed = Outbound::new(AddressPolicy::default());
    let address = DatabaseAddress::parse(&client.given_url(), &rules()).unwrap();
    let id = client.target.instance;
    let tasks = TaskTracker::new();
    let found = check(&closed, &address, id, Deadlines::default(), &tasks).await;
    let (name, _, remedy) = failure(&found);
    assert_eq!(name, "address");
    assert!(remedy.contains("STOA_ALLOWED_PRIVATE_HOSTS"));
}

#[tokio::test]
async fn a_website_is_not_a_database() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        }
    });
    for mode in ["", "?sslmode=disable", "?sslmode=require"] {
        let url = format!("postgres://u:p@127.0.0.1:{port}/d{mode}");
        let found = report(&url, new_id()).await;
        assert_eq!(failure(&found).0, "connect", "{mode}");
        assert!(
            failure(&found).1.contains("does not speak PostgreSQL"),
            "{:?}",
            failure(&found)
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_required() {
    let client = Client::new().await;
    let url = format!("{}?sslmode=verify-full", client.given_url());
    let found = report(&url, client.target.instance).await;
    assert_eq!(failure(&found).0, "tls");
    assert!(
        failure(&found).1.contains("does not offer TLS"),
        "{:?}",
        failure(&found)
    );
}

#[tokio::test]
async fn silence_is_an_answer_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("postgres://u:p@127.0.0.1:{port}/d");
    let address = DatabaseAddress::parse(&url, &rules()).unwrap();
    let deadlines = hasty().deadlines;
    let found = check(
        &outbound(),
        &address,
        new_id(),
        deadlines,
        &TaskTracker::new(),
    )
    .await;
    assert_eq!(failure(&found).0, "connect");
    drop(listener);
}

#[tokio::test]
async fn another_instances_database_is_named_as_such() {
    let client = Client::new().await;
    client.connection().await;
    let found = report(&client.given_url(), new_id()).await;
    let (name, detail, _) = failure(&found);
    assert_eq!(
        (name, detail),
        ("ownership", "the database belongs to another instance")
    );
}

#[tokio::test]
async fn a_superuser_is_more_than_is_needed() {
    let client = Client::new().await;
    let url = url_of(client.target.address.database());
    let found = report(&url, client.target.instance).await;
    assert!(found.ok, "{:#?}", found.checks);
    let rights = found.checks.iter().find(|it| it.name == "rights").unwrap();
    assert_eq!(rights.status, CheckStatus::Warn);
    assert!(found.role_sql.contains("CREATE ROLE"));
}

#[tokio::test]
async fn the_sql_it_gives_makes_a_role_that_passes() {
    let id = new_id();
    let name = format!("external_{}", id.as_uuid().simple());
    psql(
        &cluster_url(),
        &format!("CREATE ROLE \"{name}-r\" LOGIN PASSWORD 'p@ss/w:rd'"),
    )
    .await
    .unwrap();
    psql(&cluster_url(), &format!("CREATE DATABASE {name}"))
        .await
        .unwrap();
    let server = cluster_url();
    let server = server
        .rsplit_once('@')
        .unwrap()
        .1
        .split('/')
        .next()
        .unwrap()
        .to_owned();
    let url = format!("postgres://{name}-r:p%40ss%2Fw%3Ard@{server}/{name}");
    let before = report(&url, id).await;
    assert_eq!(failure(&before).0, "rights");
    assert!(failure(&before).2.contains("SQL below"));

    for _ in 0..2 {
        psql(&url_of(&name), &before.role_sql).await.unwrap();
    }
    let has_vector = "SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'";
    let has_vector = psql(&cluster_url(), has_vector).await.unwrap() == "1";
    let after = report(&url, id).await;
    assert!(after.ok, "{:#?}", after.checks);
    let address = DatabaseAddress::parse(&url, &rules()).unwrap();
    let client = Client::at(id, address, Default::default());
    client.session().await;
    assert_eq!(client.connection().await.has_vectors(), has_vector);
    let secret = client.target.address.to_secret_url();
    let elsewhere = psql(secret.expose_secret(), "CREATE SCHEMA mine");
    assert!(elsewhere.await.unwrap_err().contains("permission denied"));
}

/// A role as Supabase gives it to a project's owner: it administers, and is no superuser. With its
/// database, whose owner it is; gives its address.
async fn administrator(name: &str) -> String {
    let sql = format!(
        "CREATE ROLE {name} LOGIN CREATEROLE CREATEDB BYPASSRLS REPLICATION PASSWORD 'a-secret'"
    );
    psql(&cluster_url(), &sql).await.unwrap();
    let sql = format!("CREATE DATABASE {name} OWNER {name}");
    psql(&cluster_url(), &sql).await.unwrap();
    let url = cluster_url();
    let (_, server) = url.rsplit_once('@').unwrap();
    let server = server.split(['/', '?']).next().unwrap();
    format!("postgres://{name}:a-secret@{server}/{name}")
}

#[tokio::test]
async fn an_administrator_who_is_no_superuser_can_run_the_sql() {
    let id = new_id();
    let name = format!("hosted_{}", id.as_uuid().simple());
    let admin = administrator(&name).await;
    let found = report(&admin, id).await;
    assert!(found.ok, "{:#?}", found.checks);
    let rights = found.checks.iter().find(|it| it.name == "rights").unwrap();
    assert_eq!(rights.status, CheckStatus::Warn);
    assert!(rights.detail.contains("administers"), "{}", rights.detail);

    // Its client used the administrator's role at first, so what is there is the administrator's.
    let address = DatabaseAddress::parse(&admin, &rules()).unwrap();
    let first = Client::at(id, address, Default::default());
    first.session().await;

    let bot = format!("bot_{name}");
    let url = admin.replacen(&name, &bot, 1);
    let address = DatabaseAddress::parse(&url, &rules()).unwrap();
    let sql = stoa_client_db::preflight::role_sql(address.role(), address.database());
    let sql = sql.replace("put-a-long-random-password-here", "a-secret");
    for _ in 0..2 {
        psql(&admin, &sql).await.unwrap();
    }
    let found = report(&url, id).await;
    assert!(found.ok, "{:#?}", found.checks);
    let rights = found.checks.iter().find(|it| it.name == "rights").unwrap();
    assert_eq!(rights.status, CheckStatus::Pass, "{}", rights.detail);
    let narrowed = Client::at(id, address, Default::default());
    narrowed.session().await;
    assert_eq!(
        psql(&admin, "SELECT count(*) FROM stoa.chat_sessions")
            .await
            .as_deref(),
        Ok("2"),
        "the administrator still reads what the bot keeps"
    );
}

#[tokio::test]
async fn the_sql_takes_names_as_they_are() {
    let id = new_id();
    let name = format!("odd_{}", id.as_uuid().simple());
    let admin = administrator(&name).await;
    for role in ["it's", "a \"quoted\" one", "$stoa$ $$", "bot; DROP TABLE x"] {
        let sql = stoa_client_db::preflight::role_sql(&format!("{role} {name}"), &name);
        // Each gets the schema from the one before.
        psql(&admin, &sql).await.unwrap();
        let owner = "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'stoa'";
        assert_eq!(psql(&admin, owner).await.unwrap(), format!("{role} {name}"));
    }
}

#[tokio::test]
async fn settings_that_stand_in_the_way_are_named() {
    let client = Client::new().await;
    let (url, id) = (client.given_url(), client.target.instance);
    let role = client.target.address.role();
    let set = async |setting: &str| {
        psql(&cluster_url(), &format!("ALTER ROLE {role} {setting}"))
            .await
            .unwrap();
    };
    set("SET statement_timeout = '3s'").await;
    let found = report(&url, id).await;
    assert!(found.ok, "{:#?}", found.checks);
    let settings = found
        .checks
        .iter()
        .find(|it| it.name == "settings")
        .unwrap();
    assert_eq!(settings.status, CheckStatus::Warn);
    assert!(settings.detail.contains("3000 ms"), "{}", settings.detail);
    let remedy = settings.remedy.as_deref().unwrap();
    let (_, mend) = remedy.split_once("Run ").unwrap();
    let (mend, _) = mend.split_once(';').unwrap();
    psql(&cluster_url(), mend).await.unwrap();
    let found = report(&url, id).await;
    let settings = found
        .checks
        .iter()
        .find(|it| it.name == "settings")
        .unwrap();
    assert_eq!(settings.status, CheckStatus::Pass, "{}", settings.detail);

    set("SET default_transaction_read_only = on").await;
    let found = report(&url, id).await;
    let (name, detail, remedy) = failure(&found);
    assert_eq!(name, "rights");
    assert!(
        detail.contains("takes no writes") && remedy.contains("primary"),
        "{detail}"
    );
}
