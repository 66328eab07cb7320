//! Conversations as the client's people see them.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::{expect, ok, sent};
use crate::support::{Server, TestInstance, problem};

/// A conversation with one question in it, of a person with this id.
async fn conversation(
    server: &Server,
    client: &TestInstance,
    user: Option<&str>,
    question: &str,
) -> (String, String) {
    let mut body =
        json!({ "instance_id": client.id, "locale": "en", "page_url": "https://shop.example/" });
    if let Some(user) = user {
        body["user"] = json!({ "id": user, "name": "Ada" });
    }
    let begun = expect(
        server
            .anonymous(Method::POST, "/api/chat/v1/sessions")
            .json(&body),
        StatusCode::CREATED,
    )
    .await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (session, token) = (text(&begun["session"]["id"]), text(&begun["token"]));
    ask(server, &session, &token, question).await;
    (session, token)
}

async fn ask(server: &Server, session: &str, token: &str, question: &str) {
    let path = format!("/sessions/{session}/messages");
    let asked = server
        .visitor(token, Method::POST, &path)
        .header("accept", "application/json")
        .json(&json!({ "content": question }));
    let answer = sent(asked).await;
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
}

fn ids(list: &Value) -> Vec<&str> {
    let data = list["data"].as_array().unwrap();
    data.iter().map(|it| it["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn conversations_are_found_by_status_words_and_person() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Inbox").await;
    let call = |method, path: &str| server.client(&client.key, method, path);
    let (first, _) = conversation(&server, &client, Some("customer-7"), "Where is my tent?").await;
    let (second, _) = conversation(&server, &client, None, "Do you sell stoves?").await;
    let all = ok(call(Method::GET, "/sessions")).await;
    assert_eq!(ids(&all), [second.as_str(), first.as_str()]);
    assert_eq!(all["next_cursor"], Value::Null);

    let seen = ok(call(Method::GET, &format!("/sessions/{first}"))).await;
    assert_eq!(seen["status"], "open");
    assert_eq!(seen["title"], "Where is my tent?");
    assert_eq!(seen["user"]["external_id"], "customer-7");
    assert!(seen.get("token_hash").is_none());
    let person = seen["user"]["id"].as_str().unwrap();
    for query in [
        "q=TENT".to_owned(),
        "user=customer-7".into(),
        format!("user={person}"),
        "status=open&q=tent&limit=10".into(),
    ] {
        let found = ok(call(Method::GET, &format!("/sessions?{query}"))).await;
        assert_eq!(ids(&found), [first.as_str()], "{query}");
    }
    for query in ["q=100%25_", "user=nobody", "status=closed", "q=' OR 1=1 --"] {
        let found = ok(call(Method::GET, &format!("/sessions?{query}"))).await;
        assert_eq!(ids(&found), Vec::<&str>::new(), "{query}");
    }

    let page = ok(call(Method::GET, "/sessions?limit=1")).await;
    assert_eq!(ids(&page), [second.as_str()]);
    let cursor = page["next_cursor"].as_str().unwrap();
    let rest = ok(call(
        Method::GET,
        &format!("/sessions?limit=1&cursor={cursor}"),
    ))
    .await;
    assert_eq!(ids(&rest), [first.as_str()]);
    for wrong in [
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=x",
        "status=gone",
        "q=%00",
    ] {
        let refused = sent(call(Method::GET, &format!("/sessions?{wrong}"))).await;
        problem(refused, 422, "invalid_body").await;
    }
}

#[tokio::test]
async fn a_person_takes_over_answers_and_closes() {
    let server = Server::start().await;
    let client = TestInstance::active(&server, "Handoff").await;
    let call = |method, path: &str| server.client(&client.key, method, path);
    let (session, token) = conversation(&server, &client, None, "Hello?").await;
    let path = format!("/sessions/{session}");
    let messages = format!("{path}/messages");

    let written = expect(
        call(Method::POST, &messages).json(&json!({ "content": "A person here." })),
        StatusCode::CREATED,
    )
    .await;
    assert_eq!(written["role"], "agent");
    let taken = ok(call(Method::GET, &path)).await;
    assert_eq!(taken["status"], "handoff");
    let waiting = ok(call(Method::GET, "/sessions?status=handoff")).await;
    assert_eq!(ids(&waiting), [session.as_str()]);

    // The bot is silent now; the visitor sees the person's words.
    ask(&server, &session, &token, "Are you a bot?").await;
    let said = ok(call(Method::GET, &messages)).await;
    let roles: Vec<_> = said["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["role"].as_str().unwrap())
        .collect();
    assert_eq!(roles, ["user", "assistant", "agent", "user"]);
    let shown = ok(server.visitor(&token, Method::GET, &messages)).await;
    assert!(shown.to_string().contains("A person here."), "{shown}");

    let closed = ok(call(Method::POST, &format!("{path}/close"))).await;
    assert_eq!(closed["status"], "closed");
    assert!(closed["closed_at"].is_string());
    ask(&server, &session, &token, "One more thing").await;
    let open = ok(call(Method::GET, &path)).await;
    assert_eq!(
        (&open["status"], &open["closed_at"]),
        (&json!("open"), &Value::Null)
    );

    let assigned = ok(call(Method::POST, &format!("{path}/assign"))).await;
    assert_eq!(assigned["status"], "handoff");
    let stranger = json!({ "admin_id": "00000000-0000-7000-8000-000000000000" });
    let refused = sent(call(Method::POST, &format!("{path}/assign")).json(&stranger)).await;
    let refused = problem(refused, 422, "invalid_body").await;
    assert_eq!(refused["errors"][0]["field"], "admin_id");
}

#[tokio::test]
async fn unfit_replies_and_other_instances_conversations_are_refused() {
    let server = Server::start().await;
    let mine = TestInstance::active(&server, "Mine").await;
    let theirs = TestInstance::active(&server, "Theirs").await;
    let (session, _) = theirs.session(&server).await;
    let (own, _) = mine.session(&server).await;
    let reply = |session: &str, body: Value| {
        let path = format!("/sessions/{session}/messages");
        sent(server.client(&mine.key, Method::POST, &path).json(&body))
    };
    for (content, status, code) in [
        (" \n".to_owned(), 422, "message_empty"),
        ("x".repeat(100_000), 413, "message_too_long"),
        ("a\0b".into(), 422, "invalid_body"),
    ] {
        problem(
            reply(&own, json!({ "content": content })).await,
            status,
            code,
        )
        .await;
    }
    let forged = json!({ "content": "x", "role": "assistant" });
    problem(reply(&own, forged).await, 422, "invalid_body").await;

    for session in [
        session.as_str(),
        "00000000-0000-7000-8000-000000000000",
        "x",
    ] {
        for (method, suffix) in [
            (Method::GET, ""),
            (Method::GET, "/messages"),
            (Method::POST, "/messages"),
            (Method::POST, "/assign"),
            (Method::POST, "/close"),
        ] {
            let path = format!("/sessions/{session}{suffix}");
            let request = server.client(&mine.key, method.clone(), &path);
            let request = match suffix {
                "/messages" if method == Method::POST => request.json(&json!({ "content": "x" })),
                _ => request,
            };
            problem(sent(request).await, 404, "not_found").await;
        }
    }
    let path = format!("/sessions/{session}/messages");
    let said = ok(server.client(&theirs.key, Method::GET, &path)).await;
    assert_eq!(said["data"], json!([]));
}
