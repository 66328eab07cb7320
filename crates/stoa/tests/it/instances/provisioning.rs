//! What a new instance is made of, and what is left when making it fails.

use reqwest::Method;
use serde_json::{Value, json};

use super::{create, created, get, named, reachable};
use crate::support::{Server, eventually, problem};

#[tokio::test]
async fn a_managed_instance_is_whole_when_it_is_answered() {
    let server = Server::start().await;
    let made = created(
        &server,
        json!({"name": "Acme Ltd.", "admin_email": "Ada@Example.com", "region": "eu-west"}),
    )
    .await;
    let instance = &made["instance"];
    assert_eq!(instance["slug"], "acme-ltd");
    assert_eq!(instance["status"], "awaiting_setup");
    assert_eq!(instance["plan"], "free");
    assert_eq!(instance["region"], "eu-west");
    assert_eq!(instance["database"]["mode"], "managed");
    assert_eq!(instance["database"]["state"], "ready");
    assert!(instance["database"]["host"].is_string(), "{instance}");
    assert!(instance["database"]["version"].is_string(), "{instance}");
    assert!(instance["activated_at"].is_null());
    assert_eq!(made["admin"]["email"], "ada@example.com");
    let setup = made["admin"]["setup_url"].as_str().unwrap();
    assert!(
        setup.starts_with(&format!("{}/setup?token=stoa_ln_", server.base)),
        "{setup}"
    );
    assert_eq!(made["env"]["CLIENT_ID"], instance["id"]);
    assert_eq!(made["env"]["CLIENT_SUPABASE_URL"], "");
    assert_eq!(made["env"]["CLIENT_SUPABASE_ANON_KEY"], "");
    let url = made["env"]["CLIENT_DATABASE_URL"].as_str().unwrap();
    assert!(url.starts_with("postgres://stoa_"), "{url}");

    let shown = get(
        &server,
        &format!("/instances/{}", instance["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(&shown, instance);
}

#[tokio::test]
async fn the_env_file_is_the_configuration_that_was_generated() {
    let server = Server::start().await;
    let made = created(&server, named("Acme")).await;
    let id = made["instance"]["id"].as_str().unwrap();
    let response = server
        .platform(Method::GET, &format!("/instances/{id}/env"))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert!(
        response.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/plain")
    );
    assert_eq!(response.headers()["cache-control"], "no-store");
    let file = response.text().await.unwrap();
    let value = |name: &str| {
        let line = file
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} in {file}"))
            .trim_matches('\'')
            .to_owned()
    };
    for name in [
        "CLIENT_ID",
        "CLIENT_DATABASE_URL",
        "CLIENT_SUPABASE_URL",
        "CLIENT_SUPABASE_ANON_KEY",
    ] {
        assert_eq!(value(name), made["env"][name].as_str().unwrap(), "{name}");
    }
}

#[tokio::test]
async fn an_external_instance_begins_without_a_database() {
    let server = Server::start().await;
    let made = created(
        &server,
        json!({"name": "Acme", "admin_email": "ada@example.com", "database": {"mode": "external"}}),
    )
    .await;
    assert_eq!(made["instance"]["database"]["mode"], "external");
    assert_eq!(made["instance"]["database"]["state"], "unset");
    assert_eq!(made["env"]["CLIENT_DATABASE_URL"], "");
}

#[tokio::test]
async fn slugs_come_from_names_and_give_way_to_each_other() {
    let server = Server::start().await;
    for expected in ["gear-shop", "gear-shop-2", "gear-shop-3"] {
        let body = json!({"name": "Gear Shop", "admin_email": "a@example.com", "database": {"mode": "external"}});
        assert_eq!(created(&server, body).await["instance"]["slug"], expected);
    }
    let nameless =
        json!({"name": "山田", "admin_email": "a@example.com", "database": {"mode": "external"}});
    let slug = created(&server, nameless).await["instance"]["slug"].clone();
    assert!(slug.as_str().unwrap().starts_with("client-"), "{slug}");
}

#[tokio::test]
async fn roles_of_managed_databases_cannot_enter_each_others() {
    let server = Server::start().await;
    let one = created(&server, named("One")).await;
    let two = created(&server, named("Two")).await;
    let url = |made: &Value| {
        made["env"]["CLIENT_DATABASE_URL"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let database = |url: &str| {
        let end = url.split('?').next().unwrap().to_owned();
        end.rsplit('/').next().unwrap().to_owned()
    };
    let (one, two) = (url(&one), url(&two));
    assert!(reachable(&one).await && reachable(&two).await);
    let crossed = format!(
        "{}/{}",
        one.split('?').next().unwrap().rsplit_once('/').unwrap().0,
        database(&two)
    );
    assert!(
        !reachable(&crossed).await,
        "a role entered another's database"
    );
}

#[tokio::test]
async fn without_a_working_cluster_nothing_half_done_stays() {
    let server = Server::start_with(|options| {
        options.managed_url = Some("postgres://postgres:x@127.0.0.1:1/postgres".into());
    })
    .await;
    let refused = create(&server, named("Acme")).await;
    problem(refused, 503, "provisioning_failed").await;
    assert_eq!(get(&server, "/instances").await["data"], json!([]));

    let server = Server::start_with(|options| options.managed_url = None).await;
    let default = created(&server, named("Acme")).await;
    assert_eq!(default["instance"]["database"]["mode"], "external");
    let asked = create(
        &server,
        json!({"name": "B", "admin_email": "a@example.com", "database": {"mode": "managed"}}),
    )
    .await;
    problem(asked, 422, "invalid_body").await;
}

#[tokio::test]
async fn a_database_whose_instance_never_came_to_be_is_reclaimed() {
    use secrecy::ExposeSecret as _;
    use stoa_domain::{InstanceId, JobId};
    use stoa_platform_db::jobs::{self, NewJob};
    let server = Server::start().await;
    let app = &server.app;
    let alive = created(&server, named("Acme")).await;
    let mut connection = server.database.db.acquire().await.unwrap();
    let now = app.clock().now();
    let depth = jobs::queue_depth(&mut connection, now).await.unwrap();
    assert_eq!(
        depth.scheduled, 0,
        "the job is called off once there is an owner"
    );

    // As a process leaves it that died between making the database and registering the instance.
    let orphan = app.new_id(InstanceId::generate);
    let cluster = app.settings().managed.as_ref().unwrap();
    let address = cluster.create(orphan, app.random()).await.unwrap();
    let url = address.to_secret_url().expose_secret().to_owned();
    assert!(reachable(&url).await);
    let id = alive["instance"]["id"].as_str().unwrap();
    for instance in [orphan, id.parse().unwrap()] {
        let job = NewJob {
            id: app.new_id(JobId::generate),
            kind: "managed_database.reclaim".into(),
            instance: Some(instance),
            unique_key: instance.to_string(),
            payload: json!({}),
            run_at: now,
            priority: 0,
            max_attempts: 3,
            created_at: now,
        };
        jobs::enqueue(&mut connection, &job).await.unwrap();
    }
    eventually("an empty queue", || async {
        let mut connection = server.database.db.acquire().await.unwrap();
        let depth = jobs::queue_depth(&mut connection, app.clock().now())
            .await
            .unwrap();
        (depth.due + depth.running == 0).then_some(())
    })
    .await;
    assert!(!reachable(&url).await, "nobody's database is dropped");
    let owned = alive["env"]["CLIENT_DATABASE_URL"].as_str().unwrap();
    assert!(reachable(owned).await, "somebody's is not");
}
