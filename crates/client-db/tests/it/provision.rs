//! Managed databases: one role and one database each, and no way from one to another.

use secrecy::ExposeSecret;
use stoa_client_db::{PoolSettings, sessions};
use stoa_domain::{InstanceId, Random};

use crate::support::{Client, cluster, cluster_url, new_id, psql, url_of};

/// The address of `client`'s role, on another database.
fn elsewhere(client: &Client, database: &str) -> String {
    let url = client.given_url();
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

fn name_of(instance: InstanceId) -> String {
    format!("stoa_{}", instance.as_uuid().simple())
}

#[tokio::test]
async fn a_clients_role_reaches_its_own_database_and_no_other() {
    let (mine, other) = (Client::new().await, Client::new().await);
    assert_eq!(
        psql(&mine.given_url(), "SELECT 1").await.as_deref(),
        Ok("1")
    );
    let platform = cluster_url();
    let platform = platform
        .rsplit('/')
        .next()
        .unwrap()
        .split('?')
        .next()
        .unwrap();
    psql(
        &url_of("postgres"),
        &format!("CREATE DATABASE platform_{}", name_of(new_id())),
    )
    .await
    .unwrap();
    for database in [other.target.address.database(), platform] {
        let refused = psql(&elsewhere(&mine, database), "SELECT 1")
            .await
            .unwrap_err();
        assert!(
            refused.contains("permission denied for database"),
            "{database}: {refused}"
        );
    }
    let url = mine.given_url();
    let may = psql(
        &url,
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
         FROM pg_roles WHERE rolname = current_user",
    );
    assert_eq!(may.await.as_deref(), Ok("f"));
    let steal = psql(&mine.given_url(), "SELECT rolpassword FROM pg_authid")
        .await
        .unwrap_err();
    assert!(steal.contains("permission denied"), "{steal}");
}

#[tokio::test]
async fn a_database_of_the_platforms_can_be_closed_to_clients() {
    let client = Client::new().await;
    let database = format!("platform_{}", new_id().as_uuid().simple());
    psql(&url_of("postgres"), &format!("CREATE DATABASE {database}"))
        .await
        .unwrap();
    assert_eq!(
        psql(&elsewhere(&client, &database), "SELECT 1")
            .await
            .as_deref(),
        Ok("1")
    );
    cluster().close_to_clients(&database).await.unwrap();
    let refused = psql(&elsewhere(&client, &database), "SELECT 1")
        .await
        .unwrap_err();
    assert!(
        refused.contains("permission denied for database"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_creation_can_be_run_again_and_keeps_what_is_there() {
    let instance = new_id();
    // A creation that broke off behind its first step.
    let name = name_of(instance);
    psql(&cluster_url(), &format!("CREATE ROLE {name}"))
        .await
        .unwrap();
    let first = cluster().create(instance, &Random::system()).await.unwrap();
    let client = Client::at(instance, first.clone(), PoolSettings::default());
    let (session, _) = client.session().await;

    let second = cluster().create(instance, &Random::system()).await.unwrap();
    let refused = psql(first.to_secret_url().expose_secret(), "SELECT 1")
        .await
        .unwrap_err();
    assert!(
        refused.contains("password authentication failed"),
        "{refused}"
    );
    let client = Client::at(instance, second, PoolSettings::default());
    let found = sessions::find(&*client.connection().await, session)
        .await
        .unwrap();
    assert_eq!(found.map(|it| it.id), Some(session));
}

#[tokio::test]
async fn what_is_dropped_is_gone_with_its_connections() {
    let client = Client::new().await;
    let _in_use = client.connection().await;
    let instance = client.target.instance;
    cluster().drop(instance).await.unwrap();
    cluster().drop(instance).await.unwrap();
    let left = format!(
        "SELECT (SELECT count(*) FROM pg_database WHERE datname = '{0}')
              + (SELECT count(*) FROM pg_roles WHERE rolname = '{0}')",
        name_of(instance)
    );
    assert_eq!(psql(&cluster_url(), &left).await.as_deref(), Ok("0"));
}

#[tokio::test]
async fn the_password_is_in_no_debug_output() {
    let address = cluster().create(new_id(), &Random::system()).await.unwrap();
    let url = address.to_secret_url();
    let password = url
        .expose_secret()
        .split([':', '@'])
        .nth(2)
        .unwrap()
        .to_owned();
    assert_eq!(password.len(), 48);
    let shown = format!("{address:?} {:?} {:?}", cluster(), address.display_host());
    assert!(
        !shown.contains(&password) && !shown.contains("testpw"),
        "{shown}"
    );
}
