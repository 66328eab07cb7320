//! The visitor's word: nothing that changes something happens without it, and with it once.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use tokio_util::task::TaskTracker;

use super::{Talk, add_tool, asked_for, asks, kinds, of_kind, told_to_the_visitor, writing};
use crate::support::{Conversation, Server, StreamEvent, eventually, problem, read_stream, said};

const REFUND: &str = r#"call=refund_order{"order_id":"7"}"#;

#[tokio::test]
async fn a_call_that_changes_something_is_made_once_after_a_yes() {
    let talk = Talk::with(REFUND).await;
    let seen = read_stream(talk.ask().await, asks(1)).await;
    let (message, approval) = asked_for(&seen);
    let request = of_kind(&seen, "tool-approval-request")[0];
    assert_eq!(request["toolCallId"], "c1");
    assert_eq!(request["approvalDescriptor"], json!({"host": "127.0.0.1"}));
    let step = talk.chat.history().await[1]["steps"][0].clone();
    assert_eq!(
        (&step["state"], &step["approval_id"]),
        (&json!("asking"), &json!(approval))
    );
    assert!(talk.shop.asked().is_empty());

    let yes = talk.chat.decide(&message, &approval, true).await;
    assert_eq!(yes.status(), StatusCode::NO_CONTENT);
    let last = seen.last().unwrap().id.clone().unwrap();
    let rest = talk.chat.resume(&message, &last).await;
    let rest = read_stream(rest, |_| false).await;
    assert_eq!(
        kinds(&rest),
        [
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
    assert_eq!(
        of_kind(&rest, "tool-input-available")[0]["providerMetadata"],
        json!({"stoa": {"approved": true}})
    );
    assert!(said(&rest).contains(r#"The tool said: {"refunded":true}"#));
    for approved in [true, false] {
        let again = talk.chat.decide(&message, &approval, approved).await;
        problem(again, 409, "already_decided").await;
    }
    let asked = talk.shop.asked();
    assert_eq!(talk.shop.lines(), ["POST /refunds"]);
    assert_eq!(asked[0].headers["idempotency-key"], approval);
    assert_eq!(asked[0].body, r#"{"order_id":"7"}"#);
    assert_eq!(talk.final_answer().await["steps"][0]["state"], "done");
}

#[tokio::test]
async fn who_comes_back_is_not_asked_again_while_an_approved_call_is_under_way() {
    let mut talk = Talk::with(r#"call=order_slowly{"order_id":"7"}"#).await;
    let mut tool = writing(&talk.shop);
    tool["name"] = json!("order_slowly");
    tool["url"] = json!(format!("{}/slow", talk.shop.url));
    add_tool(&talk.server, &talk.instance, &tool).await;
    talk.chat = Conversation::begin(&talk.server, &talk.instance).await;
    let seen = read_stream(talk.ask().await, asks(1)).await;
    let (message, approval) = asked_for(&seen);
    let yes = talk.chat.decide(&message, &approval, true).await;
    assert_eq!(yes.status(), StatusCode::NO_CONTENT);
    eventually("the call", || async {
        (talk.shop.lines() == ["POST /slow"]).then_some(())
    })
    .await;
    let step = talk.chat.history().await[1]["steps"][0].clone();
    assert_eq!(step["state"], "approved");
    assert_eq!(step["approval_id"], approval);
    let again = |events: &[StreamEvent]| of_kind(events, "tool-input-available").len() == 2;
    let second = talk.server.replica().await;
    for server in [&talk.server, &second] {
        let back = talk.chat.on(server).resume(&message, "").await;
        let back = read_stream(back, again).await;
        let last = &back.last().unwrap().data;
        assert_eq!(last["providerMetadata"]["stoa"]["approved"], true);
    }
    talk.chat.stop().await;
    let answer = talk.final_answer().await;
    assert_eq!(answer["finish_reason"], "cancelled");
    let step = &answer["steps"][0];
    assert_eq!(step["state"], "failed");
    let error = step["error"].as_str().unwrap();
    assert!(
        error.contains("Whether it was done is not known"),
        "{error}"
    );
}

#[tokio::test]
async fn after_a_no_the_model_is_told_and_nothing_is_sent() {
    let talk = Talk::with(REFUND).await;
    let response = talk.ask().await;
    let reading = TaskTracker::new().spawn(read_stream(response, |_| false));
    let step = eventually("a question", || async {
        let steps = talk.chat.history().await[1]["steps"].clone();
        steps.get(0).filter(|it| it["state"] == "asking").cloned()
    })
    .await;
    let message = talk.chat.history().await[1]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let approval = step["approval_id"].as_str().unwrap();
    let no = talk.chat.decide(&message, approval, false).await;
    assert_eq!(no.status(), StatusCode::NO_CONTENT);
    let events = reading.await.unwrap();
    assert_eq!(of_kind(&events, "tool-output-denied").len(), 1);
    assert!(talk.told()[0].contains("said no"), "{:?}", talk.told());
    let answer = talk.final_answer().await;
    assert_eq!(answer["steps"][0]["state"], "denied");
    assert_eq!(answer["finish_reason"], "stop");
    assert!(talk.shop.asked().is_empty());
}

#[tokio::test]
async fn a_word_that_comes_too_late_counts_for_nothing() {
    let soon = Duration::from_secs(1);
    let talk = Talk::with_options(REFUND, |options| options.confirmation_wait = soon).await;
    let events = talk.answer().await;
    let error = of_kind(&events, "tool-output-error")[0]["errorText"].clone();
    assert!(
        error.as_str().unwrap().contains("nobody confirmed it"),
        "{error}"
    );
    let (message, approval) = asked_for(&events);
    let late = talk.chat.decide(&message, &approval, true).await;
    problem(late, 409, "already_decided").await;
    assert!(talk.told()[0].contains("nobody confirmed it"));
    assert!(talk.shop.asked().is_empty());
    assert_eq!(talk.final_answer().await["finish_reason"], "stop");
}

#[tokio::test]
async fn a_word_is_heard_from_another_replica() {
    let talk = Talk::with(REFUND).await;
    let second = talk.server.replica().await;
    let response = talk.ask().await;
    let reading = TaskTracker::new().spawn(read_stream(response, |_| false));
    let (message, approval) = eventually("a question", || async {
        let answer = talk.chat.history().await[1].clone();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        Some((
            text(&answer["id"])?,
            text(&answer["steps"][0]["approval_id"])?,
        ))
    })
    .await;
    // The other replica shows the question to whoever comes back there.
    let follower = talk.chat.on(&second).resume(&message, "").await;
    let seen = read_stream(follower, asks(1)).await;
    assert_eq!(asked_for(&seen), (message.clone(), approval.clone()));
    let last = seen.last().unwrap().id.clone().unwrap();
    let follower = talk.chat.on(&second).resume(&message, &last).await;
    let rest = TaskTracker::new().spawn(read_stream(follower, |_| false));
    let yes = talk
        .chat
        .on(&second)
        .decide(&message, &approval, true)
        .await;
    assert_eq!(yes.status(), StatusCode::NO_CONTENT);
    let live = reading.await.unwrap();
    assert_eq!(of_kind(&live, "tool-output-available").len(), 1);
    let followed = [seen, rest.await.unwrap()].concat();
    assert_eq!(told_to_the_visitor(&followed), told_to_the_visitor(&live));
    assert_eq!(talk.shop.lines(), ["POST /refunds"]);
}

#[tokio::test]
async fn what_reads_is_not_kept_waiting_by_what_asks() {
    let talk = Talk::with(&format!(
        r#"silent,{REFUND},call=find_order{{"order_id":"7"}}"#
    ))
    .await;
    let enough = |events: &[_]| of_kind(events, "tool-output-available").len() == 1;
    let seen = read_stream(talk.ask().await, enough).await;
    assert_eq!(talk.shop.lines(), ["GET /orders/7"]);
    let (message, approval) = asked_for(&seen);
    talk.chat.decide(&message, &approval, true).await;
    let answer = talk.final_answer().await;
    assert_eq!(answer["steps"][0]["state"], "done");
    assert_eq!(talk.shop.asked().len(), 2);
}

#[tokio::test]
async fn while_it_waits_an_answer_holds_no_connection_and_a_shutdown_ends_it() {
    let talk = Talk::with(REFUND).await;
    let seen = read_stream(talk.ask().await, asks(1)).await;
    let (message, approval) = asked_for(&seen);
    let Talk {
        server, shop, chat, ..
    } = talk;
    eventually("no connection in use", || async {
        let pools = server.app.clients().view().pools;
        pools.iter().all(|pool| pool.in_use == 0).then_some(())
    })
    .await;
    let restarted = Server::on(server.stop().await, |_| {}).await;
    let chat = chat.on(&restarted);
    let answer = &chat.history().await[1];
    assert_eq!(answer["finish_reason"], "interrupted");
    assert_eq!(answer["steps"][0]["state"], "failed");
    let late = chat.decide(&message, &approval, true).await;
    problem(late, 409, "already_decided").await;
    assert!(shop.asked().is_empty());
}
