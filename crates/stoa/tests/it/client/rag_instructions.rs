//! How answers are made.

use reqwest::Method;
use serde_json::json;

use super::{ok, sent};
use crate::support::{Server, TestInstance, problem};

#[tokio::test]
async fn instructions_are_replaced_whole_and_examined() {
    let server = Server::start().await;
    let client = TestInstance::create(&server, "Instructions").await;
    let call = |method| server.client(&client.key, method, "/rag-instructions");
    let first = ok(call(Method::GET)).await;
    for field in [
        "system_prompt",
        "answer_policy",
        "no_answer_message",
        "top_k",
        "min_score",
        "cite_sources",
        "language",
    ] {
        assert!(!first[field].is_null(), "{field}: {first}");
    }
    let body = json!({
        "system_prompt": "Be brief.", "answer_policy": "documents_only",
        "no_answer_message": "Ask us by phone.", "top_k": 3, "min_score": 0.2,
        "cite_sources": false, "language": "de",
    });
    assert_eq!(ok(call(Method::PUT).json(&body)).await, body);
    assert_eq!(ok(call(Method::GET)).await, body);
    for (wrong, field) in [
        (json!({ "top_k": 0 }), "top_k"),
        (json!({ "top_k": 21 }), "top_k"),
        (json!({ "top_k": "many" }), "top_k"),
        (json!({ "min_score": 1.5 }), "min_score"),
        (json!({ "answer_policy": "anything" }), "answer_policy"),
        (json!({ "no_answer_message": " " }), "no_answer_message"),
        (
            json!({ "system_prompt": "x".repeat(20_001) }),
            "system_prompt",
        ),
        (json!({ "language": "de; drop" }), "language"),
        (json!({ "model": "m" }), "model"),
    ] {
        let refused = sent(call(Method::PUT).json(&wrong)).await;
        let refused = problem(refused, 422, "invalid_body").await;
        assert!(refused["errors"].to_string().contains(field), "{refused}");
    }
    assert_eq!(
        ok(call(Method::GET)).await,
        body,
        "what is wrong changes nothing"
    );
    assert_eq!(ok(call(Method::PUT).json(&json!({}))).await, first);
}
