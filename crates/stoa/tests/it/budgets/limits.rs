//! Limits of tokens and money, of everybody, each person and each address.

use serde_json::json;
use stoa_fake_ai::FakeAi;

use super::{Chat, SENTENCE, asked, is_stopped, priced, set, shown};
use crate::support::Server;

#[tokio::test]
async fn an_exhausted_budget_of_tokens_stops_before_the_call_with_the_configured_sentence() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=10").await;
    set(
        &server,
        &instance,
        json!({ "instance": { "day": { "tokens": 20 } } }),
    )
    .await;
    let chat = Chat::begin(&server, &instance).await;
    let answer = chat.answer("hello").await;
    assert!(!is_stopped(&answer), "{answer}");
    let took = answer["usage"]["input_tokens"].as_i64().unwrap() + 10;
    assert!(took >= 20, "{answer}");
    let before = asked(&fake);

    let events = chat.events("hello again").await;
    let kinds: Vec<_> = events.iter().map(|it| it.kind().to_owned()).collect();
    assert_eq!(
        kinds[..3],
        ["start", "data-notice", "text-start"],
        "{kinds:?}"
    );
    assert_eq!(
        kinds[kinds.len() - 4..],
        ["text-end", "data-usage", "finish", "[DONE]"]
    );
    let said: String = events
        .iter()
        .filter_map(|it| it.data["delta"].as_str())
        .collect();
    assert_eq!(said, SENTENCE);
    let notice = &events[1].data["data"];
    assert_eq!(notice["code"], "budget_exhausted");
    assert!(
        notice["resetsAt"].as_str().unwrap().ends_with("T00:00:00Z"),
        "{notice}"
    );
    assert_eq!(asked(&fake), before, "no model was asked");

    let shown = shown(&server, &instance).await;
    let day = &shown["standing"]["day"];
    assert_eq!(day["tokens"]["spent"], took, "{day}");
    assert_eq!(
        (&day["tokens"]["reserved"], &day["state"]),
        (&json!(0), &json!("exhausted"))
    );
}
