//! The console's page of budgets.

use serde_json::json;
use stoa_fake_ai::FakeAi;

use super::Desk;
use crate::support::{Conversation, Page, Server, TestInstance, model_at};

const PATH: &str = "/console/acme/budgets";
const LIMITS: [&str; 12] = [
    "instance.day.tokens",
    "instance.day.money",
    "instance.month.tokens",
    "instance.month.money",
    "end_user.day.tokens",
    "end_user.day.money",
    "end_user.month.tokens",
    "end_user.month.money",
    "address.day.tokens",
    "address.day.money",
    "address.month.tokens",
    "address.month.money",
];

/// Sends the form with these fields filled in.
async fn send(desk: &mut Desk, filled_in: &[(&str, &str)]) -> Page {
    let is_empty = |name: &&str| !filled_in.iter().any(|(filled, _)| filled == name);
    let empty = LIMITS.into_iter().filter(is_empty).map(|name| (name, ""));
    let fields: Vec<_> = empty.chain(filled_in.iter().copied()).collect();
    desk.send(PATH, &fields).await
}

#[tokio::test]
async fn budgets_are_typed_as_people_write_them_and_counted_in_minor_units() {
    let mut desk = Desk::new(PATH).await;
    let page = desk.open(PATH).await;
    assert_eq!(page.status, 200, "{}", page.html);
    assert_eq!(page.html.matches("No limit").count(), 4, "{}", page.html);
    assert!(
        page.policy()
            .starts_with("default-src 'none'; script-src 'nonce-")
    );

    let message = ("exceeded_message", "Enough for <today>.");
    let filled_in = [
        ("instance.day.tokens", "2,000,000"),
        ("instance.month.money", "12.5"),
        ("end_user.day.money", "0"),
        ("address.month.tokens", "7"),
        message,
    ];
    let saved = send(&mut desk, &filled_in).await;
    assert_eq!(
        (saved.status, saved.location),
        (303, format!("{PATH}?done=saved")),
        "{}",
        saved.html
    );
    let budgets = desk.stored("/budgets").await;
    assert_eq!(
        budgets["instance"],
        json!({"day": {"tokens": 2_000_000}, "month": {"money": 1_250}})
    );
    assert_eq!(
        budgets["end_user"],
        json!({"day": {"money": 0}, "month": {}})
    );
    assert_eq!(
        budgets["address"],
        json!({"day": {}, "month": {"tokens": 7}})
    );
    assert_eq!(budgets["exceeded_message"], "Enough for <today>.");

    let page = desk.open(&format!("{PATH}?done=saved")).await;
    for shown in [
        r#"name="instance.day.tokens" value="2000000""#,
        r#"name="instance.month.money" value="12.50""#,
        "Enough for &#60;today&#62;.",
        "2,000,000",
        "Saved.",
        "0 % spent",
    ] {
        assert!(page.html.contains(shown), "{shown}: {}", page.html);
    }
    assert_eq!(page.html.matches("No limit").count(), 2, "{}", page.html);
}

#[tokio::test]
async fn a_wrong_budget_is_named_and_nothing_is_saved() {
    let mut desk = Desk::new(PATH).await;
    let before = desk.stored("/budgets").await;
    let message = ("exceeded_message", "Enough.");
    let wrong = [
        ("instance.day.tokens", "many"),
        ("end_user.month.money", "1,50"),
        ("address.day.tokens", "-3"),
        ("instance.month.tokens", "500"),
        message,
    ];
    let refused = send(&mut desk, &wrong).await;
    assert_eq!(refused.status, 422);
    for (field, text) in &wrong[..3] {
        for part in [
            format!(r#"id="{field}-error""#),
            format!(r#"name="{field}" value="{text}" aria-invalid="true""#),
        ] {
            assert!(refused.html.contains(&part), "{part}: {}", refused.html);
        }
    }
    assert!(
        refused
            .html
            .contains(r#"name="instance.month.tokens" value="500">"#),
        "{}",
        refused.html
    );

    let far_too_many = [("instance.day.tokens", "99999999999999999"), message];
    let refused = send(&mut desk, &far_too_many).await;
    assert_eq!(refused.status, 422);
    assert!(
        refused.html.contains(r#"id="instance.day.tokens-error""#),
        "{}",
        refused.html
    );
    let speechless = send(&mut desk, &[("exceeded_message", " ")]).await;
    assert_eq!(speechless.status, 422);
    assert!(
        speechless.html.contains(r#"id="exceeded_message-error""#),
        "{}",
        speechless.html
    );
    let more = [("currency", "EUR"), message];
    assert_eq!(send(&mut desk, &more).await.status, 422);
    let foreign = [("form_token", ""), message];
    let refused = desk.browser.submit(&desk.server, PATH, &foreign).await;
    assert_eq!(refused.status, 403);
    assert_eq!(desk.stored("/budgets").await, before);
}

#[tokio::test]
async fn what_was_spent_stands_beside_its_limit_and_an_unknown_price_is_unknown() {
    let server = Server::start().await;
    let ai = FakeAi::start().await.unwrap();
    let client = TestInstance::create(&server, "Acme").await;
    client
        .add_model(&server, model_at(&ai.base_url(), "nobody-knows"))
        .await;
    let mut priced = model_at(&ai.base_url(), "fake");
    priced["name"] = json!("Priced");
    priced["input_price"] = json!(2.5);
    priced["output_price"] = json!(10);
    client.add_model(&server, priced).await;
    let chat = Conversation::begin(&server, &client).await;
    chat.answer("How many days?").await;
    let mut desk = Desk::of(server, client, PATH).await;
    let page = desk.open(PATH).await;
    assert!(
        page.html
            .contains(r#"<td class="figure">2.50</td><td class="figure">10.00</td>"#),
        "{}",
        page.html
    );
    assert!(
        page.html.contains(r#"<td class="figure">unknown</td>"#),
        "{}",
        page.html
    );
    assert!(
        page.html
            .contains("Without 2 calls whose price is unknown."),
        "{}",
        page.html
    );
    let used_up = [
        ("instance.day.tokens", "1"),
        ("instance.day.money", "5"),
        ("exceeded_message", "Enough."),
    ];
    assert_eq!(send(&mut desk, &used_up).await.status, 303);
    let page = desk.open(PATH).await;
    assert!(
        page.html.contains("Used up") && page.html.contains("100 % spent"),
        "{}",
        page.html
    );
    assert!(
        page.html
            .contains("nobody-knows) is not known, so it is not asked"),
        "{}",
        page.html
    );
}

#[tokio::test]
async fn agents_look_at_budgets_and_change_none() {
    let mut desk = Desk::new(PATH).await;
    let before = desk.stored("/budgets").await;
    desk.demote().await;
    let page = desk.open(PATH).await;
    assert_eq!(page.status, 200);
    assert!(
        page.html.contains("you may look") && !page.html.contains(">Save<"),
        "{}",
        page.html
    );
    let refused = send(&mut desk, &[("exceeded_message", "Mine.")]).await;
    assert_eq!(refused.status, 403);
    assert_eq!(desk.stored("/budgets").await, before);
}
