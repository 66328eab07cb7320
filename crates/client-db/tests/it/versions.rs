//! Versions of an answer, the running summary, and a database that knows neither yet.

use stoa_client_db::{
    ClientConnection, PageRequest, messages,
    messages::{Again, FinishedAnswer, NewSummary, NewTurn, NewVersion, TurnStart},
    sessions,
};
use stoa_domain::{
    FinishReason, MessageId, MessageState, SessionId,
    token::{SessionToken, TokenHash},
};

use crate::support::{Client, new, now};

fn finished(content: &str, unanswered: bool) -> FinishedAnswer {
    FinishedAnswer {
        content: content.into(),
        reason: FinishReason::Stop,
        error_code: None,
        sources: serde_json::json!([]),
        provider: None,
        model: None,
        api_configuration_id: None,
        input_tokens: None,
        output_tokens: None,
        unanswered,
        steps: serde_json::json!([]),
        cost_micros: None,
        first_token_ms: None,
        total_ms: None,
        finished_at: now(),
    }
}

/// A question with its finished answer; gives the answer's id and what was said before.
async fn turn(
    connection: &ClientConnection,
    session: SessionId,
    token: &TokenHash,
    question: &str,
    answer: &str,
) -> (MessageId, TurnStart) {
    let id = new!(MessageId);
    let new = NewTurn {
        session,
        token_hash: token,
        user_message: new!(MessageId),
        answer: id,
        client_message_id: None,
        content: question,
        history: 20,
        now: now(),
    };
    let start = messages::begin_turn(connection, &new)
        .await
        .unwrap()
        .unwrap();
    let end = finished(answer, false);
    assert!(messages::finish(connection, id, &end).await.unwrap());
    (id, start)
}

async fn again(
    connection: &ClientConnection,
    of: MessageId,
    token: &TokenHash,
) -> (MessageId, Option<Again>) {
    let answer = new!(MessageId);
    let version = NewVersion {
        of,
        token_hash: token,
        answer,
        history: 20,
        now: now(),
    };
    (
        answer,
        messages::begin_again(connection, &version).await.unwrap(),
    )
}

fn said(start: &TurnStart) -> Vec<String> {
    let TurnStart::New { history, .. } = start else {
        panic!("{start:?}")
    };
    history.iter().map(|it| it.content.clone()).collect()
}

const ALL: PageRequest = PageRequest {
    limit: 50,
    after: None,
};

#[tokio::test]
async fn a_new_version_takes_the_place_of_the_last_answer_and_the_old_one_is_kept() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let hash = token.hash();
    let connection = client.connection().await;
    turn(&connection, session, &hash, "q1", "a1").await;
    let (old, _) = turn(&connection, session, &hash, "q2", "a2 broke o").await;

    let at = async || {
        let found = sessions::find(&connection, session).await.unwrap();
        found.unwrap().last_message_at
    };
    let before = at().await;
    let (newer, begun) = again(&connection, old, &hash).await;
    assert!(at().await > before, "somebody was active");
    let Some(Again::New {
        question, history, ..
    }) = begun
    else {
        panic!("{begun:?}")
    };
    assert_eq!(question, "q2");
    let before: Vec<_> = history.iter().map(|it| it.content.as_str()).collect();
    assert_eq!(before, ["q1", "a1"], "what was said before the question");
    let (_, twice) = again(&connection, old, &hash).await;
    assert!(
        matches!(&twice, Some(Again::Newer(message)) if message.id == newer && message.state == MessageState::Streaming),
        "{twice:?}"
    );
    let (_, unfinished) = again(&connection, newer, &hash).await;
    assert_eq!(unfinished, Some(Again::Refused), "it is being written");
    assert!(
        messages::finish(&connection, newer, &finished("a2 whole", true))
            .await
            .unwrap()
    );

    let shown = messages::list(&connection, session, &ALL)
        .await
        .unwrap()
        .data;
    let contents: Vec<_> = shown.iter().map(|it| it.content.as_str()).collect();
    assert_eq!(contents, ["q1", "a1", "q2", "a2 whole"]);
    assert!(shown[3].unanswered && !shown[1].unanswered);
    let versions = messages::list_versions(&connection, session, &ALL)
        .await
        .unwrap()
        .data;
    let contents: Vec<_> = versions.iter().map(|it| it.content.as_str()).collect();
    assert_eq!(contents, ["q1", "a1", "q2", "a2 broke o", "a2 whole"]);
    assert_eq!(versions[3].superseded_by, Some(newer));

    let (_, start) = turn(&connection, session, &hash, "q3", "a3").await;
    assert_eq!(said(&start), ["q1", "a1", "q2", "a2 whole"]);
    let (_, too_late) = again(&connection, newer, &hash).await;
    assert_eq!(
        too_late,
        Some(Again::Refused),
        "it is not the last answer any more"
    );
    let stranger = SessionToken::issue(client.target.instance, &stoa_domain::Random::system());
    let (_, strangers) = again(&connection, newer, &stranger.hash()).await;
    assert_eq!(strangers, None);
}

#[tokio::test]
async fn of_many_who_ask_for_a_new_version_at_once_one_makes_it() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let hash = token.hash();
    let (old, _) = turn(&*client.connection().await, session, &hash, "q", "a").await;
    let asked = (0..8).map(|_| async {
        let connection = client.connection().await;
        again(&connection, old, &hash).await
    });
    let outcomes = futures_util::future::join_all(asked).await;
    let made: Vec<_> = outcomes
        .iter()
        .filter(|(_, it)| matches!(it, Some(Again::New { .. })))
        .map(|(id, _)| *id)
        .collect();
    assert_eq!(made.len(), 1, "{outcomes:?}");
    for (_, outcome) in &outcomes {
        match outcome {
            Some(Again::New { .. }) => {}
            Some(Again::Newer(message)) => assert_eq!(message.id, made[0]),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_summary_stands_for_what_it_covers_and_never_goes_back() {
    let client = Client::new().await;
    let (session, token) = client.session().await;
    let hash = token.hash();
    let connection = client.connection().await;
    for number in 1..=3 {
        turn(
            &connection,
            session,
            &hash,
            &format!("q{number}"),
            &format!("a{number}"),
        )
        .await;
    }
    let (_, start) = turn(&connection, session, &hash, "q4", "a4").await;
    let TurnStart::New { history, .. } = &start else {
        panic!("{start:?}")
    };
    let through = history[3].position;
    let (summary, to_fold) = messages::said_between(&connection, session, through, 50)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(summary, None);
    let contents: Vec<_> = to_fold.iter().map(|it| it.content.as_str()).collect();
    assert_eq!(contents, ["q1", "a1", "q2", "a2"]);

    let keep = |text, through| {
        let summary = NewSummary {
            session,
            text,
            through,
        };
        let connection = &connection;
        async move { messages::keep_summary(connection, &summary).await.unwrap() }
    };
    assert!(keep("two turns", through).await);
    assert!(
        !keep("one turn", history[1].position).await,
        "a later one does not go back"
    );
    assert_eq!(
        messages::said_between(&connection, session, through, 50)
            .await
            .unwrap(),
        None
    );
    let (_, start) = turn(&connection, session, &hash, "q5", "a5").await;
    assert_eq!(said(&start), ["q3", "a3", "q4", "a4"]);
    let TurnStart::New { known, .. } = start else {
        panic!()
    };
    assert_eq!(known.summary.as_deref(), Some("two turns"));
}
