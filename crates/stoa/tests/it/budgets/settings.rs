//! Setting budgets, and what is shown of them.

use reqwest::Method;
use serde_json::{Value, json};
use stoa_fake_ai::FakeAi;

use super::{asked, is_stopped, priced, set, set_day, shown};
use crate::support::{Conversation, Server, TestInstance, model_at, problem};

#[tokio::test]
async fn budgets_are_replaced_whole_and_wrong_ones_are_refused_by_field() {
    let server = Server::start().await;
    let instance = TestInstance::create(&server, "Acme").await;
    let before = shown(&server, &instance).await;
    assert_eq!(
        before["instance"],
        json!({ "day": {}, "month": {} }),
        "{before}"
    );
    assert_eq!(before["currency"], "USD");
    assert!(before["exceeded_message"].as_str().unwrap().len() > 10);
    assert_eq!(before["standing"]["month"]["state"], "ok");
    assert_eq!(
        before["standing"]["month"]["tokens"]["percent"],
        Value::Null
    );
    assert_eq!(before["prices"]["as_of"].as_str().unwrap().len(), 10);

    let limits = json!({ "day": { "tokens": 1_000 }, "month": { "money": 500 } });
    let stored = set(&server, &instance, json!({ "instance": limits })).await;
    assert_eq!(stored["instance"], limits);
    assert_eq!(shown(&server, &instance).await["instance"], limits);

    for (body, field) in [
        (
            json!({ "instance": { "day": { "tokens": -1 } } }),
            "instance.day.tokens",
        ),
        (
            json!({ "end_user": { "month": { "money": i64::MAX } } }),
            "end_user.month.money",
        ),
        (
            json!({ "address": { "day": { "money": 1.5 } } }),
            "address.day.money",
        ),
        (json!({ "currency": "EUR" }), "currency"),
        (json!({ "exceeded_message": " " }), "exceeded_message"),
        (
            json!({ "exceeded_message": "x".repeat(1_001) }),
            "exceeded_message",
        ),
        (json!({ "instance": { "week": {} } }), "instance.week"),
        (json!({ "instnace": {} }), "instnace"),
    ] {
        let response = server
            .client(&instance.key, Method::PUT, "/budgets")
            .json(&body)
            .send()
            .await
            .unwrap();
        let document = problem(response, 422, "invalid_body").await;
        assert_eq!(document["errors"][0]["field"], field, "{document}");
    }
    assert_eq!(
        shown(&server, &instance).await["instance"],
        limits,
        "nothing has changed"
    );
    let cleared = set(&server, &instance, json!({})).await;
    assert_eq!(cleared["instance"], json!({ "day": {}, "month": {} }));
}

#[tokio::test]
async fn a_model_of_unknown_price_is_not_asked_while_money_is_limited() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = TestInstance::create(&server, "Acme").await;
    let unpriced = instance
        .add_model(&server, model_at(&fake.base_url(), "mystery"))
        .await;
    let money = json!({ "instance": { "month": { "money": 500 } } });
    let stored = set(&server, &instance, money).await;
    let warning = stored["warnings"][0]["message"].as_str().unwrap();
    assert!(
        warning.contains("mystery") && warning.contains("input_price"),
        "{stored}"
    );
    let priced = &stored["prices"]["configurations"][0];
    assert_eq!(
        (&priced["source"], &priced["input_price"]),
        (&json!("unknown"), &Value::Null)
    );

    let before = asked(&fake);
    let chat = Conversation::begin(&server, &instance).await;
    let answer = chat.answer("hello").await;
    assert!(is_stopped(&answer), "{answer}");
    assert_eq!(answer["notice"]["resets_at"], Value::Null);
    assert_eq!(asked(&fake), before);
    let theirs = chat.history_of(&instance).await;
    assert_eq!(theirs[1]["error_code"], "ai_price_unknown", "{theirs:?}");

    // The next configuration is, whose price is known.
    let mut second = model_at(&fake.base_url(), "known");
    second["priority"] = json!(10);
    second["input_price"] = json!(1.0);
    second["output_price"] = json!(1.0);
    instance.add_model(&server, second).await;
    let answer = chat.answer("hello").await;
    assert_eq!(answer["usage"]["model"], "known", "{answer}");

    // With a price of its own the first one is asked again.
    let price = json!({ "input_price": 2.0, "output_price": 4.0 });
    instance.change_model(&server, &unpriced, price).await;
    let stored = shown(&server, &instance).await;
    assert_eq!(stored["warnings"], json!([]));
    let priced = &stored["prices"]["configurations"][0];
    assert_eq!(
        (&priced["source"], &priced["output_price"]),
        (&json!("configuration"), &json!(4.0))
    );
    let answer = chat.answer("hello").await;
    assert_eq!(answer["usage"]["model"], "mystery", "{answer}");
}

#[tokio::test]
async fn from_four_fifths_on_whoever_looks_is_warned() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=10").await;
    let chat = Conversation::begin(&server, &instance).await;
    chat.answer("hello").await;
    let spent = shown(&server, &instance).await["standing"]["day"]["tokens"]["spent"]
        .as_i64()
        .unwrap();
    for (limit, state) in [
        (spent * 5, "ok"),
        (spent * 5 / 4, "warning"),
        (spent + 1, "warning"),
        (spent, "exhausted"),
    ] {
        let day = set_day(&server, &instance, limit).await["standing"]["day"].clone();
        assert_eq!(day["state"], state, "{spent} of {limit}: {day}");
        assert_eq!(day["tokens"]["percent"], spent * 100 / limit);
    }
    assert!(is_stopped(&chat.answer("hello").await));
    let figures = stoa_app::metrics::render(&server.app, 0).await;
    for line in [
        "stoa_budget_warnings_total 1",
        "stoa_budget_stops_total{because=\"instance\"} 1",
        "stoa_budget_stops_total{because=\"unknown_price\"} 0",
    ] {
        assert!(figures.lines().any(|it| it == line), "{line}");
    }
}

#[tokio::test]
async fn no_person_is_in_the_ledger_by_name_id_or_address() {
    let (server, fake) = (Server::start().await, FakeAi::start().await.unwrap());
    let instance = priced(&server, &fake, "tokens=10").await;
    let limits = json!({ "day": { "tokens": 100_000 } });
    let all = json!({ "instance": limits, "end_user": limits, "address": limits });
    set(&server, &instance, all).await;
    let chat = Conversation::begin(&server, &instance).await;
    assert!(!is_stopped(&chat.answer("hello").await));
    let mut connection = server.app.platform().acquire().await.unwrap();
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT subject, c::text FROM stoa_platform.budget_counters c ORDER BY 1")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let subjects: Vec<_> = rows.iter().map(|(subject, _)| subject.as_str()).collect();
    let day_and_month = |it| [it, it];
    let expected = ["address", "end_user", "instance"]
        .map(day_and_month)
        .concat();
    assert_eq!(subjects, expected);
    let session = chat.session.replace('-', "");
    for (_, row) in rows {
        for personal in ["127.0.0.1", chat.session.as_str(), session.as_str()] {
            assert!(!row.contains(personal), "{row}");
        }
    }
}
