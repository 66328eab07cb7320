//! The instance's own tools in the OpenAI-compatible API: those that read, where a program brings none.

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::Talk;
use crate::support::eventually;

const FIND: &str = r#"call=find_order{"order_id":"7"}"#;
const SAID: &str =
    "You asked: Where is my order?\n\nThe tool said: {\"id\":\"7\",\"state\":\"shipped\"}";

/// A request to the bot, changed by these fields.
fn asking(fields: &Value) -> Value {
    let mut body = json!({
        "model": "stoa",
        "messages": [{ "role": "user", "content": "Where is my order?" }],
    });
    for (name, value) in fields.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn send(talk: &Talk, fields: Value) -> Response {
    let path = "/v1/chat/completions";
    let request = talk.server.anonymous(Method::POST, path);
    let request = request.bearer_auth(&talk.instance.key);
    request.json(&asking(&fields)).send().await.unwrap()
}

async fn whole(talk: &Talk, fields: Value) -> Value {
    let response = send(talk, fields).await;
    let (status, body) = (response.status(), response.json::<Value>().await.unwrap());
    assert_eq!(status, StatusCode::OK, "{body}");
    body
}

/// The names of the tools that the model was offered last.
fn offered(talk: &Talk) -> Vec<String> {
    let request = talk.fake.requests().pop().unwrap();
    let tools = request.body["tools"].as_array().cloned();
    let name = |it: Value| it["function"]["name"].as_str().unwrap().to_owned();
    tools.unwrap_or_default().into_iter().map(name).collect()
}

fn step(number: u16, position: usize) -> Value {
    json!({
        "tool_call_id": format!("c{number}"), "position": position, "tool": "find_order",
        "state": "done", "input": {"order_id": "7"},
        "output": {"id": "7", "state": "shipped"}, "error": null, "approval_id": null, "host": null,
    })
}

#[tokio::test]
async fn the_bot_answers_a_program_with_what_its_tools_gave_and_tells_what_it_called() {
    let talk = Talk::with(FIND).await;
    let answer = whole(&talk, json!({})).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "stop");
    assert_eq!(choice["message"]["content"], SAID);
    assert_eq!(
        choice["message"]["tool_calls"],
        Value::Null,
        "they are made here"
    );
    assert_eq!(choice["message"]["stoa"]["steps"], json!([step(1, 29)]));
    assert_eq!(choice["message"]["stoa"]["sources"], json!([]));
    assert_eq!(talk.shop.lines(), ["GET /orders/7"]);
    assert_eq!(
        offered(&talk),
        ["find_order", "meet", "read_note", "wait"],
        "none that writes"
    );
    let sent: usize = talk.fake.requests().iter().map(|it| it.tokens_sent).sum();
    assert_eq!(
        answer["usage"]["completion_tokens"], sent,
        "both rounds are counted"
    );

    let response = send(
        &talk,
        json!({ "stream": true, "stream_options": { "include_usage": true } }),
    );
    let text = response.await.text().await.unwrap();
    let chunks: Vec<Value> = text
        .split("\n\n")
        .filter_map(|it| serde_json::from_str(it.strip_prefix("data: ")?).ok())
        .collect();
    assert!(text.ends_with("data: [DONE]\n\n"), "{text}");
    let deltas = chunks.iter().map(|it| &it["choices"][0]["delta"]);
    assert!(
        deltas.clone().all(|it| it["tool_calls"].is_null()),
        "{text}"
    );
    let said: String = deltas.filter_map(|it| it["content"].as_str()).collect();
    assert_eq!(said, SAID);
    let last = &chunks[chunks.len() - 2];
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(
        last["choices"][0]["delta"]["stoa"]["steps"],
        json!([step(1, 29)])
    );
    assert_eq!(last["stoa"]["steps"], json!([step(1, 29)]));

    let mut connection = talk.server.app.platform().acquire().await.unwrap();
    let counted: Vec<(String, i64)> = sqlx::query_as(
        "SELECT kind, output_tokens FROM stoa_platform.usage_events WHERE instance_id::text = $1",
    )
    .bind(&talk.instance.id)
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let once = ("completion".to_owned(), i64::try_from(sent).unwrap());
    assert_eq!(counted, [once.clone(), once], "one event a completion");
}

#[tokio::test]
async fn a_program_brings_about_no_call_that_writes() {
    let refund = r#"silent,call=refund_order{"order_id":"7"},call=find_order{}"#;
    let talk = Talk::with(refund).await;
    let answer = whole(&talk, json!({})).await;
    let steps = answer["choices"][0]["message"]["stoa"]["steps"].clone();
    assert_eq!(steps[0]["state"], "failed");
    assert!(
        steps[0]["error"]
            .as_str()
            .unwrap()
            .contains("no tool of this name"),
        "{steps}"
    );
    assert!(
        steps[1]["error"].as_str().unwrap().contains("order_id"),
        "{steps}"
    );
    assert!(talk.shop.asked().is_empty());
}

#[tokio::test]
async fn a_program_with_tools_of_its_own_gets_its_calls_and_none_of_the_instances() {
    let talk = Talk::with("calls=1").await;
    let own = json!([{"type": "function", "function": {"name": "look_up", "parameters":
        {"type": "object", "properties": {"query": {"type": "string"}}}}}]);
    let answer = whole(&talk, json!({ "tools": own })).await;
    let choice = &answer["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(
        choice["message"]["tool_calls"][0]["function"]["name"],
        "look_up"
    );
    assert_eq!(offered(&talk), ["look_up"]);

    let call =
        json!({"id": "a", "type": "function", "function": {"name": "look_up", "arguments": "{}"}});
    let messages = json!([
        {"role": "user", "content": "Where is my order?"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "a", "content": "shipped"},
    ]);
    for fields in [
        json!({ "messages": messages }),
        json!({ "tool_choice": "none" }),
        json!({ "model": "model" }),
    ] {
        whole(&talk, fields.clone()).await;
        assert_eq!(offered(&talk), [""; 0], "{fields}");
    }
    assert!(talk.shop.asked().is_empty());
}

#[tokio::test]
async fn a_programs_answer_has_six_rounds_at_most() {
    let talk = Talk::with(&format!("again,silent,{FIND}")).await;
    let answer = whole(&talk, json!({})).await;
    let message = &answer["choices"][0]["message"];
    let steps: Vec<_> = (1..=6).map(|number| step(number, 0)).collect();
    assert_eq!(message["stoa"]["steps"], json!(steps));
    assert_eq!(answer["choices"][0]["finish_reason"], "stop");
    let requests = talk.fake.requests();
    assert_eq!(requests.len(), 7);
    assert_eq!(requests[6].body["tool_choice"], "none");
}

#[tokio::test]
async fn a_program_that_hangs_up_ends_the_call_that_is_under_way() {
    let talk = Talk::with(r#"call=wait{"order_id":"7"}"#).await;
    let response = send(&talk, json!({ "stream": true })).await;
    eventually("a call", || async {
        (talk.shop.asked().len() == 1).then_some(())
    })
    .await;
    drop(response);
    eventually("the end of the call", || async {
        (talk.shop.hung_up() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn words_before_a_stop_text_end_an_answer_without_a_call() {
    let talk = Talk::with(FIND).await;
    let answer = whole(&talk, json!({ "stop": ["order"] })).await;
    assert_eq!(
        answer["choices"][0]["message"]["content"],
        "You asked: Where is my "
    );
    assert_eq!(answer["choices"][0]["message"]["stoa"]["steps"], json!([]));
    let answer = whole(&talk, json!({ "stop": ["shipped"] })).await;
    let content = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(
        SAID.starts_with(content) && content.ends_with("\"state\":\""),
        "{content}"
    );
    assert_eq!(
        answer["choices"][0]["message"]["stoa"]["steps"],
        json!([step(1, 29)])
    );
    assert_eq!(talk.shop.lines(), ["GET /orders/7"]);
}
