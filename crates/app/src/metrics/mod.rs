//! Figures for the operator's monitoring, in the text format that Prometheus reads.
//!
//! What can be looked up is looked up when somebody asks; only what happens in between is counted.
//! There is one label for clients, `instance`, and only those with an open pool or an ailing database
//! have series: thousands of idle ones cost nothing. Nothing personal and no secret is in here.

mod histogram;
mod process;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stoa_client_db::PoolView;
use stoa_domain::{DatabaseState, InstanceId};
use stoa_platform_db::{DbError, instances, jobs};

use crate::App;
use histogram::Histogram;
use text::Text;

/// The most ailing instances that are told by name.
const MOST_AILING: i64 = 2_000;

/// What is counted as it happens.
#[derive(Default)]
pub struct Metrics {
    first_token: Histogram,
    requests: Mutex<HashMap<Request, Arc<Histogram>>>,
}

/// One kind of request: by the route as declared, not the path as called, so that they are few.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Request {
    method: &'static str,
    route: String,
    status: u16,
}

impl Metrics {
    /// Counts a request, with the time until its answer began.
    pub fn count_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let request = Request {
            method: known_method(method),
            route: route.to_owned(),
            status,
        };
        let histogram = {
            let mut all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(all.entry(request).or_default())
        };
        histogram.observe(took);
    }

    /// Counts an answer, with the time from the question to its first word.
    pub(crate) fn count_first_token(&self, took: Duration) {
        self.first_token.observe(took);
    }

    fn requests(&self) -> BTreeMap<Request, Arc<Histogram>> {
        let all = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter()
            .map(|(request, histogram)| (request.clone(), Arc::clone(histogram)))
            .collect()
    }
}

fn known_method(method: &str) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];
    KNOWN
        .into_iter()
        .find(|known| *known == method)
        .unwrap_or("other")
}

/// All figures as they are now. What the platform's database would have to say is left out while it
/// does not answer, and `stoa_platform_up` is 0.
pub async fn render(app: &App, open_connections: usize) -> String {
    let mut text = Text::default();
    process::write(&mut text);
    text.gauge(
        "stoa_http_connections",
        "Open connections of visitors and callers.",
        open_connections,
    );
    text.gauge(
        "stoa_live_answers",
        "Answers being written in this process.",
        app.live_answers().len(),
    );
    let asked = ask_platform(app).await;
    let (open, idle) = app.platform().connections();
    text.gauge(
        "stoa_platform_up",
        "1 while the platform's database answers.",
        usize::from(asked.is_ok()),
    );
    text.gauge(
        "stoa_platform_connections_open",
        "Connections to the platform's database.",
        open as usize,
    );
    text.gauge(
        "stoa_platform_connections_idle",
        "Those of them that nobody uses.",
        idle,
    );
    let ailing = match asked {
        Ok(Asked { depth, ailing }) => {
            write_jobs(&mut text, &depth);
            Some(ailing)
        }
        Err(error) => {
            tracing::warn!(%error, "the platform's database is left out of the metrics");
            None
        }
    };
    write_pools(app, &mut text, ailing).await;
    write_requests(app, &mut text);
    text.finish()
}

struct Asked {
    depth: jobs::QueueDepth,
    ailing: Vec<(InstanceId, String, DatabaseState)>,
}

async fn ask_platform(app: &App) -> Result<Asked, DbError> {
    let mut connection = app.platform().acquire().await?;
    Ok(Asked {
        depth: jobs::queue_depth(&mut connection, app.clock().now()).await?,
        ailing: instances::ailing(&mut connection, MOST_AILING).await?,
    })
}

fn write_jobs(text: &mut Text, depth: &jobs::QueueDepth) {
    text.family("stoa_jobs", "gauge", "Background jobs of all replicas.");
    for (state, count) in [
        ("due", depth.due),
        ("scheduled", depth.scheduled),
        ("running", depth.running),
        ("dead", depth.dead),
    ] {
        text.sample("stoa_jobs", &[("state", state)], count);
    }
}

/// One instance in the figures.
struct Shown {
    name: String,
    state: Option<DatabaseState>,
    pool: Option<PoolView>,
}

/// With the instances that the platform's database knows to be ailing; `None` where it cannot be
/// asked, and then instances go by their ids.
async fn write_pools(
    app: &App,
    text: &mut Text,
    ailing: Option<Vec<(InstanceId, String, DatabaseState)>>,
) {
    let is_up = ailing.is_some();
    let view = app.clients().view();
    for (name, help, value) in [
        (
            "stoa_client_pools",
            "Clients' databases with a pool in this process.",
            view.pools.len(),
        ),
        (
            "stoa_client_connections_open",
            "Connections to clients' databases.",
            view.open,
        ),
        (
            "stoa_client_connections_in_use",
            "Those of them that somebody uses.",
            view.pools.iter().map(|pool| pool.in_use).sum(),
        ),
        (
            "stoa_client_connections_limit",
            "The most connections to all clients' databases.",
            view.cap,
        ),
        (
            "stoa_client_connections_waiting",
            "Callers that wait for a place under the limit.",
            view.waiting,
        ),
    ] {
        text.gauge(name, help, value);
    }
    let mut all: BTreeMap<InstanceId, Shown> = ailing
        .into_iter()
        .flatten()
        .map(|(instance, name, state)| {
            let shown = Shown {
                name,
                state: Some(state),
                pool: None,
            };
            (instance, shown)
        })
        .collect();
    for pool in view.pools {
        let registered = if is_up {
            app.registered(pool.instance).await.ok().flatten()
        } else {
            None
        };
        let name = registered.map_or_else(
            || pool.instance.to_string(),
            |registered| registered.slug().to_string(),
        );
        let shown = all.entry(pool.instance).or_insert(Shown {
            name,
            state: None,
            pool: None,
        });
        shown.state = pool.state.or(shown.state);
        shown.pool = Some(pool);
    }
    write_instances(text, &all.into_values().collect::<Vec<_>>());
}

fn write_instances(text: &mut Text, all: &[Shown]) {
    text.family(
        "stoa_instance_database_state",
        "gauge",
        "1 for the state that a client's database is in.",
    );
    for shown in all {
        if let Some(state) = shown.state {
            let labels = [("instance", shown.name.as_str()), ("state", state.as_str())];
            text.sample("stoa_instance_database_state", &labels, 1);
        }
    }
    let pools = || {
        all.iter()
            .filter_map(|shown| Some((shown.name.as_str(), shown.pool.as_ref()?)))
    };
    let name = "stoa_instance_connections";
    text.family(name, "gauge", "A client's connections.");
    for (instance, pool) in pools() {
        let labels = |state| [("instance", instance), ("state", state)];
        text.sample(name, &labels("in_use"), pool.in_use);
        text.sample(name, &labels("resting"), pool.resting);
    }
    let name = "stoa_instance_waiting";
    text.family(
        name,
        "gauge",
        "Callers that wait for a client's connection.",
    );
    for (instance, pool) in pools() {
        text.sample(name, &[("instance", instance)], pool.waiting);
    }
    let name = "stoa_instance_breaker_open";
    text.family(
        name,
        "gauge",
        "1 while callers are answered at once that a client's database is away.",
    );
    for (instance, pool) in pools() {
        let open = i32::from(pool.is_left_alone);
        text.sample(name, &[("instance", instance)], open);
    }
    let name = "stoa_instance_failures_total";
    text.family(name, "counter", "Failures of a client's database, by code.");
    for (instance, pool) in pools() {
        for (code, count) in &pool.failures {
            text.sample(name, &[("instance", instance), ("code", code)], count);
        }
    }
    let name = "stoa_instance_migrations_total";
    text.family(
        name,
        "counter",
        "How often a client's schema was brought up to date.",
    );
    for (instance, pool) in pools() {
        text.sample(name, &[("instance", instance)], pool.migrations);
    }
}

fn write_requests(app: &App, text: &mut Text) {
    let name = "stoa_http_request_duration_seconds";
    text.family(
        name,
        "histogram",
        "Time until the answer to a request began.",
    );
    for (request, histogram) in app.metrics().requests() {
        let status = request.status.to_string();
        let labels = [
            ("method", request.method),
            ("route", request.route.as_str()),
            ("status", status.as_str()),
        ];
        histogram.write(text, name, &labels);
    }
    let name = "stoa_first_token_seconds";
    text.family(
        name,
        "histogram",
        "Time from a question to the first word of its answer.",
    );
    app.metrics().first_token.write(text, name, &[]);
    let news = app.budget_news();
    let name = "stoa_budget_warnings_total";
    text.family(
        name,
        "counter",
        "Budgets of instances of which four fifths were used up.",
    );
    text.sample(name, &[], news.warnings());
    let name = "stoa_budget_stops_total";
    text.family(
        name,
        "counter",
        "Calls of models that were not made, by what stood against them.",
    );
    for (because, count) in news.stops() {
        text.sample(name, &[("because", because)], count);
    }
}
