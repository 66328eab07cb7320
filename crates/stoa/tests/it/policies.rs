//! Every route × every kind of caller × another instance's objects.
//!
//! The routes come from the product's own table, so a route that is added without a case here
//! fails. Whoever a route's policy does not let in is told 401, 403 or 404, or led to a sign-in,
//! and never gets an answer or an error of ours.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use stoa_web::{Policy, Route};

use crate::pages::{signed_in_client, signed_in_super_admin};
use crate::support::{Server, TestInstance};

/// Somebody with a credential, or without.
struct Caller {
    name: &'static str,
    /// The policies that let this kind of caller in at all.
    kind: Option<Policy>,
    /// Whether it is the one whose objects the paths name.
    owner: bool,
    bearer: Option<String>,
    cookie: Option<String>,
}

/// Two instances with everything that a path can name in the first, and everybody who might ask.
struct World {
    server: Server,
    /// What stands for a parameter, by the beginning of the path and its name.
    ids: BTreeMap<&'static str, String>,
    slug: String,
    callers: Vec<Caller>,
}

#[tokio::test]
async fn nobody_gets_past_a_routes_policy() {
    let world = World::build().await;
    let mut wrong = Vec::new();
    for route in stoa_web::route_table() {
        let path = world.path(&route);
        for caller in &world.callers {
            if caller.is_let_in(&route) {
                continue;
            }
            let response = world.request(&route, &path, caller).send().await.unwrap();
            let status = response.status().as_u16();
            let location = response.headers().get("location").cloned();
            let led_to_sign_in = status == 303
                && location.is_some_and(|to| to.to_str().unwrap().ends_with("/sign-in"));
            let is_page = matches!(route.policy, Policy::SuperAdmin | Policy::ClientAdmin);
            if !(matches!(status, 401 | 403 | 404) || is_page && led_to_sign_in) {
                let body = response.text().await.unwrap();
                wrong.push(format!(
                    "{} {path} as {}: {status} {body}",
                    route.method, caller.name
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn whom_a_policy_lets_in_may_read_and_nothing_breaks_for_the_others() {
    let world = World::build().await;
    let mut wrong = Vec::new();
    for route in stoa_web::route_table() {
        let path = world.path(&route);
        for caller in &world.callers {
            if route.policy == Policy::Public {
                let response = world.request(&route, &path, caller).send().await.unwrap();
                let status = response.status().as_u16();
                if status >= 500 || status == 401 {
                    wrong.push(format!(
                        "{} {path} as {}: {status}",
                        route.method, caller.name
                    ));
                }
            } else if caller.is_let_in(&route) && route.method == Method::GET {
                let response = world.request(&route, &path, caller).send().await.unwrap();
                if response.status() != 200 {
                    let (status, body) = (response.status(), response.text().await.unwrap());
                    wrong.push(format!("{path} as {}: {status} {body}", caller.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn another_instances_object_looks_like_one_that_does_not_exist() {
    let world = World::build().await;
    let other = world
        .callers
        .iter()
        .find(|caller| caller.kind == Some(Policy::ClientKey) && !caller.owner)
        .unwrap();
    for route in stoa_web::route_table() {
        if route.policy != Policy::ClientKey || !route.path.contains("{id}") {
            continue;
        }
        let theirs = world.path(&route);
        let nobodys = theirs.replace(
            world.id(&route, "id"),
            "018f0000-0000-7000-8000-000000000000",
        );
        let mut seen = Vec::new();
        for path in [theirs, nobodys] {
            let response = world.request(&route, &path, other).send().await.unwrap();
            let status = response.status();
            let mut body: Value = response.json().await.unwrap();
            body["request_id"] = Value::Null;
            seen.push((status, body));
        }
        assert_eq!(seen[0], seen[1], "{} {}", route.method, route.path);
    }
}

impl Caller {
    /// Whether the route's policy lets this caller in where the path names the first instance's
    /// objects.
    fn is_let_in(&self, route: &Route) -> bool {
        if route.policy == Policy::Public {
            return true;
        }
        // A client's route without an object is about whoever asks.
        let names_an_object = route.path.contains('{');
        let own = self.owner || !names_an_object || route.path.contains("{n}");
        self.kind == Some(route.policy) && own
    }
}

impl World {
    async fn build() -> Self {
        let server = Server::start().await;
        let ours = TestInstance::active(&server, "Ours").await;
        let theirs = TestInstance::active(&server, "Theirs").await;
        let ids = objects(&server, &ours).await;
        let (_, elsewhere) = ours.session(&server).await;
        let (_, foreign) = theirs.session(&server).await;
        let client = |name, owner, key: &str| Caller {
            name,
            kind: Some(Policy::ClientKey),
            owner,
            bearer: Some(key.to_owned()),
            cookie: None,
        };
        let visitor = |name, owner, token: &str| Caller {
            name,
            kind: Some(Policy::Visitor),
            owner,
            bearer: Some(token.to_owned()),
            cookie: None,
        };
        let own_admin = signed_in_client(&server, &ours).await;
        let other_admin = signed_in_client(&server, &theirs).await;
        let super_admin = signed_in_super_admin(&server).await;
        let admin = |name, owner, browser: &crate::support::Browser| Caller {
            name,
            kind: Some(Policy::ClientAdmin),
            owner,
            bearer: None,
            cookie: browser
                .cookie("stoa_session")
                .map(|token| format!("stoa_session={token}")),
        };
        let callers = vec![
            Caller {
                name: "nobody",
                kind: None,
                owner: false,
                bearer: None,
                cookie: None,
            },
            Caller {
                name: "a platform token",
                kind: Some(Policy::PlatformToken),
                owner: true,
                bearer: Some(server.platform_token().to_owned()),
                cookie: None,
            },
            client("this instance's key", true, &ours.key),
            client("another instance's key", false, &theirs.key),
            visitor("this conversation's token", true, &ids["session token"]),
            visitor("another conversation's token", false, &elsewhere),
            visitor("another instance's conversation's token", false, &foreign),
            admin("an admin of this instance", true, &own_admin),
            admin("an admin of another instance", false, &other_admin),
            Caller {
                name: "a super admin",
                kind: Some(Policy::SuperAdmin),
                owner: true,
                bearer: None,
                cookie: super_admin
                    .cookie("stoa_admin")
                    .map(|token| format!("stoa_admin={token}")),
            },
            Caller {
                name: "somebody with a session's token as bearer",
                kind: None,
                owner: false,
                bearer: super_admin.cookie("stoa_admin").map(str::to_owned),
                cookie: None,
            },
            Caller {
                name: "somebody with a token that was never issued",
                kind: None,
                owner: false,
                bearer: Some(format!("stoa_pt_{}", "A".repeat(43))),
                cookie: None,
            },
        ];
        Self {
            server,
            ids,
            slug: ours.slug,
            callers,
        }
    }

    /// The id that stands for a parameter of a route.
    fn id(&self, route: &Route, parameter: &str) -> &str {
        let what = match (route.path.as_str(), parameter) {
            (_, "key_id") => "key",
            (_, "approval_id") => "approval",
            (path, "id") if path.starts_with("/api/platform/v1/instances/") => "instance",
            (path, "id") if path.starts_with("/api/chat/v1/instances/") => "instance",
            (path, "id") if path.starts_with("/api/chat/v1/sessions/") => "session",
            (path, "id") if path.starts_with("/api/chat/v1/messages/") => "message",
            (path, "id") if path.starts_with("/api/client/v1/sessions/") => "session",
            (path, "id") if path.starts_with("/api/client/v1/documents/") => "document",
            (path, "id") if path.starts_with("/api/client/v1/api-configurations/") => "model",
            (path, "id") if path.starts_with("/api/client/v1/tools/") => "tool",
            (path, "id") if path.starts_with("/console/{slug}/models/") => "model",
            (path, "id") if path.starts_with("/console/{slug}/tools/") => "tool",
            (path, "id") if path.starts_with("/console/{slug}/mcp-servers/") => "mcp server",
            (path, "id") if path.starts_with("/api/client/v1/mcp-servers/") => "mcp server",
            (path, "id") if path.starts_with("/v1/models/") => "model name",
            (path, parameter) => panic!("add what stands for {{{parameter}}} in {path} here"),
        };
        &self.ids[what]
    }

    fn path(&self, route: &Route) -> String {
        let mut path = String::new();
        for part in route.path.split('/').skip(1) {
            path.push('/');
            match part
                .strip_prefix('{')
                .and_then(|part| part.strip_suffix('}'))
            {
                None => path.push_str(part),
                Some("slug") => path.push_str(&self.slug),
                Some("n") => path.push('1'),
                Some("name") => path.push_str("console.css"),
                Some(parameter) => path.push_str(self.id(route, parameter)),
            }
        }
        path
    }

    fn request(&self, route: &Route, path: &str, caller: &Caller) -> RequestBuilder {
        let mut request = self.server.anonymous(route.method.clone(), path);
        if let Some(token) = &caller.bearer {
            request = request.bearer_auth(token);
        }
        if let Some(cookie) = &caller.cookie {
            request = request.header("cookie", cookie);
        }
        match body(route) {
            Some(body) => request.json(&body),
            None => request,
        }
    }
}

/// A body that the route takes, so that a refusal is the policy's and not the body's.
fn body(route: &Route) -> Option<Value> {
    let path = route.path.as_str();
    let body = match (&route.method, path) {
        (&Method::GET | &Method::DELETE, _) => return None,
        (_, "/v1/chat/completions") => {
            json!({"model": "stoa", "messages": [{"role": "user", "content": "Hello"}]})
        }
        (_, "/v1/embeddings") => json!({"model": "stoa", "input": "text"}),
        (_, path) if !path.starts_with("/api/") => return None,
        (_, "/api/platform/v1/instances") => {
            json!({"name": "New", "admin_email": "new@example.com"})
        }
        (&Method::PATCH, "/api/platform/v1/instances/{id}") => json!({"name": "Taken over"}),
        (_, "/api/platform/v1/instances/{id}/suspend") => json!({"reason": "because"}),
        (_, "/api/platform/v1/instances/{id}/resume") => return None,
        (_, "/api/platform/v1/instances/{id}/admin-credentials") => json!({}),
        (_, "/api/platform/v1/instances/{id}/api-keys") => json!({"name": "mine"}),
        (_, "/api/chat/v1/sessions") => {
            json!({"instance_id": "018f0000-0000-7000-8000-000000000000"})
        }
        (_, "/api/chat/v1/sessions/{id}/messages") => json!({"content": "Hello"}),
        (_, "/api/chat/v1/sessions/{id}/stop" | "/api/chat/v1/messages/{id}/regenerate") => {
            return None;
        }
        (_, "/api/chat/v1/messages/{id}/feedback") => json!({"rating": "up"}),
        (_, "/api/chat/v1/messages/{id}/approvals/{approval_id}") => json!({"approved": true}),
        (_, "/api/client/v1/database" | "/api/client/v1/database/check") => {
            json!({"url": "postgres://u:p@db.example/d"})
        }
        (_, "/api/client/v1/database/move/cancel") => return None,
        (
            _,
            "/api/client/v1/budgets"
            | "/api/client/v1/live-configuration"
            | "/api/client/v1/rag-instructions",
        ) => json!({}),
        (_, "/api/client/v1/live-configuration/versions/{n}/restore") => return None,
        (&Method::POST, "/api/client/v1/api-configurations") => {
            json!({"name": "P", "provider": "passages", "model": "passages"})
        }
        (&Method::PATCH, "/api/client/v1/api-configurations/{id}") => json!({"name": "Q"}),
        (_, "/api/client/v1/api-configurations/{id}/test") => return None,
        (&Method::POST, "/api/client/v1/tools") => find_order("another_tool"),
        (&Method::PATCH, "/api/client/v1/tools/{id}") => json!({"description": "Taken over"}),
        (&Method::POST, "/api/client/v1/mcp-servers") => {
            json!({"name": "another", "url": "https://mcp.example.com/mcp"})
        }
        (&Method::PATCH, "/api/client/v1/mcp-servers/{id}") => json!({"enabled": false}),
        (_, "/api/client/v1/mcp-servers/{id}/refresh") => return None,
        (_, "/api/client/v1/mcp-servers/{id}/test") => json!({"tool": "nothing"}),
        (_, "/api/client/v1/tools/{id}/test") => json!({"arguments": {"order_id": "1"}}),
        (_, "/api/client/v1/documents") => json!({"title": "T", "text": "Text"}),
        (_, "/api/client/v1/documents/{id}/reindex") => return None,
        (_, "/api/client/v1/search") => json!({"query": "text"}),
        (_, "/api/client/v1/sessions/{id}/messages") => json!({"content": "Hello"}),
        (_, "/api/client/v1/sessions/{id}/assign") => json!({}),
        (_, "/api/client/v1/sessions/{id}/close") => return None,
        (method, path) => panic!("add a body for {method} {path} here"),
    };
    Some(body)
}

/// A tool at an address where nobody answers.
fn find_order(name: &str) -> Value {
    json!({
        "name": name, "description": "Finds an order.", "method": "GET",
        "url": "http://127.0.0.1:1/orders/{order_id}",
        "parameters": {"type": "object", "properties": {"order_id": {"type": "string"}}},
    })
}

/// One of everything that a path can name, in this instance.
async fn objects(server: &Server, instance: &TestInstance) -> BTreeMap<&'static str, String> {
    let (session, token) = instance.session(server).await;
    let document = instance
        .add_text(server, "Returns", "Bring it back within 30 days.")
        .await;
    let asked = server
        .visitor(
            &token,
            Method::POST,
            &format!("/sessions/{session}/messages"),
        )
        .header("accept", "application/json")
        .json(&json!({"content": "How do returns work?"}))
        .send()
        .await
        .unwrap();
    let answer: Value = asked.json().await.unwrap();
    let first = |list: Value| list["data"][0]["id"].as_str().unwrap().to_owned();
    let named = json!({ "name": "Named", "provider": "passages", "model": "only-here" });
    instance.add_model(server, named).await;
    let models = server.client(&instance.key, Method::GET, "/api-configurations");
    let keys = format!("/instances/{}/api-keys", instance.id);
    let keys = server.platform(Method::GET, &keys);
    let tool = server
        .client(&instance.key, Method::POST, "/tools")
        .json(&find_order("find_order"));
    let tool: Value = tool.send().await.unwrap().json().await.unwrap();
    // Nobody listens there: whoever may ask it is told so.
    let mcp_server = server
        .client(&instance.key, Method::POST, "/mcp-servers")
        .json(&json!({"name": "shop", "url": "http://127.0.0.1:1/mcp"}));
    let mcp_server: Value = mcp_server.send().await.unwrap().json().await.unwrap();
    let settings = server
        .client(&instance.key, Method::PUT, "/live-configuration")
        .json(&json!({}));
    assert!(settings.send().await.unwrap().status().is_success());
    BTreeMap::from([
        ("instance", instance.id.clone()),
        ("model name", "only-here".to_owned()),
        ("session", session),
        ("session token", token),
        // Nobody asks anything here; who may say it, and about whose calls, is shown with tools.
        (
            "approval",
            "018f0000-0000-7000-8000-000000000000".to_owned(),
        ),
        ("document", document),
        ("tool", tool["id"].as_str().unwrap().to_owned()),
        ("mcp server", mcp_server["id"].as_str().unwrap().to_owned()),
        (
            "message",
            answer["message"]["id"].as_str().unwrap().to_owned(),
        ),
        (
            "model",
            first(models.send().await.unwrap().json().await.unwrap()),
        ),
        (
            "key",
            first(keys.send().await.unwrap().json().await.unwrap()),
        ),
    ])
}
