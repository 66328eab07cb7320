//! Who migrates which client's database, and what is known of how it went.

use chrono::{DateTime, TimeDelta, Utc};
use stoa_domain::{DatabaseMode, DatabaseState, InstanceId};
use stoa_platform_db::instances::{
    self, DatabaseFacts, NewDatabase, SchemaClaim, SchemaError, SchemaLease,
};

use crate::support::Ground;

const LATEST: i32 = 3;

/// An instance with a database at this host and schema version.
async fn with_database(
    ground: &Ground,
    slug: &str,
    host: &str,
    version: Option<i32>,
) -> InstanceId {
    let id = ground.instance(slug).await;
    let database = NewDatabase {
        mode: DatabaseMode::External,
        address_sealed: vec![1],
        facts: DatabaseFacts {
            host: Some(host.to_owned()),
            schema_version: version,
            ..DatabaseFacts::default()
        },
        state: DatabaseState::Ready,
        supabase_url: None,
        supabase_sealed: None,
    };
    let mut connection = ground.connection().await;
    instances::set_database(&mut connection, id, &database, ground.now())
        .await
        .unwrap();
    id
}

fn claim_of(ground: &Ground) -> SchemaClaim {
    SchemaClaim {
        latest: LATEST,
        per_host: 1,
        tried_before: None,
        gentle: true,
        until: ground.now() + TimeDelta::seconds(15),
    }
}

async fn claim(ground: &Ground, claim: SchemaClaim) -> Option<SchemaLease> {
    let mut transaction = ground.database.db.begin().await.unwrap();
    let lease = instances::claim_outdated(&mut transaction, &claim, ground.now()).await;
    transaction.commit().await.unwrap();
    lease.unwrap()
}

fn error_at(at: DateTime<Utc>) -> SchemaError {
    SchemaError {
        code: "schema_disk_full".into(),
        message: "full".into(),
        remedy: "make room".into(),
        at,
    }
}

#[tokio::test]
async fn a_database_is_held_by_one_and_free_again_when_its_holder_died() {
    let ground = Ground::new().await;
    let old = with_database(&ground, "old", "a:5432", Some(1)).await;
    with_database(&ground, "current", "b:5432", Some(LATEST)).await;
    with_database(&ground, "ahead", "c:5432", Some(LATEST + 1)).await;
    ground.instance("unset").await;

    let lease = claim(&ground, claim_of(&ground)).await.unwrap();
    assert_eq!((lease.instance, lease.slug.as_str()), (old, "old"));
    assert_eq!(claim(&ground, claim_of(&ground)).await, None);
    let mut connection = ground.connection().await;
    let now = ground.now();
    let other = instances::claim_schema_of(&mut connection, old, now, now).await;
    assert_eq!(other.unwrap(), None);

    ground.pass(TimeDelta::seconds(16));
    let successor = claim(&ground, claim_of(&ground)).await.unwrap();
    let until = ground.now() + TimeDelta::seconds(15);
    let mut prolong = async |lease| {
        instances::prolong_schema_lease(&mut connection, lease, until)
            .await
            .unwrap()
    };
    assert!(!prolong(&lease).await, "the first has lost it");
    assert!(prolong(&successor).await);
    // What the first lets go of is not its successor's.
    instances::release_schema_lease(&mut connection, &lease)
        .await
        .unwrap();
    assert_eq!(claim(&ground, claim_of(&ground)).await, None);
    instances::release_schema_lease(&mut connection, &successor)
        .await
        .unwrap();
    assert!(claim(&ground, claim_of(&ground)).await.is_some());
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn one_host_is_worked_on_once_however_many_claim_at_the_same_time() {
    let ground = Ground::new().await;
    for number in 0..6 {
        let host = if number % 2 == 0 { "a:5432" } else { "b:5432" };
        with_database(&ground, &format!("client-{number}"), host, None).await;
    }
    let claims = futures_util::future::join_all((0..6).map(|_| claim(&ground, claim_of(&ground))));
    let taken: Vec<SchemaLease> = claims.await.into_iter().flatten().collect();
    assert_eq!(taken.len(), 2, "one at each host: {taken:?}");
    let wide = SchemaClaim {
        per_host: 2,
        ..claim_of(&ground)
    };
    let claims = futures_util::future::join_all((0..6).map(|_| claim(&ground, wide)));
    assert_eq!(claims.await.into_iter().flatten().count(), 2);
    ground.done().await;
}

#[tokio::test]
async fn who_was_used_last_comes_first_and_who_does_not_answer_not_at_all() {
    let ground = Ground::new().await;
    let idle = with_database(&ground, "idle", "a:5432", Some(1)).await;
    let busy = with_database(&ground, "busy", "b:5432", Some(1)).await;
    let away = with_database(&ground, "away", "c:5432", Some(1)).await;
    let mut connection = ground.connection().await;
    instances::touch_active(&mut connection, busy, ground.now())
        .await
        .unwrap();
    let state = DatabaseState::Unreachable;
    let seen = instances::SeenState {
        generation: 1,
        state,
        error_code: Some("connection_refused"),
    };
    instances::set_database_state(&mut connection, away, seen, ground.now())
        .await
        .unwrap();
    let mut order = Vec::new();
    while let Some(lease) = claim(&ground, claim_of(&ground)).await {
        order.push(lease.instance);
    }
    assert_eq!(order, [busy, idle]);
    // An operator's command tries it all the same.
    let rough = SchemaClaim {
        gentle: false,
        ..claim_of(&ground)
    };
    assert_eq!(claim(&ground, rough).await.unwrap().instance, away);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_failure_is_shown_and_rests_longer_each_time_until_it_is_mended() {
    let ground = Ground::new().await;
    let id = with_database(&ground, "acme", "a:5432", Some(2)).await;
    let mut connection = ground.connection().await;
    for rest in [60, 120, 240] {
        let lease = claim(&ground, claim_of(&ground)).await.unwrap();
        let error = error_at(ground.now());
        assert!(
            instances::record_schema_error(&mut connection, id, 1, &error, 1.0)
                .await
                .unwrap()
        );
        instances::release_schema_lease(&mut connection, &lease)
            .await
            .unwrap();
        let shown = instances::find(&mut connection, id).await.unwrap().unwrap();
        assert_eq!(shown.database.schema_error, Some(error));
        ground.pass(TimeDelta::seconds(rest - 1));
        assert_eq!(
            claim(&ground, claim_of(&ground)).await,
            None,
            "after {rest}"
        );
        ground.pass(TimeDelta::seconds(1));
    }
    let began = ground.now();
    let run = SchemaClaim {
        gentle: false,
        tried_before: Some(began),
        ..claim_of(&ground)
    };
    let lease = claim(&ground, run).await.unwrap();
    instances::release_schema_lease(&mut connection, &lease)
        .await
        .unwrap();
    assert_eq!(claim(&ground, run).await, None, "once in a run");

    let latest = LATEST;
    let laggards = instances::schema_laggards(&mut connection, latest, 10)
        .await
        .unwrap();
    assert_eq!(laggards.len(), 1);
    assert_eq!(laggards[0].error.as_ref().unwrap().code, "schema_disk_full");
    assert!(
        !instances::record_schema_version(&mut connection, id, 7, latest)
            .await
            .unwrap(),
        "what is learned of another address is dropped"
    );
    assert!(
        instances::record_schema_version(&mut connection, id, 1, latest)
            .await
            .unwrap()
    );
    let mended = instances::find(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(mended.database.schema_error, None);
    assert_eq!(mended.database.facts.schema_version, Some(latest));
    let standing = instances::schema_standing(&mut connection, latest, ground.now()).await;
    let standing = standing.unwrap();
    assert_eq!((standing.up_to_date, standing.behind), (1, 0));
    drop(connection);
    ground.done().await;
}
