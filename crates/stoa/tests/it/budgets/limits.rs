//! Limits of tokens and money, of everybody, each person and each address.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;
use stoa_platform_db::budgets as ledger;

use super::{SENTENCE, asked, is_stopped, leave_behind, priced, set, set_day, shown, spent};
use crate::support::{
    Conversation, Server, TestInstance, eventually, expect, model_at, said, whole,
};

#[tokio::test]
async fn an_exhausted_budget_of_tokens_stops_before_the_call_with_the_configured_sentence() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=10").await;
    let tested = spent(&server, &instance).await;
    assert!(tested > 0, "the test of a configuration counts");
    set_day(&server, &instance, tested + 20).await;
    let chat = Conversation::begin(&server, &instance).await;
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
    let end = ["text-end", "data-usage", "finish", "[DONE]"];
    assert_eq!(kinds[kinds.len() - 4..], end);
    assert_eq!(said(&events), SENTENCE);
    let notice = &events[1].data["data"];
    assert_eq!(notice["code"], "budget_exhausted");
    let resets_at = notice["resetsAt"].as_str().unwrap();
    assert!(resets_at.ends_with("T00:00:00Z"), "{notice}");
    assert_eq!(asked(&fake), before, "no model was asked");

    let shown = shown(&server, &instance).await;
    let day = &shown["standing"]["day"];
    assert_eq!(day["tokens"]["spent"], tested + took, "{day}");
    assert_eq!(day["tokens"]["reserved"], 0);
    assert_eq!(day["state"], "exhausted");

    // What was said is no answer that anybody is billed for, whoever looks later.
    server.sweep_now(&instance.id).await;
    assert_eq!(events_of(&server, &instance, "answer").await, 1);
    let message = events[0].data["messageId"].as_str().unwrap();
    let replayed = chat.replay(message).await;
    assert_eq!(replayed[1], events[1], "a replay has the same notice");
}

#[tokio::test]
async fn a_budget_of_money_counts_what_a_configuration_says_that_its_model_costs() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    let mut model = model_at(&fake.base_url(), "fake:tokens=10");
    model["input_price"] = json!(0);
    model["output_price"] = json!(0);
    let id = instance.add_model(&server, model).await;
    // Dear only after its test.
    let dear = json!({ "output_price": 1_000.0 });
    instance.change_model(&server, &id, dear).await;
    // 10 tokens cost one cent, and an answer may take a thousand: the first and the second fit only alone.
    let set = set(
        &server,
        &instance,
        json!({ "instance": { "month": { "money": 2 } } }),
    )
    .await;
    assert_eq!(set["warnings"], json!([]), "{set}");
    let chat = Conversation::begin(&server, &instance).await;
    for stopped in [false, false, true] {
        let answer = chat.answer("hello").await;
        assert_eq!(is_stopped(&answer), stopped, "{answer}");
    }
    let shown = shown(&server, &instance).await;
    let money = &shown["standing"]["month"]["money"];
    assert_eq!(money["spent"], 2, "{money}");
    assert_eq!(money["spent_micros"], 20_000);
    assert_eq!(money["percent"], 100);

    // Each answer says what it cost, to the client's people and not to the visitor.
    let theirs = chat.history_of(&instance).await;
    let costs: Vec<_> = theirs
        .iter()
        .filter(|it| it["role"] == "assistant")
        .map(|it| (it["cost_micros"].clone(), it["currency"].clone()))
        .collect();
    let cent = (json!(10_000), json!("USD"));
    assert_eq!(costs, [cent.clone(), cent, (json!(0), json!("USD"))]);
    let visitors = json!(chat.history().await).to_string();
    assert!(!visitors.contains("cost"), "{visitors}");

    let usage = instance.usage(&server).await;
    let total = &usage["total"];
    assert_eq!(usage["currency"], "USD");
    assert_eq!(
        (&total["cost"], &total["unknown_costs"]),
        (&json!(2), &json!(0)),
        "{usage}"
    );
}

#[tokio::test]
async fn each_end_user_has_a_budget_of_their_own() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=30").await;
    set(
        &server,
        &instance,
        json!({ "end_user": { "day": { "tokens": 20 } } }),
    )
    .await;
    let (one, other) = (
        Conversation::begin(&server, &instance).await,
        Conversation::begin(&server, &instance).await,
    );
    assert!(!is_stopped(&one.answer("hello").await));
    assert!(is_stopped(&one.answer("hello").await));
    assert!(
        !is_stopped(&other.answer("hello").await),
        "another conversation"
    );
}

#[tokio::test]
async fn an_address_counts_only_as_a_trusted_proxy_names_it() {
    let fake = FakeAi::start().await.unwrap();
    let limit = json!({ "address": { "month": { "tokens": 20 } } });
    let from = |chat: &Conversation, address: &str| {
        chat.message("hello")
            .header("x-forwarded-for", address.to_owned())
    };

    let behind = Server::start_with(|options| {
        options.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    })
    .await;
    let instance = priced(&behind, &fake, "tokens=30").await;
    set(&behind, &instance, limit.clone()).await;
    for (address, stopped) in [
        ("203.0.113.1", false),
        ("203.0.113.1", true),
        ("203.0.113.2", false),
        ("2001:db8:1:2::a", false),
        ("2001:db8:1:2:ffff::b", true),
        ("2001:db8:1:3::a", false),
    ] {
        // A conversation for each, so that only the address is the same.
        let chat = Conversation::begin(&behind, &instance).await;
        let answer = whole(from(&chat, address)).await;
        assert_eq!(is_stopped(&answer), stopped, "{address}: {answer}");
    }

    let open = Server::start().await;
    let instance = priced(&open, &fake, "tokens=30").await;
    set(&open, &instance, limit).await;
    for (address, stopped) in [("203.0.113.1", false), ("203.0.113.2", true)] {
        let chat = Conversation::begin(&open, &instance).await;
        let answer = whole(from(&chat, address)).await;
        assert_eq!(
            is_stopped(&answer),
            stopped,
            "the peer itself counts: {answer}"
        );
    }
}

#[tokio::test]
async fn two_replicas_at_once_do_not_spend_one_budget_twice() {
    let fake = FakeAi::start().await.unwrap();
    let server = Server::start().await;
    let replica = server.replica().await;
    let instance = priced(&server, &fake, "tokens=10,delay=3000").await;
    set_day(&server, &instance, 100).await;
    let (before, tested) = (asked(&fake), spent(&server, &instance).await);
    // An answer may take a thousand tokens, so only one is let through while others wait for theirs.
    let mut chats = Vec::new();
    for _ in 0..4 {
        chats.push(Conversation::begin(&server, &instance).await);
    }
    let asking = chats
        .iter()
        .enumerate()
        .map(|(n, chat)| async move { chat.answer(&format!("question {n}")).await });
    let elsewhere = chats
        .iter()
        .map(|chat| chat.on(&replica))
        .collect::<Vec<_>>();
    let others = elsewhere.iter().map(|chat| chat.answer("at once"));
    let (here, there) = tokio::join!(
        futures_util::future::join_all(asking),
        futures_util::future::join_all(others),
    );
    let took: Vec<_> = here
        .iter()
        .chain(&there)
        .filter(|it| !is_stopped(it))
        .map(|it| {
            let tokens = |name: &str| it["usage"][name].as_i64().unwrap();
            tokens("input_tokens") + tokens("output_tokens")
        })
        .collect();
    assert_eq!(took.len(), asked(&fake) - before);
    let all = tested + took.iter().sum::<i64>();
    assert_eq!(spent(&server, &instance).await, all);
    // Before the last there was room, whichever that was, and after it there is none.
    let largest = took.iter().max().unwrap();
    assert!(all >= 100 && all - largest < 100, "{tested} and {took:?}");
}

#[tokio::test]
async fn what_an_answer_does_not_take_is_free_for_the_next_one() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=10").await;
    // More than one answer may take at most, less than two: that they all fit is by what they took.
    set_day(&server, &instance, 2_000).await;
    let chat = Conversation::begin(&server, &instance).await;
    for n in 0..5 {
        assert!(!is_stopped(&chat.answer("hello").await), "answer {n}");
    }
    let day = shown(&server, &instance).await["standing"]["day"].clone();
    let spent = day["tokens"]["spent"].as_i64().unwrap();
    assert!((50..2_000).contains(&spent), "{day}");
}

#[tokio::test]
async fn an_answer_whose_provider_counts_nothing_is_estimated_and_its_cost_unknown() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=40,no_usage").await;
    let chat = Conversation::begin(&server, &instance).await;
    // Without a budget it is added up all the same.
    let answer = chat.answer("hello").await;
    assert_eq!(answer["usage"]["output_tokens"], Value::Null, "{answer}");
    let day = shown(&server, &instance).await["standing"]["day"].clone();
    let spent = day["tokens"]["spent"].as_i64().unwrap();
    assert!((40..1_000).contains(&spent), "{day}");
    assert!(
        day["money"]["spent_micros"].as_i64().unwrap() >= 40,
        "{day}"
    );
    set_day(&server, &instance, spent).await;
    assert!(
        is_stopped(&chat.answer("hello").await),
        "what was spent before counts"
    );
    let theirs = chat.history_of(&instance).await;
    assert_eq!(theirs[1]["cost_micros"], Value::Null, "{theirs:?}");
}

#[tokio::test]
async fn what_a_dead_process_reserved_is_spent_when_the_sweep_closes_its_answer() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=10").await;
    let tested = spent(&server, &instance).await;
    let limit = tested + 100;
    set(
        &server,
        &instance,
        json!({ "instance": { "day": { "tokens": limit } }, "end_user": { "day": { "tokens": 100_000 } } }),
    )
    .await;
    // A turn as a process leaves it that dies between reserving and settling.
    let chat = Conversation::begin(&server, &instance).await;
    let message = leave_behind(&server, &chat, &instance, "what had come of it").await;
    let mut connection = server.app.platform().acquire().await.unwrap();
    let at = server.app.clock().now();
    let reservation = ledger::Reservation {
        instance: instance.id.parse().unwrap(),
        message,
        kind: stoa_platform_db::usage_events::UsageKind::Answer,
        people: ledger::People::default(),
        wanted: ledger::Amount {
            tokens: 90,
            micros: Some(90),
        },
        own: ledger::Amount::default(),
        limits: &[ledger::Limit {
            subject: ledger::Subject::Instance,
            period: ledger::Period::Day,
            tokens: Some(limit),
            micros: None,
        }],
        at,
        until: at + chrono::TimeDelta::minutes(15),
    };
    let standings = ledger::reserve(&mut connection, &reservation)
        .await
        .unwrap();
    assert!(standings.iter().all(|it| it.has_room), "{standings:?}");
    drop(connection);
    let day = shown(&server, &instance).await["standing"]["day"]["tokens"].clone();
    assert_eq!(day["reserved"], 90, "{day}");

    server.sweep_now(&instance.id).await;
    let day = shown(&server, &instance).await["standing"]["day"]["tokens"].clone();
    assert_eq!(
        (&day["spent"], &day["reserved"]),
        (&json!(tested + 90), &json!(0)),
        "{day}"
    );
    assert!(
        !is_stopped(&chat.answer("hello").await),
        "there is a little left"
    );
}

#[tokio::test]
async fn a_program_gets_429_of_no_quota_and_when_to_come_back() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=30").await;
    let limit = spent(&server, &instance).await + 20;
    set_day(&server, &instance, limit).await;
    let call = |model: &str| {
        let request = server.anonymous(Method::POST, "/v1/chat/completions");
        request
            .bearer_auth(&instance.key)
            .json(&json!({ "model": model, "messages": [{ "role": "user", "content": "hello" }] }))
    };
    let first = call("fake:tokens=30").send().await.unwrap();
    assert_eq!(first.status(), StatusCode::OK);
    for model in ["stoa", "fake:tokens=30"] {
        let refused = call(model).send().await.unwrap();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
        let wait = refused.headers()["retry-after"].to_str().unwrap();
        assert!(wait.parse::<u32>().unwrap() <= 86_400, "{wait}");
        let body: Value = refused.json().await.unwrap();
        assert_eq!(body["error"]["type"], "insufficient_quota", "{body}");
        assert_eq!(body["error"]["code"], "insufficient_quota", "{body}");
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_gives_back_what_it_had_reserved() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::misbehaving(&server, "Acme", &fake.base_url(), "hang").await;
    set_day(&server, &instance, 5_000).await;
    let reserved = || async {
        let shown = shown(&server, &instance).await;
        let tokens = &shown["standing"]["day"]["tokens"];
        (
            tokens["reserved"].as_i64().unwrap(),
            tokens["spent"].as_i64().unwrap(),
        )
    };
    let request = server
        .anonymous(Method::POST, "/v1/chat/completions")
        .bearer_auth(&instance.key)
        .json(&json!({ "model": "stoa", "messages": [{ "role": "user", "content": "hello" }] }));
    // The connection is closed as soon as the reservation has been seen.
    let seen = eventually("a reservation", || async {
        (reserved().await.0 > 1_000).then_some(())
    });
    tokio::select! {
        answer = request.send() => panic!("nobody answers: {answer:?}"),
        () = seen => {}
    }
    let spent = eventually("nothing reserved", || async {
        let (reserved, spent) = reserved().await;
        (reserved == 0).then_some(spent)
    })
    .await;
    assert!(
        (1..1_000).contains(&spent),
        "what was sent counts, what never came does not: {spent}"
    );
}

#[tokio::test]
async fn embedding_counts_and_is_left_out_where_there_is_no_budget_for_it() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    let mut model = model_at(&fake.base_url(), "fake:tokens=5");
    model["embedding_model"] = json!("embed");
    instance.add_model(&server, model).await;
    let call = || {
        let request = server.anonymous(Method::POST, "/v1/embeddings");
        request
            .bearer_auth(&instance.key)
            .json(&json!({ "model": "stoa", "input": "a text of a few words" }))
    };
    assert_eq!(call().send().await.unwrap().status(), StatusCode::OK);
    let day = shown(&server, &instance).await["standing"]["day"].clone();
    let spent = day["tokens"]["spent"].as_i64().unwrap();
    assert!(spent >= 5, "{spent}");
    set_day(&server, &instance, spent).await;
    let refused = call().send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);

    let request = server
        .client(&instance.key, Method::POST, "/documents")
        .json(&json!({ "title": "Returns", "text": "Shoes may be returned within thirty days." }));
    let added = expect(request, StatusCode::ACCEPTED).await;
    let document = instance
        .finished_document(&server, added["id"].as_str().unwrap())
        .await;
    assert_eq!(document["status"], "failed", "{document}");
    let error = document["error"].as_str().unwrap();
    assert!(
        error.contains("budget for AI is exhausted until"),
        "{error}"
    );
}

async fn events_of(server: &Server, instance: &TestInstance, kind: &str) -> i64 {
    let mut connection = server.app.platform().acquire().await.unwrap();
    sqlx::query_scalar(
        "SELECT count(*) FROM stoa_platform.usage_events WHERE instance_id::text = $1 AND kind = $2",
    )
    .bind(&instance.id)
    .bind(kind)
    .fetch_one(&mut *connection)
    .await
    .unwrap()
}
