//! An instance from its making to its end.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_platform_db::audit_log::{self, Verdict};

use super::{created, get, named, reachable};
use crate::support::{Server, TestInstance, problem};

#[tokio::test]
async fn a_list_is_filtered_and_goes_on_where_it_ended() {
    let server = Server::start().await;
    for name in ["Alpha", "Beta", "Alphabet"] {
        let body =
            json!({"name": name, "admin_email": "a@example.com", "database": {"mode": "external"}});
        created(&server, body).await;
    }
    let names = |list: &Value| -> Vec<String> {
        let data = list["data"].as_array().unwrap();
        data.iter()
            .map(|instance| instance["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = get(&server, "/instances").await;
    assert_eq!(names(&all), ["Alphabet", "Beta", "Alpha"]);
    assert!(all["next_cursor"].is_null());
    let first = get(&server, "/instances?limit=2").await;
    assert_eq!(names(&first), ["Alphabet", "Beta"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = get(&server, &format!("/instances?limit=2&cursor={cursor}")).await;
    assert_eq!(names(&second), ["Alpha"]);
    assert!(second["next_cursor"].is_null());
    assert_eq!(
        names(&get(&server, "/instances?q=ALPHA").await),
        ["Alphabet", "Alpha"]
    );
    assert_eq!(
        names(&get(&server, "/instances?status=active").await),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn what_the_operator_may_change_changes() {
    let server = Server::start().await;
    let made = created(&server, named("Acme")).await;
    let path = format!("/instances/{}", made["instance"]["id"].as_str().unwrap());
    let change = |body: Value| server.platform(Method::PATCH, &path).json(&body).send();
    let changed = change(
        json!({"name": "Acme & Sons", "slug": "acme-sons", "plan": "standard", "region": "eu"}),
    )
    .await
    .unwrap();
    assert_eq!(changed.status(), 200);
    let changed: Value = changed.json().await.unwrap();
    assert_eq!(changed["name"], "Acme & Sons");
    assert_eq!(changed["slug"], "acme-sons");
    assert_eq!(changed["plan"], "standard");
    assert_eq!(changed["region"], "eu");
    assert_eq!(get(&server, &path).await, changed);

    created(&server, named("Other")).await;
    problem(
        change(json!({"slug": "other"})).await.unwrap(),
        409,
        "slug_taken",
    )
    .await;
    problem(
        change(json!({"plan": "gold"})).await.unwrap(),
        422,
        "invalid_body",
    )
    .await;
    problem(
        change(json!({"status": "active"})).await.unwrap(),
        422,
        "invalid_body",
    )
    .await;
    assert_eq!(get(&server, &path).await, changed);
}

#[tokio::test]
async fn an_active_instance_is_suspended_and_resumed() {
    let server = Server::start().await;
    let made = created(&server, named("Acme")).await;
    let id = made["instance"]["id"].as_str().unwrap();
    let act = |what: &str, body: Value| {
        server
            .platform(Method::POST, &format!("/instances/{id}/{what}"))
            .json(&body)
            .send()
    };
    let early = act("suspend", json!({"reason": "unpaid"})).await.unwrap();
    problem(early, 409, "wrong_status").await;
    activate(&server, id).await;

    let nameless = act("suspend", json!({"reason": " "})).await.unwrap();
    problem(nameless, 422, "invalid_body").await;
    let suspended = act("suspend", json!({"reason": "unpaid"})).await.unwrap();
    assert_eq!(suspended.status(), 200);
    let suspended: Value = suspended.json().await.unwrap();
    assert_eq!(suspended["status"], "suspended");
    assert!(suspended["suspended_at"].is_string());
    let again = act("suspend", json!({"reason": "unpaid"})).await.unwrap();
    problem(again, 409, "wrong_status").await;

    let refused = server
        .anonymous(Method::POST, "/api/chat/v1/sessions")
        .json(&json!({"instance_id": id}))
        .send()
        .await
        .unwrap();
    problem(refused, 403, "instance_suspended").await;

    let resumed = server
        .platform(Method::POST, &format!("/instances/{id}/resume"))
        .send()
        .await
        .unwrap();
    assert_eq!(resumed.status(), 200, "a body is not needed");
    let resumed: Value = resumed.json().await.unwrap();
    assert_eq!(resumed["status"], "active");
    assert!(resumed["suspended_at"].is_null());
    problem(act("resume", json!({})).await.unwrap(), 409, "wrong_status").await;
}

/// Makes an instance active without asking any provider.
async fn activate(server: &Server, id: &str) {
    use stoa_platform_db::instances;
    let id = id.parse().unwrap();
    let mut connection = server.database.db.acquire().await.unwrap();
    let now = server.app.clock().now();
    instances::set_ai_ready(&mut connection, id, Some(now))
        .await
        .unwrap();
    assert!(
        instances::activate_if_ready(&mut connection, id, now)
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_deleted_instance_leaves_no_key_no_link_and_no_managed_database() {
    let server = Server::start().await;
    let instance = TestInstance::create(&server, "Acme").await;
    let database = instance.created["env"]["CLIENT_DATABASE_URL"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(reachable(&database).await);

    let path = format!("/instances/{}", instance.id);
    let deleted = server.platform(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(deleted.status(), StatusCode::NO_CONTENT);
    let gone = server.platform(Method::GET, &path).send().await.unwrap();
    problem(gone, 404, "not_found").await;
    let again = server.platform(Method::DELETE, &path).send().await.unwrap();
    problem(again, 404, "not_found").await;
    let refused = server
        .client(&instance.key, Method::GET, "/instance")
        .send()
        .await
        .unwrap();
    problem(refused, 401, "unauthorized").await;
    assert!(
        !reachable(&database).await,
        "the managed database is dropped"
    );

    // The slug is free again, for a new instance with a database of its own.
    assert_eq!(
        created(&server, named("Acme")).await["instance"]["slug"],
        "acme"
    );
}

#[tokio::test]
async fn keys_are_shown_once_listed_by_their_ends_and_revoked_for_good() {
    let server = Server::start().await;
    let instance = TestInstance::create(&server, "Acme").await;
    let other = TestInstance::create(&server, "Other").await;
    let own = || {
        server
            .client(&instance.key, Method::GET, "/instance")
            .send()
    };
    assert_eq!(own().await.unwrap().status(), 200);

    let path = format!("/instances/{}/api-keys", instance.id);
    let list = get(&server, &path).await;
    let listed = &list["data"][0];
    assert_eq!(listed["name"], "tests");
    assert!(instance.key.ends_with(listed["key_hint"].as_str().unwrap()));
    assert!(listed.get("key").is_none() && !list.to_string().contains(&instance.key));

    let key = listed["id"].as_str().unwrap();
    let revoke = |instance: &str| {
        server
            .platform(
                Method::DELETE,
                &format!("/instances/{instance}/api-keys/{key}"),
            )
            .send()
    };
    problem(revoke(&other.id).await.unwrap(), 404, "not_found").await;
    assert_eq!(
        own().await.unwrap().status(),
        200,
        "another instance's key stays"
    );
    assert_eq!(revoke(&instance.id).await.unwrap().status(), 204);
    problem(own().await.unwrap(), 401, "unauthorized").await;
    problem(revoke(&instance.id).await.unwrap(), 404, "not_found").await;
}

#[tokio::test]
async fn usage_is_told_by_day_the_quiet_ones_too() {
    let server = Server::start().await;
    let made = created(&server, named("Acme")).await;
    let id = made["instance"]["id"].as_str().unwrap();
    let usage = get(
        &server,
        &format!("/instances/{id}/usage?from=2026-01-30&to=2026-02-02"),
    )
    .await;
    let days: Vec<_> = usage["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["day"].as_str().unwrap())
        .collect();
    assert_eq!(
        days,
        ["2026-01-30", "2026-01-31", "2026-02-01", "2026-02-02"]
    );
    assert_eq!(usage["total"]["messages"], 0);
    assert_eq!(
        get(&server, &format!("/instances/{id}/usage")).await["data"]
            .as_array()
            .unwrap()
            .len(),
        30
    );
    for wrong in [
        "from=2026-02-02&to=2026-01-01",
        "from=yesterday",
        "from=2020-01-01&to=2026-01-01",
    ] {
        let response = server
            .platform(Method::GET, &format!("/instances/{id}/usage?{wrong}"))
            .send()
            .await
            .unwrap();
        problem(response, 422, "invalid_body").await;
    }
}

#[tokio::test]
async fn every_deed_is_in_the_audit_log_and_no_secret_is() {
    let server = Server::start().await;
    let instance = TestInstance::create(&server, "Acme").await;
    let path = format!("/instances/{}", instance.id);
    server
        .platform(Method::POST, &format!("{path}/admin-credentials"))
        .send()
        .await
        .unwrap();
    server
        .platform(Method::GET, &format!("{path}/env"))
        .send()
        .await
        .unwrap();
    server.platform(Method::DELETE, &path).send().await.unwrap();

    let mut connection = server.database.db.acquire().await.unwrap();
    let filter = audit_log::Filter {
        instance: Some(instance.id.parse().unwrap()),
        before: None,
        limit: 50,
    };
    let lines = audit_log::list(&mut connection, &filter).await.unwrap();
    let actions: Vec<_> = lines
        .iter()
        .map(|line| line.entry.action.as_str())
        .collect();
    assert_eq!(
        actions,
        [
            "instance.deleted",
            "instance.environment_read",
            "instance_admin.credentials_renewed",
            "client_key.created",
            "instance.created"
        ]
    );
    let seen = format!("{lines:?}");
    assert!(lines.iter().all(|line| line.entry.actor.name == "tests"));
    assert!(lines.iter().all(|line| line.entry.address.is_some()));
    for secret in [
        instance.key.as_str(),
        instance.created["env"]["CLIENT_DATABASE_URL"]
            .as_str()
            .unwrap(),
        "stoa_ln_",
    ] {
        assert!(!seen.contains(secret));
    }
    let verdict = audit_log::verify(&mut connection).await.unwrap();
    assert!(matches!(verdict, Verdict::Intact(_)), "{verdict:?}");
}
