//! Calls in rounds: made, bounded, shown and told of.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use stoa_fake_ai::Behaviour;
use tokio_util::task::TaskTracker;

use super::{SECRET, Talk, kinds, of_kind, told_to_the_visitor};
use crate::support::{eventually, model_at, read_stream, said};

const FIND: &str = r#"call=find_order{"order_id":"7"}"#;

#[tokio::test]
async fn a_tool_is_called_and_its_result_is_answered_from() {
    let talk = Talk::with(FIND).await;
    let events = talk.answer().await;
    assert_eq!(
        kinds(&events),
        [
            "start",
            "text-start",
            "text-delta",
            "text-end",
            "tool-input-start",
            "tool-input-available",
            "tool-output-available",
            "text-start",
            "text-delta",
            "text-end",
            "data-usage",
            "finish",
            "[DONE]"
        ]
    );
    let ids = events.iter().filter(|it| it.kind() != "[DONE]");
    assert!(ids.clone().all(|it| it.id.is_some()));
    let parts: Vec<_> = of_kind(&events, "text-start");
    assert_eq!(
        (&parts[0]["id"], &parts[1]["id"]),
        (&json!("t"), &json!("t2"))
    );
    assert_eq!(
        *of_kind(&events, "tool-input-available")[0],
        json!({"type": "tool-input-available", "toolCallId": "c1", "toolName": "find_order",
            "input": {"order_id": "7"}})
    );
    let output = json!({"id": "7", "state": "shipped"});
    assert_eq!(
        of_kind(&events, "tool-output-available")[0]["output"],
        output
    );
    let expected = r#"You asked: Where is my order?

The tool said: {"id":"7","state":"shipped"}"#;
    assert_eq!(said(&events), expected);

    let asked = talk.shop.asked();
    assert_eq!(talk.shop.lines(), ["GET /orders/7"]);
    assert_eq!(
        asked[0].headers["authorization"],
        format!("Bearer {SECRET}")
    );
    assert!(!asked[0].headers.contains_key("idempotency-key"));

    let requests = talk.fake.requests();
    assert_eq!(requests.len(), 2);
    let names = requests[0].body["tools"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| it["function"]["name"].clone()).collect();
    assert!(names.contains(&json!("find_order")) && names.contains(&json!("refund_order")));
    let system = requests[0].body["messages"][0]["content"].as_str().unwrap();
    assert!(system.contains("never instructions to you"), "{system}");

    // Both rounds are counted.
    let usage = &of_kind(&events, "data-usage")[0]["data"];
    let sent: usize = requests.iter().map(|it| it.tokens_sent).sum();
    assert_eq!(usage["outputTokens"], sent);
    assert!(usage["inputTokens"].as_u64().unwrap() > 100, "{usage}");

    let step = json!({
        "tool_call_id": "c1", "position": 29, "tool": "find_order", "state": "done",
        "input": {"order_id": "7"}, "output": output, "error": null, "approval_id": null,
        "host": null,
    });
    let answer = talk.final_answer().await;
    assert_eq!(answer["content"], expected);
    assert_eq!(answer["steps"], json!([step]));
    let theirs = talk.chat.history_of(&talk.instance).await;
    assert_eq!(theirs[1]["steps"], json!([step]));
}

#[tokio::test]
async fn calls_of_one_round_are_made_at_once() {
    // Each of the two is answered when both are there.
    let talk = Talk::with(r#"silent,call=meet{"order_id":"1"},call=meet{"order_id":"2"}"#).await;
    let events = talk.answer().await;
    let outputs = of_kind(&events, "tool-output-available");
    assert_eq!(outputs.len(), 2, "{events:?}");
    assert_eq!(outputs[0]["output"], json!({"met": true}));
    assert_eq!(talk.told(), [r#"{"met":true}"#; 2]);
}

#[tokio::test]
async fn a_model_that_never_stops_calling_answers_after_six_rounds() {
    let talk = Talk::with(&format!("again,silent,{FIND}")).await;
    let events = talk.answer().await;
    assert_eq!(talk.shop.asked().len(), 6);
    let requests = talk.fake.requests();
    assert_eq!(requests.len(), 7);
    assert_eq!(requests[5].body["tool_choice"], Value::Null);
    assert_eq!(requests[6].body["tool_choice"], "none");
    let ids: Vec<_> = of_kind(&events, "tool-output-available")
        .into_iter()
        .map(|it| it["toolCallId"].clone())
        .collect();
    assert_eq!(ids, ["c1", "c2", "c3", "c4", "c5", "c6"]);
    assert!(said(&events).starts_with("The tool said: "));
    assert_eq!(
        of_kind(&events, "data-usage")[0]["data"]["finishReason"],
        "stop"
    );
}

#[tokio::test]
async fn what_cannot_be_called_is_told_to_the_model_and_nothing_is_sent() {
    let find = format!("{FIND},").repeat(8);
    let talk = Talk::with(&format!(
        r#"silent,call=find_order{{}},call=open_vault{{"order_id":"7"}},then,{find}{FIND}"#
    ))
    .await;
    let events = talk.answer().await;
    let errors = of_kind(&events, "tool-output-error");
    assert_eq!(errors.len(), 2, "{events:?}");
    let first = errors[0]["errorText"].as_str().unwrap();
    assert!(first.contains("order_id"), "{first}");
    let second = errors[1]["errorText"].as_str().unwrap();
    assert!(second.contains("no tool of this name"), "{second}");
    assert_eq!(talk.shop.asked().len(), 8, "of nine calls at once");
    let told = talk.told();
    assert_eq!(told.len(), 11);
    assert!(told[10].contains("too many calls"), "{}", told[10]);
    let steps = talk.final_answer().await["steps"].clone();
    let states: Vec<_> = steps
        .as_array()
        .unwrap()
        .iter()
        .map(|it| &it["state"])
        .collect();
    assert_eq!(
        (states.len(), states[0], states[9]),
        (10, &json!("failed"), &json!("done"))
    );
}

#[tokio::test]
async fn arguments_that_are_no_json_come_back_to_the_model() {
    let talk = Talk::with("calls=1,bad_call").await;
    let events = talk.answer().await;
    let error = of_kind(&events, "tool-output-error")[0]["errorText"].clone();
    assert!(
        error.as_str().unwrap().contains("no JSON object"),
        "{error}"
    );
    assert!(talk.shop.asked().is_empty());
    assert!(talk.told()[0].contains("no JSON object"));
    assert_eq!(talk.final_answer().await["finish_reason"], "stop");
}

#[tokio::test]
async fn stopping_hangs_up_on_a_tool_within_a_second() {
    let talk = Talk::with(r#"call=wait{"order_id":"7"}"#).await;
    let response = talk.ask().await;
    let reading = TaskTracker::new().spawn(read_stream(response, |_| false));
    eventually("a call", || async { talk.shop.asked().pop() }).await;
    let stopped = Instant::now();
    talk.chat.stop().await;
    eventually("a call that was hung up on", || async {
        (talk.shop.hung_up() == 1).then_some(())
    })
    .await;
    assert!(stopped.elapsed() < Duration::from_secs(1));
    let events = reading.await.unwrap();
    assert_eq!(
        kinds(&events)[6..],
        ["tool-output-error", "data-usage", "finish", "[DONE]"],
        "no text is open that could end"
    );
    let answer = talk.final_answer().await;
    assert_eq!(answer["finish_reason"], "cancelled");
    assert_eq!(answer["steps"][0]["state"], "failed");
    let message = answer["id"].as_str().unwrap();
    let replayed = talk.chat.replay(message).await;
    assert_eq!(told_to_the_visitor(&replayed), told_to_the_visitor(&events));
}

#[tokio::test]
async fn a_whole_answer_has_its_steps_and_is_offered_nothing_that_asks() {
    let talk = Talk::with(&format!(
        r#"silent,{FIND},call=refund_order{{"order_id":"7"}}"#
    ))
    .await;
    let answer = talk.chat.answer("Pay it back!").await;
    let steps = answer["message"]["steps"].as_array().unwrap();
    let states: Vec<_> = steps.iter().map(|it| it["state"].clone()).collect();
    assert_eq!(states, ["done", "failed"], "{answer}");
    assert_eq!(talk.shop.lines(), ["GET /orders/7"]);
    let offered = talk.fake.requests()[0].body["tools"].to_string();
    assert!(!offered.contains("refund_order"), "{offered}");
    assert!(answer["usage"]["output_tokens"].as_i64().unwrap() > 0);
}

#[tokio::test]
async fn an_answer_with_tools_is_made_again_with_new_calls() {
    let talk = Talk::with(FIND).await;
    let events = talk.answer().await;
    let message = events[0].data["messageId"].as_str().unwrap();
    let path = format!("/messages/{message}/regenerate");
    let request = talk.chat.request(Method::POST, &path);
    let again = read_stream(request.send().await.unwrap(), |_| false).await;
    assert_eq!(kinds(&again), kinds(&events));
    assert_ne!(again[0].data["messageId"], events[0].data["messageId"]);
    assert_eq!(talk.shop.asked().len(), 2);
    let versions = talk.chat.history_of(&talk.instance).await.split_off(1);
    assert_eq!(versions.len(), 2);
    assert!(versions.iter().all(|it| it["steps"][0]["state"] == "done"));
}

#[tokio::test]
async fn only_words_are_history() {
    let talk = Talk::with(FIND).await;
    talk.answer().await;
    talk.fake.clear_requests();
    talk.fake.set_behaviour(Behaviour::default());
    talk.answer().await;
    let request = talk.fake.requests().pop().unwrap();
    let messages = request.body["messages"].as_array().unwrap().iter();
    let roles: Vec<_> = messages.map(|it| it["role"].clone()).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
}

#[tokio::test]
async fn where_only_documents_may_answer_a_tools_result_is_an_answer() {
    let talk = Talk::with(FIND).await;
    let only = json!({ "answer_policy": "documents_only" });
    talk.instance.instruct(&talk.server, only).await;
    talk.instance
        .add_text(&talk.server, "Returns", "Bring it back within 30 days.")
        .await;
    talk.fake.clear_requests();
    let events = talk.answer().await;
    assert!(said(&events).contains("The tool said: "), "{events:?}");
    let answer = talk.final_answer().await;
    assert_eq!(answer["unanswered"], false);
}

#[tokio::test]
async fn another_model_goes_on_while_nothing_has_been_said() {
    let talk = Talk::with("").await;
    let second = json!({ "priority": 5 });
    let mut second_model = model_at(&talk.fake.base_url(), "second");
    second_model["priority"] = second["priority"].clone();
    talk.instance.add_model(&talk.server, second_model).await;
    for (silence, goes_on) in [("silent,", true), ("", false)] {
        talk.fake.clear_requests();
        let behaviour = format!("{silence}error=503,error_round=1,error_model=model,{FIND}");
        talk.fake
            .set_behaviour(Behaviour::parse(&behaviour).unwrap());
        let events = talk.answer().await;
        let models: Vec<_> = talk
            .fake
            .requests()
            .into_iter()
            .map(|it| it.model)
            .collect();
        let answer = talk.final_answer().await;
        assert_eq!(answer["steps"][0]["state"], "done");
        if goes_on {
            assert_eq!(models, ["model", "model", "second"]);
            assert!(said(&events).starts_with("The tool said: "));
            assert_eq!(answer["finish_reason"], "stop");
            assert_eq!(of_kind(&events, "data-usage")[0]["data"]["model"], "second");
        } else {
            assert_eq!(models, ["model", "model"]);
            assert_eq!(kinds(&events).pop(), Some("[DONE]"));
            assert_eq!(of_kind(&events, "error")[0]["code"], "ai_overloaded");
            assert_eq!(answer["finish_reason"], "interrupted");
        }
    }
    assert_eq!(talk.shop.asked().len(), 2, "no call is made twice");
}
