//! Who stops listening hangs up.

use std::time::{Duration, Instant};

use stoa_fake_ai::FakeAi;

use crate::{WIRES, ai, question};

async fn hung_up(fake: &FakeAi) -> (usize, Duration) {
    let started = Instant::now();
    loop {
        if let Some(token) = fake
            .requests()
            .last()
            .and_then(|it| it.disconnected_at_token)
        {
            return (token, started.elapsed());
        }
        assert!(
            started.elapsed() < Duration::from_secs(3),
            "{:?}",
            fake.requests()
        );
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn dropping_the_stream_closes_the_connection_at_once() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        for behaviour in ["hang_after=3", "rate=20,tokens=1000", "tokens=1000000000"] {
            let request = question(&format!("fake:{behaviour}"));
            let mut stream = ai().stream(&wire.endpoint(&fake), &request).await.unwrap();
            stream.next().await.unwrap().unwrap();
            drop(stream);
            let (_, took) = hung_up(&fake).await;
            assert!(
                took < Duration::from_millis(500),
                "{}: {behaviour}: {took:?}",
                wire.name
            );
            fake.clear_requests();
        }
    }
}

#[tokio::test]
async fn giving_up_before_the_first_token_closes_it_too() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        for behaviour in ["hang", "hang_after=0", "delay=60000"] {
            let request = question(&format!("fake:{behaviour}"));
            let (ai, endpoint) = (ai(), wire.endpoint(&fake));
            let asked = ai.stream(&endpoint, &request);
            let has_come = async {
                while fake.count() == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            };
            tokio::select! {
                _ = asked => unreachable!("{behaviour}: there is no first token"),
                () = has_come => {}
            }
            assert_eq!(hung_up(&fake).await.0, 0, "{}: {behaviour}", wire.name);
            fake.clear_requests();
        }
    }
}
