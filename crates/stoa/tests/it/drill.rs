//! The isolation drill: one client's database is dead, one takes 5 s a statement, one is hostile.
//! The healthy client's visitors do not notice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_postgres::{Act, Answer, Behaviour, Cell, Proxy, Script};
use stoa_platform_db::testing::create_empty;
use tokio::task::JoinSet;

use secrecy::ExposeSecret as _;

use crate::program::Program;
use crate::support::{Caller, Serving, TestInstance, on_managed_cluster};

/// How long visitors are watched before, and while the others' databases are bad: long enough for
/// the slow one to answer, for breakers to open and to probe.
const BEFORE: Duration = Duration::from_secs(8);
const DURING: Duration = Duration::from_secs(16);
/// Visitors of each client, who ask, read the answer, and ask again after a pause.
const VISITORS: usize = 4;
const PAUSE: Duration = Duration::from_millis(30);
/// How much longer the slowest hundredth of the healthy client's answers may take.
const ALLOWED: f64 = 1.5;
/// Below this two slowest hundredths differ by chance.
const FLOOR: Duration = Duration::from_millis(40);

/// How one client's visitors fared.
#[derive(Default)]
struct Seen {
    answers: Mutex<Vec<Duration>>,
    failures: Mutex<Vec<String>>,
}

impl Seen {
    fn take(&self) -> (Vec<Duration>, Vec<String>) {
        let mut answers = std::mem::take(&mut *self.answers.lock().unwrap());
        answers.sort();
        let failures = std::mem::take(&mut *self.failures.lock().unwrap());
        (answers, failures)
    }
}

fn slowest_hundredth(sorted: &[Duration]) -> Duration {
    sorted[(sorted.len() - 1) * 99 / 100]
}

/// Asks until told to stop. Whoever is refused asks again as a person would, after the pause.
async fn visit(
    server: Arc<Caller>,
    (session, token): (String, String),
    seen: Arc<Seen>,
    over: Arc<AtomicBool>,
) {
    let path = format!("/sessions/{session}/messages");
    while !over.load(Ordering::Relaxed) {
        let began = Instant::now();
        let sent = server
            .visitor(&token, Method::POST, &path)
            .header("accept", "application/json")
            .json(&json!({ "content": "How long may I return boots?" }))
            .send()
            .await;
        let failure = match sent {
            Err(error) => Some(error.to_string()),
            Ok(response) => {
                let status = response.status();
                let body: Value = response.json().await.unwrap_or_default();
                let answered = body["message"]["content"]
                    .as_str()
                    .is_some_and(|text| text.contains("60 days"));
                (status != StatusCode::OK || !answered).then(|| format!("{status}: {body}"))
            }
        };
        match failure {
            None => seen.answers.lock().unwrap().push(began.elapsed()),
            Some(failure) => seen.failures.lock().unwrap().push(failure),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// A client with a database of its own behind a proxy that can make it bad.
async fn behind_a_proxy(server: &Caller, name: &str) -> (TestInstance, Proxy) {
    let (_, url) = create_empty().await;
    let real: url::Url = url.expose_secret().parse().unwrap();
    let real = format!("{}:{}", real.host_str().unwrap(), real.port().unwrap());
    let proxy = Proxy::start(&real).await.unwrap();
    let body = json!({
        "name": name,
        "admin_email": "ada@example.com",
        "database": { "mode": "external", "url": proxy.url(url.expose_secret()) },
    });
    let response = server
        .platform(Method::POST, "/instances")
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    let instance = TestInstance::with_key(server, response.json().await.unwrap()).await;
    make_answering(server, &instance).await;
    (instance, proxy)
}

async fn make_answering(server: &Caller, instance: &TestInstance) {
    let passages = json!({ "name": "Passages", "provider": "passages", "model": "passages" });
    instance.add_model(server, passages).await;
    let text = "Boots may be returned within 60 days, unworn.";
    instance.add_text(server, "Returns", text).await;
}

/// Lets everybody in, and answers every statement with rows without end.
fn hostile() -> Behaviour {
    let row = [Cell::text("more and more and more")];
    let script = Script::new().otherwise(Answer::acting(Act::endless_rows(&row)));
    Behaviour::Hostile(Box::new(script))
}

struct Client {
    name: &'static str,
    seen: Arc<Seen>,
}

async fn visitors(
    server: &Arc<Caller>,
    instance: &TestInstance,
    name: &'static str,
    over: &Arc<AtomicBool>,
    visits: &mut JoinSet<()>,
) -> Client {
    let seen = Arc::new(Seen::default());
    for _ in 0..VISITORS {
        let session = instance.session(server).await;
        visits.spawn(visit(
            Arc::clone(server),
            session,
            Arc::clone(&seen),
            Arc::clone(over),
        ));
    }
    Client { name, seen }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_a_slow_and_a_hostile_database_do_not_touch_a_healthy_client() {
    let program: Program = on_managed_cluster().await;
    let (serving, program) = Serving::start(program, &["serve"]);
    let server = Arc::new(serving.caller(&program));
    let healthy = TestInstance::create(&server, "Healthy").await;
    make_answering(&server, &healthy).await;
    let (dead, dead_proxy) = behind_a_proxy(&server, "Dead").await;
    let (slow, slow_proxy) = behind_a_proxy(&server, "Slow").await;
    let (hostile_client, hostile_proxy) = behind_a_proxy(&server, "Hostile").await;

    let over = Arc::new(AtomicBool::new(false));
    let mut visits = JoinSet::new();
    let healthy = visitors(&server, &healthy, "healthy", &over, &mut visits).await;
    let mut others = Vec::new();
    for (instance, name) in [
        (&dead, "dead"),
        (&slow, "slow"),
        (&hostile_client, "hostile"),
    ] {
        others.push(visitors(&server, instance, name, &over, &mut visits).await);
    }

    // Everybody is well, and everybody is visited.
    tokio::time::sleep(Duration::from_secs(2)).await;
    for client in others.iter().chain([&healthy]) {
        client.seen.take();
    }
    tokio::time::sleep(BEFORE).await;
    let (before, failures) = healthy.seen.take();
    assert_eq!(failures, Vec::<String>::new(), "before");
    for client in &others {
        let (answers, failures) = client.seen.take();
        assert!(
            !answers.is_empty() && failures.is_empty(),
            "{} was not well before: {failures:?}",
            client.name
        );
    }

    dead_proxy.set(Behaviour::Dead).await;
    slow_proxy
        .set(Behaviour::Slow(Duration::from_secs(5)))
        .await;
    hostile_proxy.set(hostile()).await;
    tokio::time::sleep(DURING).await;
    let (during, failures) = healthy.seen.take();
    over.store(true, Ordering::Relaxed);

    let (p99_before, p99_during) = (slowest_hundredth(&before), slowest_hundredth(&during));
    let ratio = p99_during.as_secs_f64() / p99_before.as_secs_f64();
    println!(
        "healthy: {} answers before, p99 {p99_before:?}; {} during, p99 {p99_during:?}; ratio {ratio:.2}; {} errors",
        before.len(),
        during.len(),
        failures.len()
    );
    for client in &others {
        let (answers, failures) = client.seen.take();
        println!(
            "{}: {} answers, {} errors, the last: {}",
            client.name,
            answers.len(),
            failures.len(),
            failures.last().map_or("none", String::as_str)
        );
        if client.name != "slow" {
            assert!(
                !failures.is_empty(),
                "{} was to be out of order",
                client.name
            );
        }
    }
    assert_eq!(
        failures,
        Vec::<String>::new(),
        "the healthy client's errors"
    );
    assert!(
        ratio <= ALLOWED || p99_during <= FLOOR,
        "the healthy client's slowest hundredth went from {p99_before:?} to {p99_during:?}"
    );
    visits.shutdown().await;
}
