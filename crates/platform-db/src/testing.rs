//! A database of its own for each test, on a real cluster.
//!
//! Behind the feature `testing`; the crates above use it in their tests too.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test whose database cannot be made fails"
)]

use std::str::FromStr;

use secrecy::SecretString;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use stoa_domain::Random;

use crate::PlatformDb;

/// Where the address of a throwaway cluster's superuser stands.
pub const CLUSTER_VARIABLE: &str = "STOA_TEST_DATABASE_URL";

/// The address of the cluster that tests may do anything to.
///
/// # Panics
/// When there is none: a test that needs a database does not pass without.
#[must_use]
pub fn cluster_url() -> String {
    std::env::var(CLUSTER_VARIABLE).unwrap_or_else(|_| {
        panic!(
            "{CLUSTER_VARIABLE} is not set: this test needs PostgreSQL. Run it by `make test`, or by \
             `scripts/with-postgres cargo nextest run -p <crate>`"
        )
    })
}

/// A platform database of a test's own. [`TestDatabase::drop_database`] removes it; one that a
/// failed test leaves behind goes with the cluster.
pub struct TestDatabase {
    /// Connected and migrated.
    pub db: PlatformDb,
    /// Its address.
    pub url: SecretString,
    name: String,
}

impl TestDatabase {
    /// An empty database with the platform's schema.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn create() -> Self {
        let (name, url) = create_empty().await;
        let db = PlatformDb::connect(&url, 10)
            .await
            .expect("a database that was just made takes connections");
        db.migrate().await.expect("the migrations apply");
        Self { db, url, name }
    }

    /// Another connection to the same database.
    ///
    /// # Panics
    /// When it takes no connections.
    pub async fn again(&self) -> Self {
        let db = PlatformDb::connect(&self.url, 10)
            .await
            .expect("the database takes connections");
        Self {
            db,
            url: self.url.clone(),
            name: self.name.clone(),
        }
    }

    /// Closes and drops the database.
    ///
    /// # Panics
    /// When it cannot be dropped.
    pub async fn drop_database(self) {
        self.db.close().await;
        let statement = format!(r#"DROP DATABASE "{}" WITH (FORCE)"#, self.name);
        administer(&statement).await;
    }
}

/// An empty database without any schema, and its address: for what must find nothing there.
///
/// # Panics
/// When it cannot be made.
pub async fn create_empty() -> (String, SecretString) {
    let random = u128::from_le_bytes(Random::system().bytes());
    let name = format!("stoa_test_{random:032x}");
    administer(&format!(r#"CREATE DATABASE "{name}""#)).await;
    let mut url = cluster_options().database(&name).to_url_lossy();
    // sqlx writes parameters of its own, which nobody else knows.
    url.set_query(None);
    (name, SecretString::from(url.to_string()))
}

fn cluster_options() -> PgConnectOptions {
    PgConnectOptions::from_str(&cluster_url()).expect("the cluster's address can be read")
}

async fn administer(statement: &str) {
    let mut connection = PgConnection::connect_with(&cluster_options())
        .await
        .expect("the cluster takes connections");
    // The name is ours, made of hexadecimal digits.
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .expect("the cluster's superuser may create and drop databases");
    connection.close().await.ok();
}
