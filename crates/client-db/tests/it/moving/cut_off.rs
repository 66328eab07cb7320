//! A move that is cut off wherever it can be goes on, and loses nothing.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use stoa_client_db::{
    ClientDbError,
    moving::{MovingError, Ticket},
};

use super::Pair;
use crate::support::{new, psql};

/// Cuts a future off after so many polls, as a process that dies cuts off what it does.
struct CutOff<F> {
    future: F,
    polls: u32,
}

impl<F: Future + Unpin> Future for CutOff<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.polls == 0 {
            return Poll::Ready(None);
        }
        self.polls -= 1;
        Pin::new(&mut self.future).poll(cx).map(Some)
    }
}

/// Writes all the time as replicas do: to the source, and where that refuses, to the destination.
/// Gives how many it was told are kept.
async fn traffic(source: String, destination: String, stop: Arc<AtomicBool>, kept: Arc<AtomicI64>) {
    let mut url = source;
    while !stop.load(Ordering::Relaxed) {
        let number = kept.load(Ordering::Relaxed) + 1;
        let sql = format!(
            "INSERT INTO stoa.client_users VALUES (gen_random_uuid(), 'visitor {number}', NULL, NULL, true, false, '{{}}', now(), now());
             UPDATE stoa.client_users SET name = '{number}' WHERE external_id = 'person 1'"
        );
        match psql(&url, &sql).await {
            Ok(_) => {
                kept.store(number, Ordering::Relaxed);
            }
            Err(refused) => {
                assert!(refused.contains("moved to another database"), "{refused}");
                url.clone_from(&destination);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn cut_off_anywhere_it_goes_on_and_loses_nothing_that_was_kept() {
    let pair = Pair::new().await;
    let id = new!(MoveId);
    let (stop, kept) = (Arc::default(), Arc::default());
    let writer = tokio::spawn(traffic(
        pair.source.url.clone(),
        pair.destination.url.clone(),
        Arc::clone(&stop),
        Arc::clone(&kept),
    ));
    let mut cuts = 0;
    for token in 1.. {
        // By a number that shares nothing with the polls of a step, so that each step is cut somewhere.
        let polls = u32::try_from(token).unwrap() * 11;
        let work = pin!(pair.go(Ticket { id, token }));
        let cut = CutOff {
            future: work,
            polls,
        };
        match cut.await {
            Some(Ok(())) => break,
            // A table is in use for a moment, or the connection that was cut off still holds it.
            Some(Err(MovingError::InUse | MovingError::Source(ClientDbError::Statement(_))))
            | None => {
                cuts += 1;
            }
            Some(Err(MovingError::Destination(ClientDbError::Statement(error)))) => {
                assert_eq!(error.sqlstate, "55P03", "{error}");
            }
            Some(Err(error)) => panic!("{error:?}"),
        }
        assert!(token < 2_000, "the move does not come to its end");
    }
    assert!(cuts > 8, "cut off {cuts} times only");
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    let kept = kept.load(Ordering::Relaxed);
    let counted = "SELECT count(*), count(DISTINCT external_id) FROM stoa.client_users WHERE external_id LIKE 'visitor %'";
    assert_eq!(
        pair.destination.ask(counted).await,
        format!("{kept}|{kept}")
    );
    let old: i64 = pair
        .source
        .ask("SELECT count(*) FROM stoa.client_users WHERE external_id LIKE 'visitor %'")
        .await
        .parse()
        .unwrap();
    assert!(
        old < kept,
        "{old} of {kept}: nothing was written after the move"
    );
}
