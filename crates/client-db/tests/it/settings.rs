//! Settings, providers, people, and answers that are given twice.

use std::time::Duration;

use stoa_client_db::{
    ClientDbError, api_configurations, api_configurations::ApiConfigurationSettings, end_users,
    idempotency, live_configurations, rag_instructions,
};
use stoa_domain::{LiveConfiguration, Provider, RagInstructions};

use crate::support::{Client, new, now};

#[tokio::test]
async fn every_change_of_the_settings_is_a_version() {
    let client = Client::new().await;
    let connection = client.connection().await;
    assert_eq!(
        live_configurations::current(&connection).await.unwrap(),
        None
    );
    let mut settings = LiveConfiguration::default();
    for version in 1..=3 {
        settings.display.bot_name = format!("Bot {version}");
        let put = live_configurations::put(&connection, &settings, Some("ada@x.org"), now()).await;
        assert_eq!(put.unwrap(), version);
    }
    for (based_on, made) in [(2, None), (3, Some(4)), (3, None)] {
        settings.display.bot_name = format!("Bot after {based_on}");
        let put =
            live_configurations::put_after(&connection, based_on, &settings, None, now()).await;
        assert_eq!(put.unwrap(), made, "based on {based_on}");
    }
    let current = live_configurations::current(&connection)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (current.version, current.settings.display.bot_name.as_str()),
        (4, "Bot after 3")
    );
    let second = live_configurations::version(&connection, 2)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(second.settings.display.bot_name, "Bot 2");
    assert_eq!(
        live_configurations::version(&connection, 9).await.unwrap(),
        None
    );
    let versions = live_configurations::versions(&connection).await.unwrap();
    assert_eq!(
        versions.iter().map(|it| it.version).collect::<Vec<_>>(),
        [4, 3, 2, 1]
    );
}

#[tokio::test]
async fn instructions_are_replaced_whole() {
    let client = Client::new().await;
    let connection = client.connection().await;
    assert_eq!(rag_instructions::get(&connection).await.unwrap(), None);
    for top_k in [3, 7] {
        let instructions = RagInstructions {
            top_k,
            ..RagInstructions::default()
        };
        rag_instructions::put(&connection, &instructions, now())
            .await
            .unwrap();
        assert_eq!(
            rag_instructions::get(&connection).await.unwrap(),
            Some(instructions)
        );
    }
}

fn provider(name: &str, priority: i32) -> ApiConfigurationSettings {
    ApiConfigurationSettings {
        name: name.into(),
        provider: Provider::Openai,
        model: "a-model".into(),
        sealed: Some(vec![1, 2, 3]),
        key_hint: Some("abcd".into()),
        has_base_url: false,
        embedding_model: None,
        temperature: Some(0.2),
        max_output_tokens: Some(500),
        priority,
        enabled: true,
        input_price: Some(0.15),
        output_price: None,
    }
}

#[tokio::test]
async fn what_quotes_documents_comes_after_models_of_the_same_priority() {
    let client = Client::new().await;
    let connection = client.connection().await;
    for (name, priority, is_model) in [
        ("quotes first", 0, false),
        ("quotes", 1, false),
        ("model", 1, true),
        ("last", 2, true),
    ] {
        let mut settings = provider(name, priority);
        if !is_model {
            settings.provider = stoa_domain::Provider::Passages;
        }
        api_configurations::insert(&connection, new!(ApiConfigurationId), &settings, now())
            .await
            .unwrap();
    }
    let order: Vec<_> = api_configurations::list(&connection)
        .await
        .unwrap()
        .into_iter()
        .map(|it| it.settings.name)
        .collect();
    assert_eq!(order, ["quotes first", "model", "quotes", "last"]);
}

#[tokio::test]
async fn a_test_counts_for_what_was_tested_and_no_longer() {
    let client = Client::new().await;
    let connection = client.connection().await;
    let (first, second) = (new!(ApiConfigurationId), new!(ApiConfigurationId));
    api_configurations::insert(&connection, second, &provider("b", 2), now())
        .await
        .unwrap();
    api_configurations::insert(&connection, first, &provider("a", 1), now())
        .await
        .unwrap();
    let order: Vec<_> = api_configurations::list(&connection)
        .await
        .unwrap()
        .iter()
        .map(|it| it.id)
        .collect();
    assert_eq!(order, [first, second]);
    let tested = api_configurations::find(&connection, first)
        .await
        .unwrap()
        .unwrap();

    assert!(
        api_configurations::record_test(&connection, first, tested.updated_at, None, now())
            .await
            .unwrap()
    );
    let mut settings = provider("renamed", 1);
    assert!(
        api_configurations::update(&connection, first, &settings, now())
            .await
            .unwrap()
    );
    let stored = api_configurations::find(&connection, first)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((stored.test_ok, &stored.settings), (Some(true), &settings));
    settings.sealed = Some(vec![9]);
    assert!(
        api_configurations::update(&connection, first, &settings, now())
            .await
            .unwrap()
    );
    let stored = api_configurations::find(&connection, first)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((stored.test_ok, stored.tested_at), (None, None));
    let outdated =
        api_configurations::record_test(&connection, first, tested.updated_at, None, now()).await;
    assert!(!outdated.unwrap(), "what was tested is not what is stored");
    let failed = api_configurations::record_test(
        &connection,
        first,
        stored.updated_at,
        Some("bad_key"),
        now(),
    )
    .await;
    assert!(failed.unwrap());
    let stored = api_configurations::find(&connection, first)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (stored.test_ok, stored.test_error.as_deref()),
        (Some(false), Some("bad_key"))
    );

    assert!(
        api_configurations::delete(&connection, first)
            .await
            .unwrap()
    );
    assert!(
        !api_configurations::delete(&connection, first)
            .await
            .unwrap()
    );
    let gone = api_configurations::update(&connection, first, &settings, now()).await;
    assert!(!gone.unwrap());
}

#[tokio::test]
async fn a_stranger_cannot_rename_a_person_who_was_vouched_for() {
    let client = Client::new().await;
    let connection = client.connection().await;
    let seen = |name, verified| end_users::SeenEndUser {
        id: new!(EndUserId),
        external_id: "customer-7",
        name,
        email: None,
        verified,
        now: now(),
    };
    let first = end_users::upsert(&connection, &seen(Some("Guest"), false))
        .await
        .unwrap();
    let second = end_users::upsert(&connection, &seen(Some("Ada"), true))
        .await
        .unwrap();
    assert_eq!(
        (second.id, second.name.as_deref(), second.verified),
        (first.id, Some("Ada"), true)
    );
    let third = end_users::upsert(&connection, &seen(Some("Mallory"), false))
        .await
        .unwrap();
    assert_eq!((third.name.as_deref(), third.verified), (Some("Ada"), true));
    assert_eq!(
        end_users::find(&connection, first.id).await.unwrap(),
        Some(third)
    );
    assert_eq!(
        end_users::find(&connection, new!(EndUserId)).await.unwrap(),
        None
    );
}

#[tokio::test]
async fn the_first_answer_to_a_key_stands_until_it_expires() {
    use idempotency::{Begun, IdempotentRequest, Since};
    let client = Client::new().await;
    let connection = client.connection().await;
    let (day, minute) = (Duration::from_secs(86_400), Duration::from_secs(60));
    let start = now();
    let request = |scope, request_hash| IdempotentRequest {
        scope,
        key: "k",
        request_hash,
    };
    let begin = async |request, at: chrono::DateTime<chrono::Utc>| {
        let since = Since {
            answered: at - day,
            claimed: at - minute,
        };
        idempotency::begin(&connection, &request, since, at)
            .await
            .unwrap()
    };
    let first = request("POST /documents", &[7; 32]);
    assert_eq!(begin(first, start).await, Begun::New);
    assert_eq!(begin(first, start).await, Begun::InProgress);
    let other = request("POST /documents", &[8; 32]);
    assert_eq!(begin(other, start).await, Begun::Mismatch);
    assert_eq!(
        begin(request("POST /other", &[7; 32]), start).await,
        Begun::New
    );

    // Given back, and taken over from a process that died.
    assert!(idempotency::abandon(&connection, &first).await.unwrap());
    assert_eq!(begin(first, start).await, Begun::New);
    assert_eq!(begin(first, start + minute * 2).await, Begun::New);

    let answer = serde_json::json!({"id": 1});
    assert!(
        idempotency::finish(&connection, &first, 201, &answer)
            .await
            .unwrap()
    );
    assert!(!idempotency::abandon(&connection, &first).await.unwrap());
    let answered = Begun::Answered {
        status: 201,
        response: answer,
    };
    assert_eq!(begin(first, start + minute * 5).await, answered);
    assert_eq!(begin(other, start + minute * 5).await, Begun::Mismatch);
    assert_eq!(begin(other, start + day * 2).await, Begun::New);
    let later = start + day * 3;
    assert_eq!(idempotency::sweep(&connection, later).await.unwrap(), 2);
}

#[tokio::test]
async fn an_id_that_is_taken_is_a_conflict_that_names_its_constraint() {
    let client = Client::new().await;
    let connection = client.connection().await;
    let id = new!(ApiConfigurationId);
    api_configurations::insert(&connection, id, &provider("a", 1), now())
        .await
        .unwrap();
    let error = api_configurations::insert(&connection, id, &provider("b", 1), now()).await;
    assert!(
        matches!(&error, Err(ClientDbError::Conflict { constraint }) if constraint == "api_configurations_pkey"),
        "{error:?}"
    );
}
