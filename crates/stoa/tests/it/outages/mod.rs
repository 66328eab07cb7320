//! Clients' databases that move, fail, or are closed by their owners, while people chat.

mod closed;
mod metrics;
mod rotation;

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use stoa_domain::{Clock, InstanceId, Random};
use stoa_fake_ai::FakeAi;
use stoa_platform_db::testing::cluster_url;

use crate::support::{Caller, Server, TestInstance, execute, expect, model_at};

/// A client's own database, with what its owner may do there and the platform may not.
struct OwnDatabase {
    /// The address as the client gives it.
    url: String,
    /// Its name, which is that of the role too.
    name: String,
}

impl OwnDatabase {
    async fn create(server: &Server) -> Self {
        let somebody = InstanceId::generate(&Clock::system(), &Random::system());
        let cluster = server.app.settings().managed.as_ref().expect("a cluster");
        let address = cluster
            .create(somebody, server.app.random())
            .await
            .expect("a database");
        Self {
            url: address.to_secret_url().expose_secret().to_owned(),
            name: address.database().to_owned(),
        }
    }

    /// The same role's database of another name.
    fn named(&self, name: &str) -> Self {
        let mut url: url::Url = self.url.parse().expect("a URL");
        url.set_path(name);
        Self {
            url: url.into(),
            name: name.to_owned(),
        }
    }

    /// Gives the role another password, and the address with it.
    async fn change_password(&mut self, password: &str) {
        on_cluster(&format!("ALTER ROLE {} PASSWORD '{password}'", self.name)).await;
        let (before, after) = self.url.rsplit_once('@').expect("credentials");
        let (user, _) = before.rsplit_once(':').expect("a password");
        self.url = format!("{user}:{password}@{after}");
    }

    /// Ends every connection to it, as a restart of the server would.
    async fn disconnect_all(&self) {
        on_cluster(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        ))
        .await;
    }

    /// How many connections the platform has to it.
    async fn connections(&self) -> i64 {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = $1 AND application_name = 'stoa'";
        let mut cluster = connect(&cluster_url()).await;
        sqlx::query_scalar(sql)
            .bind(&self.name)
            .fetch_one(&mut cluster)
            .await
            .expect("a count")
    }

    /// What a query of one text column says, as the superuser sees it.
    async fn texts(&self, sql: &str) -> Vec<String> {
        let mut url: url::Url = cluster_url().parse().expect("a URL");
        url.set_path(&self.name);
        let mut connection = connect(url.as_str()).await;
        sqlx::query_scalar(AssertSqlSafe(sql.to_owned()))
            .fetch_all(&mut connection)
            .await
            .expect("rows")
    }

    /// Every message with its state and text, in order.
    async fn messages(&self) -> Vec<String> {
        self.texts(
            "SELECT role || ' ' || state || ': ' || content FROM stoa.chat_messages ORDER BY position",
        )
        .await
    }
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a connection")
}

/// Runs a statement as the cluster's superuser.
async fn on_cluster(sql: &str) {
    execute(&cluster_url(), sql).await;
}

/// An active instance on a database of its own, whose model behaves as `behaviour` says.
async fn instance_on(
    server: &Server,
    database: &OwnDatabase,
    fake: &FakeAi,
    behaviour: &str,
) -> TestInstance {
    let body = json!({
        "name": "Acme",
        "admin_email": "ada@example.com",
        "database": { "mode": "external", "url": database.url },
    });
    let request = server.platform(Method::POST, "/instances").json(&body);
    let made = expect(request, StatusCode::CREATED).await;
    let instance = TestInstance::with_key(server, made).await;
    instance
        .add_model(server, model_at(&fake.base_url(), behaviour))
        .await;
    instance
}

/// Connects the instance to a database.
async fn put_database(server: &Caller, instance: &TestInstance, database: &OwnDatabase) {
    let request = server
        .client(&instance.key, Method::PUT, "/database")
        .json(&json!({ "url": database.url }));
    expect(request, StatusCode::OK).await;
}
