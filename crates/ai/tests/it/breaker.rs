//! What fails again and again is spared, over real sockets.

use std::time::Duration;

use stoa_ai::AiErrorCode;
use stoa_fake_ai::FakeAi;

use crate::{WIRES, ai, impatient, question};

#[tokio::test]
async fn an_endpoint_that_fails_in_a_row_is_not_asked_for_a_while() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        fake.clear_requests();
        let ai = ai();
        for _ in 0..8 {
            let error = wire.ask(&ai, &fake, "error=503").await.unwrap_err();
            assert_eq!(error.code(), AiErrorCode::Overloaded);
        }
        assert_eq!(fake.count(), 3, "{}", wire.name);
        // Another model of the same provider is another matter.
        assert!(wire.ask(&ai, &fake, "").await.is_ok(), "{}", wire.name);
        // After the rest one call sees, and the breaker closes.
        tokio::time::sleep(Duration::from_millis(1_100)).await;
        fake.clear_requests();
        assert!(wire.ask(&ai, &fake, "error=503").await.is_err());
        assert_eq!(fake.count(), 1, "{}", wire.name);
    }
}

#[tokio::test]
async fn a_wait_that_was_asked_for_is_kept_to_at_once() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        fake.clear_requests();
        let ai = ai();
        for _ in 0..3 {
            let behaviour = "error=429,retry_after=30";
            let error = wire.ask(&ai, &fake, behaviour).await.unwrap_err();
            let wait = error.retry_after().unwrap();
            assert!(
                (Duration::from_secs(25)..=Duration::from_secs(30)).contains(&wait),
                "{wait:?}"
            );
        }
        assert_eq!(fake.count(), 1, "{}", wire.name);
    }
}

#[tokio::test]
async fn silence_is_waited_for_only_so_often() {
    let fake = FakeAi::start().await.unwrap();
    let ai = impatient();
    for _ in 0..6 {
        let error = WIRES[0].ask(&ai, &fake, "hang").await.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Timeout);
    }
    assert_eq!(fake.count(), 3);
}

#[tokio::test]
async fn a_bad_key_opens_none_and_a_test_that_passes_closes_one() {
    let fake = FakeAi::start().await.unwrap();
    let ai = ai();
    for _ in 0..5 {
        WIRES[0].ask(&ai, &fake, "error=401").await.unwrap_err();
    }
    assert_eq!(
        fake.count(),
        5,
        "whoever mends the key sees it work at once"
    );
    for _ in 0..5 {
        WIRES[0]
            .ask(&ai, &fake, "error=503,times=3")
            .await
            .unwrap_err();
    }
    assert_eq!(fake.count(), 8);
    let request = question("fake:error=503,times=3");
    let endpoint = WIRES[0].endpoint(&fake);
    assert!(ai.complete(&endpoint, &request).await.is_ok());
    assert!(ai.stream(&endpoint, &request).await.is_ok());
}
