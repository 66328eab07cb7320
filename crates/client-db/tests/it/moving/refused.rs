//! What a move refuses, gives way to and takes back.

use std::time::Duration;

use stoa_client_db::{
    ClientDbError,
    moving::{self, MovingError, Ticket},
};

use super::{Pair, Work, ticket};
use crate::support::{new_id, psql};

#[tokio::test]
async fn an_earlier_worker_is_refused_and_rows_of_others_are_not_mixed_in() {
    let pair = Pair::new().await;
    let older = ticket(4);
    let newer = Ticket { token: 5, ..older };
    let mut early = Work::on(&pair, older).await.unwrap();
    early.open().await.unwrap();
    let mut later = Work::on(&pair, newer).await.unwrap();
    later.open().await.unwrap();
    let late = early.open().await;
    assert!(matches!(late, Err(MovingError::Superseded)), "{late:?}");
    early.capture().await.unwrap();
    let late = early.copy().await;
    assert!(matches!(late, Err(MovingError::Superseded)), "{late:?}");
    drop((early, later));

    pair.destination
        .ask("INSERT INTO stoa.rag_instructions VALUES (true, '{}', now())")
        .await;
    let mut another = Work::on(&pair, ticket(9)).await.unwrap();
    let other = another.open().await;
    assert!(
        matches!(&other, Err(MovingError::NotEmpty { table }) if table == "rag_instructions"),
        "{other:?}"
    );
}

#[tokio::test]
async fn what_is_called_off_leaves_nothing_behind() {
    let pair = Pair::new().await;
    let objects =
        "SELECT count(*), (SELECT count(*) FROM pg_proc WHERE pronamespace = 'stoa'::regnamespace),
                          (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal)
                   FROM pg_class WHERE relnamespace = 'stoa'::regnamespace";
    let before = pair.source.ask(objects).await;
    let mut work = Work::captured(&pair, ticket(1)).await;
    let truncated = psql(&pair.source.url, "TRUNCATE stoa.webhooks")
        .await
        .unwrap_err();
    assert!(truncated.contains("is being moved"), "{truncated}");
    work.progress.call_off();
    let called_off = work.copy().await;
    assert!(matches!(called_off, Err(MovingError::CalledOff)));
    let plan = work.plan;
    drop((work.source, work.destination));
    let mut source = pair.source.connection().await;
    moving::release(&mut source).await.unwrap();
    moving::release(&mut source).await.unwrap();
    assert_eq!(pair.source.ask(objects).await, before);

    let mut destination = pair.destination.connection().await;
    let other = moving::take_down(&mut destination, &plan, new_id()).await;
    assert!(matches!(other, Err(ClientDbError::Mismatch)), "{other:?}");
    drop(destination);
    let mut destination = pair.destination.connection().await;
    moving::take_down(&mut destination, &plan, pair.instance)
        .await
        .unwrap();
    let gone = "SELECT to_regnamespace('stoa') IS NULL";
    assert_eq!(pair.destination.ask(gone).await, "t");
}

#[tokio::test]
async fn a_long_transaction_is_given_way_to_and_a_difference_is_found() {
    let pair = Pair::new().await;
    let ticket = ticket(1);
    let mut work = Work::captured(&pair, ticket).await;
    work.copy().await.unwrap();
    // Somebody changes a row where nobody should.
    pair.destination
        .ask("UPDATE stoa.client_analytics SET value = 0.10000000000000002 WHERE metric = 'messages'")
        .await;
    let round = work.catch_up().await;
    assert!(
        matches!(&round, Err(MovingError::Differs { table }) if table == "client_analytics"),
        "{round:?}"
    );
    drop(work);
    // Beginning anew mends it.
    let mut work = Work::on(&pair, ticket).await.unwrap();
    work.copy().await.unwrap();
    work.catch_up().await.unwrap();
    let url = pair.source.url.clone();
    let long = "BEGIN; UPDATE stoa.client_users SET name = 'long'; SELECT pg_sleep(2); COMMIT";
    let holder = tokio::spawn(async move { psql(&url, long).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let in_use = work.depart().await;
    assert!(matches!(in_use, Err(MovingError::InUse)), "{in_use:?}");
    holder.await.unwrap().unwrap();
    drop(work);
    pair.go(ticket).await.unwrap();
    pair.require_moved().await;
}
