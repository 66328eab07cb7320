//! How fast `stoa migrate --clients` brings a thousand small databases to the present schema, and
//! what that takes of the program.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use secrecy::ExposeSecret as _;
use serde_json::Value;
use stoa_client_db::Migrations;
use stoa_client_db::provision::ManagedCluster;
use stoa_domain::seal::{DataKey, SealPlace};
use stoa_domain::{Clock, DatabaseMode, DatabaseState, InstanceId, InstanceName, Random, Slug};
use stoa_outbound::{AddressPolicy, Outbound};
use stoa_platform_db::instances::{self, DatabaseFacts, NewDatabase, NewInstance};
use tokio_util::task::TaskTracker;

use super::Amount;
use crate::ground::Ground;
use crate::measured::Sample;
use crate::process::{Watched, seconds_of_family, watch};
use crate::report::{Report, megabytes, milliseconds};
use crate::stoa::Platform;

/// Another number of databases than usual: a thousand take three minutes to make, and 7 GB.
const DATABASES: &str = "STOA_BENCH_DATABASES";
/// As many at once as the command works on.
const AT_ONCE: usize = 4;

/// One run of the command.
struct Run {
    report: Value,
    program: Watched,
    seconds: f64,
    /// Processor time of PostgreSQL.
    postgres: f64,
}

pub(crate) async fn measure(ground: &Ground, amount: Amount, report: &mut Report) -> Result<()> {
    let count = match std::env::var(DATABASES) {
        Ok(text) => text.parse().with_context(|| DATABASES.to_owned())?,
        Err(_) => amount.instances,
    };
    ensure!(count >= 10, "{DATABASES} is ten at least");
    let platform = Platform::create(ground, "migrations").await?;
    let names = make(ground, &platform, count).await?;

    let all = run(ground, &platform).await?;
    let migrated = all.report["migrated"].as_u64();
    ensure!(migrated == u64::try_from(count).ok(), "{}", all.report);
    let nothing = run(ground, &platform).await?;
    ensure!(nothing.report["migrated"] == 0, "{}", nothing.report);
    let few = names.get(..count / 10).unwrap_or_default();
    let by_hand = by_hand(ground, few).await?;

    report.section(
        &format!(
            "Migrations: {count} client databases from nothing to the present schema, {AT_ONCE} at once; by hand {} of them",
            few.len()
        ),
        ["Stoa", "by hand"],
    );
    let each = all.seconds / count as f64;
    let ratio = each / by_hand;
    let per_minute = |seconds: f64| format!("{:.0}/min", 60.0 / seconds);
    report.figure(
        "migrations a minute",
        [per_minute(each), per_minute(by_hand)],
        by_hand / each,
        &Sample::of([by_hand / each]),
        "",
    );
    report.figure(
        "time a database",
        [milliseconds(each), milliseconds(by_hand)],
        ratio,
        &Sample::of([ratio]),
        "",
    );
    report.remark(&format!(
        "In all {:.1} s; processor time {:.2} s of the program, {:.2} s of PostgreSQL; the program's memory at most {}.",
        all.seconds,
        all.program.seconds,
        all.postgres,
        megabytes(all.program.most_resident),
    ));
    report.remark(&format!(
        "With nothing to do the command takes {}.",
        milliseconds(nothing.seconds)
    ));
    Ok(())
}

/// Databases without a schema, registered as an upgrade leaves them; gives their names.
async fn make(ground: &Ground, platform: &Platform, count: usize) -> Result<Vec<String>> {
    let outbound = Outbound::new(AddressPolicy::default());
    let url = ground.cluster();
    let cluster = ManagedCluster::new(url.expose_secret(), outbound, TaskTracker::new())?;
    let mut names = Vec::with_capacity(count);
    for number in 0..count {
        let id = InstanceId::generate(&Clock::system(), &Random::system());
        names.push(register(platform, &cluster, id, number).await?);
    }
    Ok(names)
}

async fn register(
    platform: &Platform,
    cluster: &ManagedCluster,
    id: InstanceId,
    number: usize,
) -> Result<String> {
    let (random, keys) = (Random::system(), platform.keys()?);
    let address = cluster.create(id, &random).await?;
    let key = DataKey::generate(&random);
    let place = SealPlace {
        instance: id,
        table: "chat_instances",
        column: "database_address_sealed",
        row: id.as_uuid(),
    };
    let now = Clock::system().now();
    let new = NewInstance {
        id,
        slug: Slug::parse(&format!("client-{number}"))?,
        name: InstanceName::parse(&format!("Client {number}"))?,
        plan: "scale".into(),
        region: None,
        database_mode: DatabaseMode::Managed,
        data_key_wrapped: keys.wrap(id, &key, &random)?,
        master_key_id: keys.newest_id().to_owned(),
        created_at: now,
    };
    let url = address.to_secret_url();
    let database = NewDatabase {
        mode: DatabaseMode::Managed,
        address_sealed: key.seal(&place, url.expose_secret().as_bytes(), &random)?,
        facts: DatabaseFacts::default(),
        state: DatabaseState::Ready,
        supabase_url: None,
        supabase_sealed: None,
    };
    let mut transaction = platform.db.begin().await?;
    instances::insert(&mut transaction, &new).await?;
    instances::set_database(&mut transaction, id, &database, now).await?;
    transaction.commit().await?;
    Ok(address.database().to_owned())
}

async fn run(ground: &Ground, platform: &Platform) -> Result<Run> {
    let arguments = ["migrate", "--clients", "--json"];
    let command = platform.command(ground, &arguments)?;
    let before = seconds_of_family(ground.postgres())?;
    let began = Instant::now();
    let program = watch(command).await?;
    let seconds = began.elapsed().as_secs_f64();
    Ok(Run {
        report: serde_json::from_slice(&program.output)?,
        seconds,
        postgres: seconds_of_family(ground.postgres())? - before,
        program,
    })
}

/// The seconds that a database takes when a plain connection runs the same SQL, as many at once.
async fn by_hand(ground: &Ground, names: &[String]) -> Result<f64> {
    let script = Migrations::shipped().script(0);
    for name in names {
        let client = ground.connect(name).await?;
        client.batch_execute("DROP SCHEMA stoa CASCADE").await?;
    }
    let began = Instant::now();
    stream::iter(names)
        .map(|name| async {
            let client = ground.connect(name).await?;
            client.batch_execute(&script).await?;
            Ok::<_, anyhow::Error>(())
        })
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    Ok(began.elapsed().as_secs_f64() / names.len() as f64)
}
