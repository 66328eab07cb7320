//! Figures for the operator's monitoring, read over the socket of the real program.

use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::json;
use stoa_fake_postgres::{Behaviour, Proxy};
use stoa_platform_db::testing::cluster_url;
use url::Url;

use super::OwnDatabase;
use crate::support::{
    Caller, Server, Serving, TestInstance, expect, free_address, get_at, on_empty_database,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_database_shows_in_the_metrics_and_on_no_public_port() {
    // Only to make a database of the client's own.
    let helper = Server::start().await;
    let own = OwnDatabase::create(&helper).await;
    let cluster: Url = cluster_url().parse().unwrap();
    let real = format!(
        "{}:{}",
        cluster.host_str().unwrap(),
        cluster.port().unwrap_or(5432)
    );
    let proxy = Proxy::start(&real).await.unwrap();

    let metrics = free_address();
    let program = on_empty_database()
        .await
        .with("STOA_METRICS_ADDR", &metrics.to_string())
        .with("STOA_ALLOWED_PRIVATE_HOSTS", "127.0.0.0/8");
    let token = program.run(&["token", "create", "--name", "tests", "--json"]);
    let token: serde_json::Value = serde_json::from_str(&token.stdout).unwrap();
    let token = token["token"].as_str().unwrap().to_owned();
    let (server, _program) = Serving::start(program, &["serve"]);
    let caller = Caller::new(format!("http://{}", server.address), token);
    let body = json!({
        "name": "Acme", "slug": "acme", "admin_email": "ada@example.com",
        "database": { "mode": "external", "url": proxy.url(&own.url) },
    });
    let made = expect(
        caller.platform(Method::POST, "/instances").json(&body),
        StatusCode::CREATED,
    )
    .await;
    let instance = TestInstance::with_key(&caller, made).await;
    let passages = json!({ "name": "Passages", "provider": "passages" });
    instance.add_model(&caller, passages).await;
    let well = get_at(metrics, "/metrics");
    for line in [
        "HTTP/1.1 200 OK",
        "content-type: text/plain; version=0.0.4",
        "stoa_platform_up 1",
        "stoa_instance_database_state{instance=\"acme\",state=\"ready\"} 1",
        "stoa_jobs{state=\"due\"} ",
        "process_resident_memory_bytes ",
        "stoa_http_request_duration_seconds_count{method=\"POST\",route=\"/api/platform/v1/instances\",status=\"201\"} 1",
    ] {
        assert!(well.contains(line), "{line} in {well}");
    }
    assert!(!well.contains(&instance.id), "a route is named as declared");

    proxy.set(Behaviour::Dead).await;
    let list = caller.client(&instance.key, Method::GET, "/api-configurations");
    let refused = list.send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    let dead = "stoa_instance_database_state{instance=\"acme\",state=\"unreachable\"} 1";
    let began = Instant::now();
    loop {
        let seen = get_at(metrics, "/metrics");
        if seen.contains(dead) && seen.contains("stoa_instance_breaker_open{instance=\"acme\"} 1") {
            assert!(seen.contains("code=\"connection_refused\"} "), "{seen}");
            assert!(!seen.contains(&own.name), "{seen}");
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "{seen}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let public = get_at(server.address, "/metrics");
    assert!(public.starts_with("HTTP/1.1 404"), "{public}");
    let ready = get_at(server.address, "/readyz");
    assert!(ready.starts_with("HTTP/1.1 200"), "{ready}");
}
