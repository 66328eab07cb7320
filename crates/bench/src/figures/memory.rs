//! What registered instances take of the server's memory when nobody talks to them.

use std::time::Duration;

use anyhow::{Result, ensure};
use stoa_client_db::SCHEMA_VERSION;
use stoa_domain::seal::{DataKey, SealPlace};
use stoa_domain::{Clock, DatabaseMode, DatabaseState, InstanceId, InstanceName, Random, Slug};
use stoa_platform_db::instances::{self, DatabaseFacts, NewDatabase, NewInstance};

use super::Amount;
use crate::client::Http;
use crate::ground::Ground;
use crate::measured::Pairs;
use crate::report::{Report, megabytes, more};
use crate::stoa::{Platform, Stoa};

/// How long a server is given to come to rest; its background work has then looked round.
const REST: Duration = Duration::from_secs(4);
/// The plan that they have.
const PLAN: &str = "scale";
/// Health requests before it is measured.
const REQUESTS: usize = 50;

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let http = Http::new()?;
    let without = Platform::create(ground, "memory_without").await?;
    let with = Platform::create(ground, "memory_with").await?;
    register(&with, amount.instances).await?;
    let mut turns = Vec::new();
    for _ in 0..amount.rounds.min(4) {
        let above = Stoa::start(ground, &with, &http).await?;
        let below = Stoa::start(ground, &without, &http).await?;
        for server in [&above, &below] {
            use_a_little(server, &http).await?;
        }
        tokio::time::sleep(REST).await;
        turns.push((above.process.resident()?, below.process.resident()?));
        above.process.stop().await?;
        below.process.stop().await?;
    }
    let turns = Pairs::of(turns);
    report.section(
        &format!(
            "Resident memory: with {} registered idle instances over none",
            amount.instances
        ),
        ["with", "without"],
    );
    let difference = turns.differences();
    report.pairs(
        "VmRSS of the server",
        &turns,
        megabytes,
        &format!(
            "{} ({} to {})",
            more(megabytes, difference.median()),
            megabytes(difference.least()),
            megabytes(difference.most())
        ),
    );
    Ok(())
}

async fn use_a_little(server: &Stoa, http: &Http) -> Result<()> {
    for path in ["/healthz", "/readyz"] {
        let url = format!("{}{path}", server.process.base);
        for _ in 0..REQUESTS {
            ensure!(http.is_up(&url).await, "{url} does not answer");
        }
    }
    Ok(())
}

/// Registers active instances with a sealed address each; their databases are never opened.
async fn register(platform: &Platform, count: usize) -> Result<()> {
    let random = Random::system();
    let keys = platform.keys()?;
    let now = Clock::system().now();
    let mut transaction = platform.db.begin().await?;
    for number in 0..count {
        let id = InstanceId::generate(&Clock::system(), &random);
        let key = DataKey::generate(&random);
        let new = NewInstance {
            id,
            slug: Slug::parse(&format!("idle-{number}"))?,
            name: InstanceName::parse(&format!("Idle {number}"))?,
            plan: PLAN.into(),
            region: None,
            database_mode: DatabaseMode::Managed,
            data_key_wrapped: keys.wrap(id, &key, &random)?,
            master_key_id: keys.newest_id().to_owned(),
            created_at: now,
        };
        instances::insert(&mut transaction, &new).await?;
        let database = database(id, &key, &random)?;
        instances::set_database(&mut transaction, id, &database, now).await?;
        instances::set_ai_ready(&mut transaction, id, Some(now)).await?;
        let active = instances::activate_if_ready(&mut transaction, id, now).await?;
        ensure!(active, "an instance is not active");
    }
    transaction.commit().await?;
    Ok(())
}

fn database(instance: InstanceId, key: &DataKey, random: &Random) -> Result<NewDatabase> {
    let place = SealPlace {
        instance,
        table: "chat_instances",
        column: "database_address_sealed",
        row: instance.as_uuid(),
    };
    let address = format!("postgres://idle:idle@127.0.0.1:5432/{instance}?sslmode=disable");
    Ok(NewDatabase {
        mode: DatabaseMode::Managed,
        address_sealed: key.seal(&place, address.as_bytes(), random)?,
        // Up to date, or the sweep would be busy with them.
        facts: DatabaseFacts {
            schema_version: Some(SCHEMA_VERSION),
            ..DatabaseFacts::default()
        },
        state: DatabaseState::Ready,
        supabase_url: None,
        supabase_sealed: None,
    })
}
