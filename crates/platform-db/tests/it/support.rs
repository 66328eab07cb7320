//! What the tests begin with.

use chrono::{DateTime, TimeDelta, Utc};
use stoa_domain::{Clock, DatabaseMode, InstanceId, InstanceName, Random, Slug};
use stoa_platform_db::instances::{self, NewInstance};
use stoa_platform_db::testing::TestDatabase;

/// A database, a clock that stands, and repeatable randomness.
pub(crate) struct Ground {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Clock,
    pub(crate) random: Random,
}

impl Ground {
    pub(crate) async fn new() -> Self {
        Self {
            database: TestDatabase::create().await,
            clock: Clock::fixed(DateTime::from_timestamp(1_767_225_600, 0).unwrap()),
            random: Random::seeded(7),
        }
    }

    pub(crate) async fn connection(&self) -> sqlx::pool::PoolConnection<sqlx::Postgres> {
        self.database.db.acquire().await.unwrap()
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, by: TimeDelta) {
        self.clock.advance(by.to_std().unwrap());
    }

    pub(crate) fn new_instance(&self, slug: &str) -> NewInstance {
        // Ids of one millisecond have no order.
        self.pass(TimeDelta::milliseconds(1));
        NewInstance {
            id: InstanceId::generate(&self.clock, &self.random),
            slug: Slug::parse(slug).unwrap(),
            name: InstanceName::parse(&format!("The {slug} Shop")).unwrap(),
            plan: "free".to_owned(),
            region: None,
            database_mode: DatabaseMode::External,
            data_key_wrapped: vec![1, 2, 3],
            master_key_id: "k1".to_owned(),
            created_at: self.now(),
        }
    }

    /// An instance that awaits its set-up.
    pub(crate) async fn instance(&self, slug: &str) -> InstanceId {
        let new = self.new_instance(slug);
        let mut connection = self.connection().await;
        instances::insert(&mut connection, &new).await.unwrap();
        new.id
    }

    pub(crate) async fn done(self) {
        self.database.drop_database().await;
    }
}
