//! What other clients notice of hostile servers: nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use stoa_client_db::{ClientDatabases, ClientDbError, Target, sessions};
use stoa_domain::SessionId;
use stoa_fake_postgres::{Act, Answer, Cell, Column, FakePostgres, Script, SignIn};
use tokio::time::{Instant, sleep};
use tokio_postgres::types::Type;

use super::{address_of, marked};
use crate::support::{Client, hasty, new, new_id};

/// Quiet and hammered by turns, so that whatever else the machine does is felt by both alike.
const ROUNDS: usize = 25;
const SAMPLES_A_ROUND: usize = 60;
/// How soon a hostile client's visitor comes again: ten statements a second of each of the eight.
const BETWEEN_VISITS: Duration = Duration::from_millis(100);
/// Below this a ratio measures the scheduler of a machine that does other things: two busy cores and
/// a build for debugging show a p99 of 6 to 20 ms in quiet. The median has no need of a floor.
const FLOOR: Duration = Duration::from_millis(20);

async fn hostile_targets() -> Vec<(FakePostgres, Target)> {
    let text = || Answer::rows([Column::new("c", &Type::TEXT)]);
    let mut all = Vec::new();
    for index in 0..8 {
        let instance = new_id();
        let script = match index {
            0 => Script::silent(),
            1 => Script::new().opening(Act::lie_about_length(b'R', 0x7fff_ffff)),
            2 => Script::new().sign_in(SignIn::ScramRounds(u32::MAX)),
            3 => marked(instance).otherwise(text().then(Act::endless_notices())),
            4 => marked(instance).otherwise(text().then(Act::endless_rows(&[Cell::text("x")]))),
            5 => marked(instance).otherwise(text().then(Act::large_cell(100_000_000))),
            6 => marked(instance).otherwise(Answer::acting([Act::FallSilent])),
            _ => marked(instance).otherwise(Answer::acting([Act::Reset])),
        };
        let server = FakePostgres::start(script).await.unwrap();
        let address = Arc::new(address_of(&server, "?sslmode=disable"));
        let target = Target {
            instance,
            generation: 1,
            address,
        };
        all.push((server, target));
    }
    all
}

async fn visit(
    databases: &ClientDatabases,
    target: &Target,
    session: SessionId,
) -> Result<bool, ClientDbError> {
    let connection = databases.checkout(target).await?;
    Ok(sessions::find(&connection, session).await?.is_some())
}

/// The p99 of the calmer half of the rounds, and the median: whoever else uses this machine disturbs
/// some rounds of both kinds, and harm that hostile servers do is in all of theirs.
fn p99_and_median(mut rounds: Vec<Vec<Duration>>) -> (Duration, Duration) {
    let at = |times: &[Duration], hundredth: usize| times[times.len() * hundredth / 100];
    rounds.iter_mut().for_each(|it| it.sort());
    rounds.sort_by_key(|it| at(it, 95));
    rounds.truncate(rounds.len().div_ceil(2));
    let mut times = rounds.concat();
    times.sort();
    (at(&times, 99), at(&times, 50))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_hostile_servers_are_not_felt_by_a_healthy_client() {
    let healthy = Client::with(hasty()).await;
    let (session, _) = healthy.session().await;
    let (hammering, failures) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let targets = hostile_targets().await;
    for (_, target) in &targets {
        // One pool for all, as in the product.
        let (databases, target) = (healthy.databases.clone(), target.clone());
        let (hammering, failures) = (Arc::clone(&hammering), Arc::clone(&failures));
        tokio::spawn(async move {
            loop {
                if hammering.load(Ordering::Relaxed) {
                    visit(&databases, &target, new!(SessionId))
                        .await
                        .unwrap_err();
                    failures.fetch_add(1, Ordering::Relaxed);
                }
                sleep(BETWEEN_VISITS).await;
            }
        });
    }
    let (mut quiet, mut hammered) = (Vec::new(), Vec::new());
    for round in 0..2 * ROUNDS {
        hammering.store(round % 2 == 1, Ordering::Relaxed);
        sleep(BETWEEN_VISITS).await;
        let mut times = Vec::new();
        for _ in 0..SAMPLES_A_ROUND {
            let began = Instant::now();
            let found = visit(&healthy.databases, &healthy.target, session).await;
            times.push(began.elapsed());
            assert!(found.unwrap());
            sleep(Duration::from_millis(5)).await;
        }
        match round % 2 {
            0 => quiet.push(times),
            _ => hammered.push(times),
        }
    }
    let failures = failures.load(Ordering::Relaxed);
    let ((before, quiet), (during, hammered)) = (p99_and_median(quiet), p99_and_median(hammered));
    println!(
        "p99 of a healthy client: {before:?} in quiet, {during:?} beside {failures} failures of 8 \
         hostile servers; medians {quiet:?} and {hammered:?}"
    );
    assert!(
        failures > 300,
        "only {failures} failures: they were not hammered"
    );
    assert!(
        during <= FLOOR.max(before * 2),
        "{before:?} became {during:?}"
    );
    assert!(
        hammered <= quiet * 2,
        "the median {quiet:?} became {hammered:?}"
    );
}
