//! The audit log cannot be changed by its users, and shows when its keeper changed it.

use chrono::TimeDelta;
use serde_json::json;
use sqlx::Executor;
use stoa_domain::{AuditEntryId, InstanceId};
use stoa_platform_db::audit_log::{self, Actor, Filter, NewAuditEntry, Verdict};

use crate::support::Ground;

fn entry(ground: &Ground, instance: Option<InstanceId>) -> NewAuditEntry {
    ground.pass(TimeDelta::microseconds(1));
    NewAuditEntry {
        id: AuditEntryId::generate(&ground.clock, &ground.random),
        at: ground.now(),
        actor: Actor::command_line(),
        action: "instance.suspended".to_owned(),
        target_kind: "instance".to_owned(),
        target_id: "acme".to_owned(),
        instance,
        address: Some("2001:db8::1".parse().unwrap()),
        reason: Some("unpaid".to_owned()),
        // What a JSON database type would write differently: order, floats, escapes.
        details: json!({ "z": 1e300, "a": -0.0, "ü": "\u{1}“”", "n": [null, 1.50] }),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_written_at_once_make_one_chain_without_gaps() {
    let ground = Ground::new().await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (db, entries) = (
            ground.database.db.clone(),
            [(); 10].map(|()| entry(&ground, None)),
        );
        writers.spawn(async move {
            for entry in entries {
                let mut transaction = db.begin().await.unwrap();
                audit_log::append(&mut transaction, &entry).await.unwrap();
                transaction.commit().await.unwrap();
            }
        });
    }
    writers.join_all().await;

    let mut connection = ground.connection().await;
    let head = audit_log::head(&mut connection).await.unwrap();
    assert_eq!(head.position, 80);
    assert_eq!(
        audit_log::verify(&mut connection).await.unwrap(),
        Verdict::Intact(head)
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn lines_are_read_as_they_were_written_and_by_instance() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    assert_eq!(audit_log::head(&mut connection).await.unwrap().position, 0);
    let (ours, theirs) = (entry(&ground, Some(instance)), entry(&ground, None));
    for new in [&theirs, &ours, &theirs_again(&theirs, &ground)] {
        audit_log::append(&mut connection, new).await.unwrap();
    }

    let filter = Filter {
        instance: Some(instance),
        limit: 10,
        ..Filter::default()
    };
    let page = audit_log::list(&mut connection, &filter).await.unwrap();
    assert_eq!(page.len(), 1);
    assert_eq!((page[0].position, &page[0].entry), (2, &ours));
    let older = Filter {
        before: Some(2),
        limit: 10,
        ..Filter::default()
    };
    assert_eq!(
        audit_log::list(&mut connection, &older).await.unwrap()[0].entry,
        theirs
    );
    drop(connection);
    ground.done().await;
}

fn theirs_again(line: &NewAuditEntry, ground: &Ground) -> NewAuditEntry {
    NewAuditEntry {
        id: AuditEntryId::generate(&ground.clock, &ground.random),
        ..line.clone()
    }
}

#[tokio::test]
async fn a_line_cannot_be_changed_and_one_changed_by_force_is_found() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    for _ in 0..5 {
        audit_log::append(&mut connection, &entry(&ground, None))
            .await
            .unwrap();
    }
    let intact = audit_log::verify(&mut connection).await.unwrap();
    for refused in [
        "UPDATE stoa_platform.audit_log SET reason = 'x' WHERE position = 3",
        "DELETE FROM stoa_platform.audit_log WHERE position = 3",
        "TRUNCATE stoa_platform.audit_log",
    ] {
        let error = connection.execute(refused).await.unwrap_err().to_string();
        assert!(error.contains("append-only"), "{error}");
    }
    assert_eq!(audit_log::verify(&mut connection).await.unwrap(), intact);

    connection
        .execute("ALTER TABLE stoa_platform.audit_log DISABLE TRIGGER ALL")
        .await
        .unwrap();
    for (forced, undone, at) in [
        (
            "UPDATE stoa_platform.audit_log SET actor_name = 'nobody' WHERE position = 3",
            "UPDATE stoa_platform.audit_log SET actor_name = 'command line' WHERE position = 3",
            3,
        ),
        (
            "UPDATE stoa_platform.audit_log SET reason = NULL WHERE position = 5",
            "UPDATE stoa_platform.audit_log SET reason = 'unpaid' WHERE position = 5",
            5,
        ),
        (
            "DELETE FROM stoa_platform.audit_log WHERE position = 2",
            "SELECT 1",
            2,
        ),
    ] {
        connection.execute(forced).await.unwrap();
        let verdict = audit_log::verify(&mut connection).await.unwrap();
        assert_eq!(verdict, Verdict::Broken { position: at });
        connection.execute(undone).await.unwrap();
    }
    drop(connection);
    ground.done().await;
}
