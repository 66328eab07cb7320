//! The registry: finding, listing, and the guarded steps of an instance's life.

use chrono::TimeDelta;
use stoa_domain::{DatabaseMode, DatabaseState, InstanceId, InstanceStatus, Slug};
use stoa_platform_db::instances::{
    self, Changes, DatabaseFacts, Filter, NewDatabase, SeenState, SweepRule,
};
use stoa_platform_db::{DbError, Taken};

use crate::support::Ground;

fn database(address: &[u8]) -> NewDatabase {
    NewDatabase {
        mode: DatabaseMode::External,
        address_sealed: address.to_vec(),
        facts: DatabaseFacts {
            host: Some("db.example.com".to_owned()),
            version: Some("17.2".to_owned()),
            pgvector: None,
            pooler: Some("transaction".to_owned()),
            schema_version: Some(1),
        },
        state: DatabaseState::Ready,
        supabase_url: None,
        supabase_sealed: None,
    }
}

#[tokio::test]
async fn an_instance_is_found_by_id_and_slug_as_it_was_registered() {
    let ground = Ground::new().await;
    let id = ground.instance("acme").await;
    let mut connection = ground.connection().await;

    let by_id = instances::find(&mut connection, id).await.unwrap().unwrap();
    let slug = Slug::parse("acme").unwrap();
    let by_slug = instances::find_by_slug(&mut connection, &slug)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(by_id.id, by_slug.id);
    assert_eq!(by_id.slug, slug);
    assert_eq!(by_id.name.as_str(), "The acme Shop");
    assert_eq!(by_id.status, InstanceStatus::AwaitingSetup);
    assert_eq!(by_id.database.state, DatabaseState::Unset);
    assert_eq!(by_id.created_at, ground.now());
    assert_eq!(by_id.data_key_wrapped, [1, 2, 3]);

    let nobody = InstanceId::generate(&ground.clock, &ground.random);
    assert!(
        instances::find(&mut connection, nobody)
            .await
            .unwrap()
            .is_none()
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_slug_that_is_taken_and_a_plan_that_is_unknown_are_told_apart() {
    let ground = Ground::new().await;
    let first = ground.instance("acme").await;
    let second = ground.instance("zenith").await;
    let mut connection = ground.connection().await;

    let taken = instances::insert(&mut connection, &ground.new_instance("acme")).await;
    assert_eq!(taken.unwrap_err().taken(), Some(Taken::Slug));
    let renamed = Changes {
        slug: Some(Slug::parse("acme").unwrap()),
        ..Changes::default()
    };
    let taken = instances::update(&mut connection, second, &renamed).await;
    assert_eq!(taken.unwrap_err().taken(), Some(Taken::Slug));

    let unknown = Changes {
        plan: Some("gold".to_owned()),
        ..Changes::default()
    };
    let error = instances::update(&mut connection, first, &unknown).await;
    assert!(matches!(error, Err(DbError::UnknownPlan)));
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_list_goes_from_page_to_page_and_narrows_by_status_and_words() {
    let ground = Ground::new().await;
    let mut all = Vec::new();
    for slug in ["alpha", "beta", "gamma", "delta", "per-cent"] {
        all.push(ground.instance(slug).await);
    }
    all.reverse();
    let mut connection = ground.connection().await;

    let mut seen = Vec::new();
    let mut filter = Filter {
        limit: 2,
        ..Filter::default()
    };
    loop {
        let page = instances::list(&mut connection, &filter).await.unwrap();
        let Some(last) = page.last() else { break };
        filter.after = Some(last.id);
        seen.extend(page.iter().map(|instance| instance.id));
    }
    assert_eq!(seen, all, "newest first, each once");

    let found = async |connection: &mut sqlx::PgConnection, q: &str| {
        let filter = Filter {
            q: Some(q.to_owned()),
            limit: 50,
            ..Filter::default()
        };
        let page = instances::list(connection, &filter).await.unwrap();
        page.into_iter()
            .map(|instance| instance.slug.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&mut connection, "THE BETA").await, ["beta"]);
    assert_eq!(found(&mut connection, "ta").await, ["delta", "beta"]);
    assert!(
        found(&mut connection, "%").await.is_empty(),
        "no wild cards"
    );

    let active = Filter {
        status: Some(InstanceStatus::Active),
        limit: 50,
        ..Filter::default()
    };
    assert!(
        instances::list(&mut connection, &active)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(
        instances::count_by_status(&mut connection).await.unwrap(),
        [(InstanceStatus::AwaitingSetup, 5)]
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn an_instance_becomes_active_when_database_and_ai_are_ready_and_not_before() {
    let ground = Ground::new().await;
    let id = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let now = ground.now();

    assert!(
        !instances::activate_if_ready(&mut connection, id, now)
            .await
            .unwrap()
    );
    let generation = instances::set_database(&mut connection, id, &database(b"one"), now)
        .await
        .unwrap();
    assert_eq!(generation, Some(1));
    assert!(
        !instances::activate_if_ready(&mut connection, id, now)
            .await
            .unwrap()
    );
    assert!(
        instances::set_ai_ready(&mut connection, id, Some(now))
            .await
            .unwrap()
    );
    assert!(
        instances::activate_if_ready(&mut connection, id, now)
            .await
            .unwrap()
    );
    assert!(
        !instances::activate_if_ready(&mut connection, id, now)
            .await
            .unwrap()
    );

    let instance = instances::find(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(instance.status, InstanceStatus::Active);
    assert_eq!(instance.activated_at, Some(now));
    assert_eq!(instance.database.facts, database(b"").facts);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn only_the_steps_of_the_contract_can_be_taken() {
    let ground = Ground::new().await;
    let id = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let now = ground.now();
    let suspend = async |connection: &mut sqlx::PgConnection| {
        instances::suspend(connection, id, "unpaid", now)
            .await
            .unwrap()
    };

    assert!(!suspend(&mut connection).await, "not before it is active");
    instances::set_database(&mut connection, id, &database(b"one"), now)
        .await
        .unwrap();
    instances::set_ai_ready(&mut connection, id, Some(now))
        .await
        .unwrap();
    instances::activate_if_ready(&mut connection, id, now)
        .await
        .unwrap();

    assert!(!instances::resume(&mut connection, id).await.unwrap());
    assert!(suspend(&mut connection).await);
    assert!(!suspend(&mut connection).await, "once");
    let suspended = instances::find(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(suspended.suspended_reason.as_deref(), Some("unpaid"));
    assert!(instances::resume(&mut connection, id).await.unwrap());

    assert!(
        !instances::delete(&mut connection, id).await.unwrap(),
        "not without warning"
    );
    assert!(
        instances::start_deleting(&mut connection, id, now)
            .await
            .unwrap()
    );
    assert!(
        !instances::start_deleting(&mut connection, id, now)
            .await
            .unwrap()
    );
    assert!(!suspend(&mut connection).await);
    let refused = instances::set_database(&mut connection, id, &database(b"two"), now).await;
    assert_eq!(refused.unwrap(), None);
    assert!(instances::delete(&mut connection, id).await.unwrap());
    assert!(
        instances::find(&mut connection, id)
            .await
            .unwrap()
            .is_none()
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn what_was_learned_of_an_older_address_is_dropped() {
    let ground = Ground::new().await;
    let id = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let now = ground.now();
    instances::set_database(&mut connection, id, &database(b"one"), now)
        .await
        .unwrap();
    instances::set_database(&mut connection, id, &database(b"two"), now)
        .await
        .unwrap();

    let unreachable = DatabaseState::Unreachable;
    let mut set = async |generation, state| {
        let seen = SeenState {
            generation,
            state,
            error_code: Some("connection_refused"),
        };
        instances::set_database_state(&mut connection, id, seen, now)
            .await
            .unwrap()
    };
    assert!(!set(1, unreachable).await, "of the first address");
    assert!(set(2, unreachable).await);
    assert!(!set(2, unreachable).await, "no news");
    let facts = DatabaseFacts::default();
    assert!(
        !instances::record_database_facts(&mut connection, id, 1, &facts)
            .await
            .unwrap()
    );

    let instance = instances::find(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(instance.database.state, unreachable);
    let error = instance.database.error.unwrap();
    assert_eq!(
        (error.code.as_str(), error.since),
        ("connection_refused", now)
    );
    assert_eq!(
        instance.database.address_sealed.as_deref(),
        Some(&b"two"[..])
    );
    assert_eq!(instance.database.facts.version.as_deref(), Some("17.2"));
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn an_outage_has_one_beginning_and_is_looked_at_by_one_at_a_time() {
    let ground = Ground::new().await;
    let id = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let now = ground.now();
    instances::set_database(&mut connection, id, &database(b"one"), now)
        .await
        .unwrap();
    let mut see = async |state, error_code, at| {
        let seen = SeenState {
            generation: 1,
            state,
            error_code,
        };
        assert!(
            instances::set_database_state(&mut connection, id, seen, at)
                .await
                .unwrap()
        );
        let instance = instances::find(&mut connection, id).await.unwrap().unwrap();
        instance.database.error
    };
    let minute = TimeDelta::minutes(1);
    let unreachable = DatabaseState::Unreachable;
    see(unreachable, Some("connection_refused"), now).await;
    let worse = see(unreachable, Some("database_sign_in"), now + minute).await;
    let worse = worse.unwrap();
    assert_eq!(
        (worse.code.as_str(), worse.since),
        ("database_sign_in", now)
    );

    let before = now + minute;
    let mut take = async |at| {
        instances::take_ailing(&mut connection, before, at, 10)
            .await
            .unwrap()
    };
    assert_eq!(take(now + minute * 2).await, [id]);
    assert_eq!(take(now + minute * 3).await, [], "it was looked at since");
    assert_eq!(
        instances::ailing(&mut connection, 10).await.unwrap(),
        [(id, "acme".to_owned(), unreachable)]
    );

    let seen = SeenState {
        generation: 1,
        state: DatabaseState::Ready,
        error_code: None,
    };
    assert!(
        instances::set_database_state(&mut connection, id, seen, now)
            .await
            .unwrap()
    );
    let well = instances::find(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(well.database.error, None);
    assert_eq!(instances::ailing(&mut connection, 10).await.unwrap(), []);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_sweep_visits_those_that_were_talked_to_and_no_others() {
    let ground = Ground::new().await;
    let (busy, _idle) = (ground.instance("busy").await, ground.instance("idle").await);
    let mut connection = ground.connection().await;
    let rule = SweepRule {
        every: TimeDelta::minutes(1),
        after_activity: TimeDelta::minutes(15),
    };
    instances::set_database(&mut connection, busy, &database(b"one"), ground.now())
        .await
        .unwrap();

    let mut sweep = async || {
        let now = ground.now();
        let due = instances::due_for_sweep(&mut connection, rule, now, 10)
            .await
            .unwrap();
        for id in &due {
            instances::mark_swept(&mut connection, *id, now)
                .await
                .unwrap();
        }
        due
    };
    assert!(sweep().await.is_empty(), "nobody has talked to it yet");
    instances::touch_active(&mut *ground.connection().await, busy, ground.now())
        .await
        .unwrap();
    assert_eq!(sweep().await, [busy]);
    assert!(sweep().await.is_empty(), "just swept");
    ground.pass(TimeDelta::minutes(2));
    assert_eq!(
        sweep().await,
        [busy],
        "an answer may still have been under way"
    );
    ground.pass(TimeDelta::minutes(20));
    assert_eq!(sweep().await, [busy], "a last time");
    ground.pass(TimeDelta::minutes(20));
    assert!(sweep().await.is_empty(), "at rest");
    drop(connection);
    ground.done().await;
}
