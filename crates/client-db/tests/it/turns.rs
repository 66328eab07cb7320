//! Chat turns: begun once, kept whatever happens, finished once.

use stoa_client_db::{
    ClientConnection, PageRequest, feedback, messages,
    messages::{FinishedAnswer, Message, NewTurn, TurnStart},
    sessions,
};
use stoa_domain::{
    FinishReason, MessageId, MessageRole, MessageState, Random, Rating, SessionId, SessionStatus,
    token::{SessionToken, TokenHash},
};

use crate::support::{Client, new, now};

pub async fn begin(
    connection: &ClientConnection,
    session: SessionId,
    token: &TokenHash,
    name: Option<&str>,
    content: &str,
) -> (MessageId, MessageId, Option<TurnStart>) {
    let (user_message, answer) = (new!(MessageId), new!(MessageId));
    let turn = NewTurn {
        session,
        token_hash: token,
        user_message,
        answer,
        client_message_id: name,
        content,
        history: 20,
        now: now(),
    };
    (
        user_message,
        answer,
        messages::begin_turn(connection, &turn).await.unwrap(),
    )
}

/// A message that is there.
pub async fn stored(connection: &ClientConnection, session: SessionId, id: MessageId) -> Message {
    let found = messages::find(connection, session, id).await.unwrap();
    found.expect("a message")
}

pub fn finished(content: &str) -> FinishedAnswer {
    FinishedAnswer {
        content: content.into(),
        reason: FinishReason::Stop,
        error_code: None,
        sources: serde_json::json!([{"sourceId": "1"}]),
        provider: Some("openai".into()),
        model: Some("a-model".into()),
        api_configuration_id: None,
        input_tokens: Some(12),
        output_tokens: Some(3),
        unanswered: false,
        steps: serde_json::json!([{"at": 7}]),
        cost_micros: Some(1_200),
        first_token_ms: Some(40),
        total_ms: Some(90),
        finished_at: now(),
    }
}

#[tokio::test]
async fn a_turn_stores_question_and_answer_and_knows_what_was_said_before() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let hash = token.hash();
    let connection = client.connection().await;

    let (question, answer, start) = begin(&connection, session, &hash, None, "How  much?\n").await;
    assert_eq!(
        start,
        Some(TurnStart::New {
            end_user: None,
            history: vec![],
            has_passages: false,
            known: messages::Known {
                locale: Some("en".into()),
                ..messages::Known::default()
            },
        })
    );
    let streaming = stored(&connection, session, answer).await;
    assert_eq!(
        (streaming.role, streaming.state),
        (MessageRole::Assistant, MessageState::Streaming)
    );
    assert_eq!(
        stored(&connection, session, question).await.content,
        "How  much?\n"
    );

    let steps = serde_json::json!([{"at": 4, "type": "text_end"}]);
    assert!(
        messages::save_partial(&connection, answer, "Twel", Some(&steps), now())
            .await
            .unwrap()
    );
    assert!(
        messages::finish(&connection, answer, &finished("Twelve."))
            .await
            .unwrap()
    );
    assert!(
        !messages::finish(&connection, answer, &finished("Other."))
            .await
            .unwrap()
    );
    assert!(
        !messages::save_partial(&connection, answer, "Late", None, now())
            .await
            .unwrap()
    );
    let last = stored(&connection, session, answer).await;
    assert_eq!(last.content, "Twelve.");
    assert_eq!(last.finish_reason, Some(FinishReason::Stop));
    assert_eq!(last.sources, serde_json::json!([{"sourceId": "1"}]));
    assert_eq!(last.steps, serde_json::json!([{"at": 7}]));
    assert_eq!(last.cost_micros, Some(1_200));

    let (_, _, start) = begin(&connection, session, &hash, None, "And two?").await;
    let Some(TurnStart::New { history, .. }) = start else {
        panic!("{start:?}")
    };
    let said: Vec<_> = history
        .iter()
        .map(|it| (it.role, it.content.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (MessageRole::User, "How  much?\n"),
            (MessageRole::Assistant, "Twelve.")
        ]
    );
    let session = sessions::find(&connection, session).await.unwrap().unwrap();
    assert_eq!(session.title.as_deref(), Some("How much?"));
}

#[tokio::test]
async fn another_token_another_session_and_no_session_are_alike() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let (_, other_token) = client.session().await;
    let connection = client.connection().await;
    let foreign = SessionToken::issue(client.target.instance, &Random::system()).hash();
    for (session, hash) in [
        (session, &foreign),
        (session, &other_token.hash()),
        (new!(SessionId), &token.hash()),
    ] {
        let (_, answer, start) = begin(&connection, session, hash, None, "x").await;
        assert_eq!(start, None);
        assert_eq!(
            messages::find(&connection, session, answer).await.unwrap(),
            None
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sending_the_same_message_many_times_at_once_stores_it_once() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    for round in 0..10 {
        let name = format!("message {round}");
        let sends = (0..5).map(|_| {
            let (name, hash) = (name.clone(), token.hash());
            let client = &client;
            async move {
                let connection = client.connection().await;
                begin(&connection, session, &hash, Some(&name), "Hello?").await
            }
        });
        let outcomes = futures_util::future::join_all(sends).await;
        let new: Vec<_> = outcomes
            .iter()
            .filter(|it| matches!(it.2, Some(TurnStart::New { .. })))
            .collect();
        assert_eq!(new.len(), 1, "one of them was first");
        let (question, answer, _) = new[0];
        for (_, _, start) in &outcomes {
            if let Some(TurnStart::Existing {
                user_message,
                answer: existing,
            }) = start
            {
                assert_eq!(user_message, question);
                assert_eq!(existing.as_ref().unwrap().id, *answer);
            }
        }
    }
    let connection = client.connection().await;
    let all = messages::list(
        &connection,
        session,
        &PageRequest {
            limit: 200,
            after: None,
        },
    );
    let all = all.await.unwrap().data;
    assert_eq!(all.len(), 20, "ten questions and ten answers");
    let roles: Vec<_> = all.iter().map(|it| it.role).collect();
    assert!(
        roles
            .chunks(2)
            .all(|it| it == [MessageRole::User, MessageRole::Assistant])
    );
}

#[tokio::test]
async fn sending_again_later_gives_the_answer_as_it_is_by_then() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let connection = client.connection().await;
    let hash = token.hash();
    let (_, answer, _) = begin(&connection, session, &hash, Some("a"), "Hello?").await;
    messages::finish(&connection, answer, &finished("Hello."))
        .await
        .unwrap();
    let (_, _, again) = begin(&connection, session, &hash, Some("a"), "Hello?").await;
    let Some(TurnStart::Existing {
        answer: Some(existing),
        ..
    }) = again
    else {
        panic!("{again:?}")
    };
    assert_eq!((existing.id, existing.content.as_str()), (answer, "Hello."));
    // The same name in another conversation is another message.
    let (other, other_token) = client.session().await;
    let (_, _, start) = begin(&connection, other, &other_token.hash(), Some("a"), "Hello?").await;
    assert!(matches!(start, Some(TurnStart::New { .. })));
}

#[tokio::test]
async fn a_person_who_took_over_is_not_talked_over_and_a_closed_conversation_opens_again() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let connection = client.connection().await;
    let hash = token.hash();
    let admin = uuid::Uuid::from_u128(7);
    assert!(
        sessions::assign(&connection, session, Some(admin))
            .await
            .unwrap()
    );
    let (_, answer, start) = begin(&connection, session, &hash, Some("a"), "Anybody?").await;
    assert_eq!(start, Some(TurnStart::HandedOver { end_user: None }));
    assert_eq!(
        messages::find(&connection, session, answer).await.unwrap(),
        None
    );
    let (_, _, again) = begin(&connection, session, &hash, Some("a"), "Anybody?").await;
    assert!(matches!(
        again,
        Some(TurnStart::Existing { answer: None, .. })
    ));
    let reply = new!(MessageId);
    let said =
        messages::add_agent_message(&connection, session, reply, Some(admin), "Yes.", now()).await;
    assert!(said.unwrap());

    assert!(sessions::close(&connection, session, now()).await.unwrap());
    let closed = sessions::find(&connection, session).await.unwrap().unwrap();
    assert_eq!(closed.status, SessionStatus::Closed);
    assert!(closed.closed_at.is_some());
    let (_, _, start) = begin(&connection, session, &hash, None, "One more thing").await;
    let Some(TurnStart::New { history, .. }) = start else {
        panic!("{start:?}")
    };
    assert_eq!(history.len(), 2, "the question and the person's reply");
    let open = sessions::find(&connection, session).await.unwrap().unwrap();
    assert_eq!((open.status, open.closed_at), (SessionStatus::Open, None));
}

#[tokio::test]
async fn a_verdict_is_taken_on_answers_of_the_same_conversation_only() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let (other, _) = client.session().await;
    let connection = client.connection().await;
    let (question, answer, _) = begin(&connection, session, &token.hash(), None, "a").await;
    let verdict = feedback::Feedback {
        rating: Rating::Down,
        comment: Some("wrong".into()),
    };
    assert!(
        !feedback::put(&connection, other, answer, &verdict, now())
            .await
            .unwrap()
    );
    assert!(
        !feedback::put(&connection, session, question, &verdict, now())
            .await
            .unwrap()
    );
    assert!(
        feedback::put(&connection, session, answer, &verdict, now())
            .await
            .unwrap()
    );
    let better = feedback::Feedback {
        rating: Rating::Up,
        comment: None,
    };
    assert!(
        feedback::put(&connection, session, answer, &better, now())
            .await
            .unwrap()
    );
    assert_eq!(
        feedback::find(&connection, session, answer).await.unwrap(),
        Some(better)
    );
    assert_eq!(
        feedback::find(&connection, other, answer).await.unwrap(),
        None
    );
}
