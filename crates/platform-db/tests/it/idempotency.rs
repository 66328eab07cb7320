//! The same request sent again gets the same answer, and its effect once.

use chrono::TimeDelta;
use stoa_platform_db::PgConnection;
use stoa_platform_db::idempotency_keys::{self, Begun, IdempotentRequest};

use crate::support::Ground;

const REQUEST: IdempotentRequest<'static> = IdempotentRequest {
    scope: "token-1 POST /instances",
    key: "k",
    request_hash: b"one",
};

async fn begin(
    ground: &Ground,
    connection: &mut PgConnection,
    request: &IdempotentRequest<'_>,
) -> Begun {
    let now = ground.now();
    let (locked, expires) = (now + TimeDelta::minutes(1), now + TimeDelta::hours(24));
    idempotency_keys::begin(connection, request, now, locked, expires)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_repetition_gets_the_first_answer_and_another_request_is_refused() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let other = IdempotentRequest {
        request_hash: b"two",
        ..REQUEST
    };
    let elsewhere = IdempotentRequest {
        scope: "token-2 POST /instances",
        ..REQUEST
    };
    assert_eq!(begin(&ground, &mut connection, &REQUEST).await, Begun::New);
    assert_eq!(
        begin(&ground, &mut connection, &REQUEST).await,
        Begun::InProgress
    );
    assert_eq!(
        begin(&ground, &mut connection, &elsewhere).await,
        Begun::New
    );
    assert!(
        idempotency_keys::finish(&mut connection, &REQUEST, 201, b"sealed")
            .await
            .unwrap()
    );
    assert!(
        !idempotency_keys::finish(&mut connection, &REQUEST, 500, b"again")
            .await
            .unwrap()
    );

    let answered = Begun::Answered {
        status: 201,
        response: b"sealed".to_vec(),
    };
    assert_eq!(begin(&ground, &mut connection, &REQUEST).await, answered);
    assert_eq!(
        begin(&ground, &mut connection, &other).await,
        Begun::Mismatch
    );

    ground.pass(TimeDelta::hours(24));
    assert_eq!(
        begin(&ground, &mut connection, &other).await,
        Begun::New,
        "forgotten"
    );
    assert_eq!(
        idempotency_keys::purge(&mut connection, ground.now())
            .await
            .unwrap(),
        1
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_key_comes_free_when_its_request_came_to_nothing_or_its_worker_died() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    assert_eq!(begin(&ground, &mut connection, &REQUEST).await, Begun::New);
    assert!(
        idempotency_keys::abandon(&mut connection, &REQUEST)
            .await
            .unwrap()
    );
    assert_eq!(begin(&ground, &mut connection, &REQUEST).await, Begun::New);
    ground.pass(TimeDelta::minutes(1));
    assert_eq!(
        begin(&ground, &mut connection, &REQUEST).await,
        Begun::New,
        "taken over"
    );
    drop(connection);
    ground.done().await;
}
