//! Usage, plans and the shared cache.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use serde_json::json;
use stoa_domain::{InstanceId, MessageId};
use stoa_platform_db::budgets::Amount;
use stoa_platform_db::usage_events::{self, Spent, UsageDay, UsageEvent, UsageKind};
use stoa_platform_db::{Taken, cache_entries, plans};

use crate::support::Ground;

fn event(ground: &Ground, instance: InstanceId, at: DateTime<Utc>) -> UsageEvent {
    UsageEvent {
        instance,
        message: MessageId::generate(&ground.clock, &ground.random),
        kind: UsageKind::Answer,
        occurred_at: at,
        model: "gpt-x".to_owned(),
        input_tokens: Some(100),
        output_tokens: Some(20),
        cost_micros: Some(7),
        spent: Spent::Known(Amount {
            tokens: 120,
            micros: Some(7),
        }),
    }
}

#[tokio::test]
async fn an_answer_is_counted_once_however_often_it_is_reported() {
    let ground = Ground::new().await;
    let (acme, zenith) = (
        ground.instance("acme").await,
        ground.instance("zenith").await,
    );
    let mut connection = ground.connection().await;
    let midnight: DateTime<Utc> = "2026-01-02T00:00:00Z".parse().unwrap();
    let events = [
        event(&ground, acme, midnight - TimeDelta::microseconds(1)),
        event(&ground, acme, midnight),
        event(
            &ground,
            acme,
            midnight + TimeDelta::hours(24) - TimeDelta::microseconds(1),
        ),
        event(&ground, acme, midnight + TimeDelta::hours(24)),
        event(&ground, zenith, midnight),
    ];
    let record = usage_events::record(&mut connection, &events[..3], ground.now()).await;
    assert_eq!(record.unwrap(), 3);
    let record = usage_events::record(&mut connection, &events, ground.now()).await;
    assert_eq!(record.unwrap(), 2, "only those not known yet");
    assert_eq!(
        usage_events::record(&mut connection, &[], ground.now())
            .await
            .unwrap(),
        0
    );

    let day = |d| NaiveDate::from_ymd_opt(2026, 1, d).unwrap();
    let sums = usage_events::sum_by_day(&mut connection, acme, day(1), day(2))
        .await
        .unwrap();
    let expected = |d, messages| UsageDay {
        day: day(d),
        messages,
        input_tokens: 100 * messages,
        output_tokens: 20 * messages,
        cost_micros: 7 * messages,
        unknown_costs: 0,
    };
    assert_eq!(sums, [expected(1, 1), expected(2, 2)]);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn plans_are_seeded_and_can_be_added_and_changed() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let seeded = plans::list(&mut connection).await.unwrap();
    let codes: Vec<_> = seeded.iter().map(|plan| plan.code.as_str()).collect();
    assert_eq!(codes, ["free", "standard", "scale"]);

    let taken = plans::insert(&mut connection, &seeded[0]).await;
    assert_eq!(taken.unwrap_err().taken(), Some(Taken::PlanCode));
    let mut own = seeded[1].clone();
    own.code = "own".to_owned();
    plans::insert(&mut connection, &own).await.unwrap();
    own.limits = json!({ "documents": 7 });
    assert!(plans::update(&mut connection, &own).await.unwrap());
    assert_eq!(
        plans::find(&mut connection, "own").await.unwrap(),
        Some(own)
    );
    assert_eq!(plans::find(&mut connection, "gold").await.unwrap(), None);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_cached_value_goes_stale() {
    let ground = Ground::new().await;
    let mut connection = ground.connection().await;
    let (now, later) = (ground.now(), ground.now() + TimeDelta::minutes(5));
    cache_entries::put(&mut connection, "keys", &json!(1), later)
        .await
        .unwrap();
    cache_entries::put(&mut connection, "keys", &json!(2), later)
        .await
        .unwrap();
    let value = cache_entries::get(&mut connection, "keys", now)
        .await
        .unwrap();
    assert_eq!(value, Some(json!(2)));
    assert_eq!(
        cache_entries::get(&mut connection, "keys", later)
            .await
            .unwrap(),
        None
    );
    assert_eq!(
        cache_entries::expire(&mut connection, now).await.unwrap(),
        0
    );
    assert_eq!(
        cache_entries::expire(&mut connection, later).await.unwrap(),
        1
    );
    assert!(
        !cache_entries::remove(&mut connection, "keys")
            .await
            .unwrap()
    );
    drop(connection);
    ground.done().await;
}
