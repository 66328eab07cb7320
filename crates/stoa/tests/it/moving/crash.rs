//! `kill -9` of the program again and again while a database moves and a visitor writes: the move
//! comes to its end by itself, and what was acknowledged is there once.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use stoa_fake_ai::FakeAi;

use super::{ask, begin_move, latest_move, managed_database, number, own_database};
use crate::support::{Serving, TestInstance, execute, model_at, on_managed_cluster};

#[tokio::test(flavor = "multi_thread")]
async fn a_move_survives_a_process_that_is_killed_again_and_again() {
    let fake = FakeAi::start().await.unwrap();
    let mut program = on_managed_cluster().await;
    let platform = program.value("PLATFORM_DATABASE_URL").to_owned();
    let own = own_database().await;
    let mut client: Option<(TestInstance, String, String)> = None;
    let (mut acknowledged, mut phases) = (0, Vec::new());
    for attempt in 0_u64.. {
        assert!(
            attempt < 60,
            "the move does not come to its end: {phases:?}"
        );
        let (serving, started) = Serving::start(program, &["serve"]);
        program = started;
        let server = serving.caller(&program);
        if client.is_none() {
            let made = TestInstance::create(&server, "Unlucky").await;
            made.add_model(&server, model_at(&fake.base_url(), "fake"))
                .await;
            let (session, token) = made.session(&server).await;
            let fill = format!(
                "INSERT INTO stoa.chat_messages (id, session_id, role, state, content, created_at, updated_at, finished_at)
                 SELECT gen_random_uuid(), '{session}', 'agent', 'complete', repeat('words ', 200), now(), now(), now()
                 FROM generate_series(1, 4000)"
            );
            execute(&managed_database(&made), &fill).await;
            begin_move(&server, &made, json!({ "url": own, "move": true })).await;
            client = Some((made, session, token));
        }
        let (made, session, token) = client.as_ref().unwrap();
        // The lease of the process that was killed would run out in a minute.
        let mut connection = PgConnection::connect(&platform).await.unwrap();
        sqlx::raw_sql("UPDATE stoa_platform.jobs SET lease_until = now() WHERE state = 'running'; NOTIFY stoa_signals, '{\"kind\":\"job_ready\"}'")
            .execute(&mut connection)
            .await
            .unwrap();
        ask(&server, token, session, &format!("question {attempt}"))
            .await
            .unwrap();
        acknowledged += 1;
        // A little longer each time, so that every part of the move is cut somewhere.
        tokio::time::sleep(Duration::from_millis(40 * attempt)).await;
        let latest = latest_move(&server, made).await;
        phases.push(latest["phase"].as_str().unwrap().to_owned());
        serving.end_by(rustix::process::Signal::KILL);
        if latest["phase"] == "done" {
            break;
        }
    }
    println!("killed in {phases:?}");
    let (serving, program) = Serving::start(program, &["serve"]);
    let server = serving.caller(&program);
    let (made, session, token) = client.as_ref().unwrap();
    ask(&server, token, session, "last").await.unwrap();
    acknowledged += 1;
    let latest: Value = latest_move(&server, made).await;
    assert_eq!(latest["phase"], "done", "{latest}");
    serving.end_by(rustix::process::Signal::TERM);
    let questions = "SELECT count(*) FROM stoa.chat_messages WHERE role = 'user'";
    assert_eq!(number(&own, questions).await, acknowledged);
    assert_eq!(
        number(
            &own,
            "SELECT count(*) FROM stoa.chat_messages WHERE role = 'agent'"
        )
        .await,
        4_000
    );
    assert!(number(&managed_database(made), questions).await < acknowledged);
    let attempts = "SELECT attempt::bigint FROM stoa_platform.jobs WHERE kind = 'database.move'";
    assert!(
        number(&platform, attempts).await >= 2,
        "it was cut off at least once"
    );
}
