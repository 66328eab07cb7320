//! The ledger of budgets: exact between replicas, counted once, begun anew by day and month.

use chrono::{DateTime, TimeDelta, Utc};
use stoa_domain::{InstanceId, MessageId};
use stoa_platform_db::budgets::{
    self, Amount, Limit, People, Period, Reservation, Spent as Sum, Standing, Subject,
};
use stoa_platform_db::usage_events::{self, Spent, UsageEvent, UsageKind};
use stoa_platform_db::{PgConnection, PlatformDb};

use crate::support::Ground;

const ADA: [u8; 16] = [1; 16];
const BOB: [u8; 16] = [2; 16];

fn amount(tokens: i64) -> Amount {
    Amount {
        tokens,
        micros: Some(tokens * 2),
    }
}

const fn limit(
    subject: Subject,
    period: Period,
    tokens: Option<i64>,
    micros: Option<i64>,
) -> Limit {
    Limit {
        subject,
        period,
        tokens,
        micros,
    }
}

const A_HUNDRED_A_DAY: [Limit; 1] = [limit(Subject::Instance, Period::Day, Some(100), None)];

/// What somebody wants of an instance's budgets.
struct Want<'a> {
    instance: InstanceId,
    message: MessageId,
    people: People,
    limits: &'a [Limit],
    own: Amount,
    at: DateTime<Utc>,
}

impl Want<'_> {
    async fn reserve(&self, connection: &mut PgConnection, wanted: Amount) -> Vec<Standing> {
        let reservation = Reservation {
            instance: self.instance,
            message: self.message,
            kind: UsageKind::Answer,
            people: self.people,
            wanted,
            own: self.own,
            limits: self.limits,
            at: self.at,
            until: self.at + TimeDelta::minutes(15),
        };
        budgets::reserve(connection, &reservation).await.unwrap()
    }

    async fn has_room(&self, connection: &mut PgConnection, wanted: Amount) -> bool {
        let standings = self.reserve(connection, wanted).await;
        standings.iter().all(|it| it.has_room)
    }

    async fn count(&self, connection: &mut PgConnection, spent: Spent) -> u64 {
        let event = UsageEvent {
            instance: self.instance,
            message: self.message,
            kind: UsageKind::Answer,
            occurred_at: self.at,
            model: "m".into(),
            input_tokens: None,
            output_tokens: None,
            cost_micros: None,
            spent,
        };
        usage_events::record(connection, &[event], self.at)
            .await
            .unwrap()
    }
}

impl Ground {
    fn want<'a>(&self, instance: InstanceId, limits: &'a [Limit]) -> Want<'a> {
        Want {
            instance,
            message: MessageId::generate(&self.clock, &self.random),
            people: People::default(),
            limits,
            own: amount(0),
            at: self.now(),
        }
    }
}

#[tokio::test]
async fn two_replicas_together_never_reserve_more_than_a_limit_has() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let other = PlatformDb::connect(&ground.database.url, 10).await.unwrap();
    let pools = [&ground.database.db, &other];
    // 14 of 64 fit: the last one that would not fit wholly waits for nobody, since others have reserved.
    let limits = [limit(
        Subject::Instance,
        Period::Month,
        Some(100),
        Some(1_000),
    )];
    let asked = (0..64).map(|n| {
        let (want, pool) = (ground.want(instance, &limits), pools[n % 2]);
        async move {
            let mut connection = pool.acquire().await.unwrap();
            want.has_room(&mut connection, amount(7)).await
        }
    });
    let admitted = futures_util::future::join_all(asked).await;
    assert_eq!(admitted.iter().filter(|it| **it).count(), 14);
    let mut connection = ground.connection().await;
    let [_, month] = budgets::spent(&mut connection, instance, ground.now())
        .await
        .unwrap();
    assert_eq!((month.reserved_tokens, month.reserved_micros), (98, 196));
    let elsewhere = ground.instance("zenith").await;
    let want = ground.want(elsewhere, &limits);
    assert!(
        want.has_room(&mut connection, amount(100)).await,
        "another's budget is its own"
    );
    drop(connection);
    other.close().await;
    ground.done().await;
}

#[tokio::test]
async fn what_is_settled_is_spent_once_and_no_longer_reserved() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let first = ground.want(instance, &A_HUNDRED_A_DAY);
    assert!(first.has_room(&mut connection, amount(90)).await);
    let second = ground.want(instance, &A_HUNDRED_A_DAY);
    assert!(!second.has_room(&mut connection, amount(20)).await);
    for new in [1, 0] {
        let counted = first.count(&mut connection, Spent::Known(amount(30))).await;
        assert_eq!(counted, new);
    }
    let [day, month] = budgets::spent(&mut connection, instance, ground.now())
        .await
        .unwrap();
    let expected = Sum {
        tokens: 30,
        micros: 60,
        ..Sum::default()
    };
    assert_eq!((day, month), (expected, expected));
    assert!(
        second.has_room(&mut connection, amount(20)).await,
        "less was taken than reserved"
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn the_last_call_before_a_limit_may_be_larger_than_what_is_left_but_not_beside_others() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let one = ground.want(instance, &A_HUNDRED_A_DAY);
    assert!(one.has_room(&mut connection, amount(5_000)).await);
    let beside = ground.want(instance, &A_HUNDRED_A_DAY);
    assert!(!beside.has_room(&mut connection, amount(1)).await);
    one.count(&mut connection, Spent::Known(amount(99))).await;
    assert!(
        beside.has_room(&mut connection, amount(2)).await,
        "one is left"
    );
    beside.count(&mut connection, Spent::Known(amount(1))).await;
    let after = ground.want(instance, &A_HUNDRED_A_DAY);
    assert!(
        !after.has_room(&mut connection, amount(1)).await,
        "nothing is left"
    );
    let none = [limit(Subject::Instance, Period::Day, Some(0), None)];
    let other = ground.instance("zenith").await;
    let want = ground.want(other, &none);
    assert!(
        !want.has_room(&mut connection, amount(1)).await,
        "a limit of none lets none through"
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_reservation_grows_with_its_answer_and_what_was_taken_counts() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let mut answer = ground.want(instance, &A_HUNDRED_A_DAY);
    assert!(answer.has_room(&mut connection, amount(40)).await);
    answer.own = amount(30);
    assert!(answer.has_room(&mut connection, amount(90)).await);
    let [day, _] = budgets::spent(&mut connection, instance, ground.now())
        .await
        .unwrap();
    assert_eq!(day.reserved_tokens, 90, "one reservation, not two");
    answer.own = amount(100);
    assert!(!answer.has_room(&mut connection, amount(150)).await);
    let [day, _] = budgets::spent(&mut connection, instance, ground.now())
        .await
        .unwrap();
    assert_eq!(day.reserved_tokens, 90, "a refusal leaves it as it was");

    let key = (instance, answer.message, UsageKind::Answer);
    for _ in 0..2 {
        budgets::settle(&mut connection, key, amount(30), ground.now())
            .await
            .unwrap();
    }
    let [day, _] = budgets::spent(&mut connection, instance, ground.now())
        .await
        .unwrap();
    assert_eq!(
        (day.tokens, day.micros, day.reserved_tokens),
        (60, 120, 0),
        "what was spent counts, also where nothing is reserved any more"
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn what_a_dead_process_reserved_ends_by_itself_or_with_the_sweep_that_counts_it() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let limits = [
        limit(Subject::Instance, Period::Day, Some(100), None),
        limit(Subject::EndUser, Period::Day, Some(100), None),
    ];
    let mut lost = ground.want(instance, &limits);
    lost.people.end_user = Some(ADA);
    assert!(lost.has_room(&mut connection, amount(60)).await);
    let mut swept = ground.want(instance, &limits);
    swept.people.end_user = Some(ADA);
    assert!(swept.has_room(&mut connection, amount(40)).await);
    ground.pass(TimeDelta::minutes(15));
    let mut next = ground.want(instance, &limits);
    next.people.end_user = Some(ADA);
    assert!(
        next.has_room(&mut connection, amount(100)).await,
        "both are over"
    );
    let key = (instance, next.message, UsageKind::Answer);
    budgets::settle(&mut connection, key, amount(0), ground.now())
        .await
        .unwrap();

    // The sweep knows neither what it took nor whose it was; the reservation does.
    swept
        .count(&mut connection, Spent::Guessed(amount(3)))
        .await;
    let mut then = ground.want(instance, &limits);
    then.people.end_user = Some(ADA);
    let standings = then.reserve(&mut connection, amount(1)).await;
    let spent: Vec<_> = standings.iter().map(|it| it.spent_tokens).collect();
    assert_eq!(spent, [40, 40]);
    let unreserved = ground.want(instance, &limits[..1]);
    unreserved
        .count(&mut connection, Spent::Guessed(amount(3)))
        .await;
    let [day, _] = budgets::spent(&mut connection, instance, ground.now())
        .await
        .unwrap();
    assert_eq!(day.tokens, 43);
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn each_persons_and_each_addresss_limit_is_their_own() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let limits = [
        limit(Subject::EndUser, Period::Day, Some(50), None),
        limit(Subject::Address, Period::Month, None, Some(160)),
    ];
    let by = |end_user, address| {
        let mut want = ground.want(instance, &limits);
        want.people = People {
            end_user: Some(end_user),
            address: Some(address),
        };
        want
    };
    let ada = by(ADA, ADA);
    assert!(ada.has_room(&mut connection, amount(50)).await);
    ada.count(&mut connection, Spent::Known(amount(50))).await;
    assert!(
        !by(ADA, BOB).has_room(&mut connection, amount(1)).await,
        "the person is at her limit"
    );
    let bob = by(BOB, ADA);
    assert!(
        bob.has_room(&mut connection, amount(30)).await,
        "160 millionths are 80 tokens"
    );
    assert!(
        !by([3; 16], ADA).has_room(&mut connection, amount(1)).await,
        "the address is at its limit"
    );
    assert!(by(BOB, BOB).has_room(&mut connection, amount(20)).await);
    assert!(
        !by(BOB, BOB).has_room(&mut connection, amount(1)).await,
        "20 and 30 are reserved"
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn an_unknown_price_has_no_room_in_money_and_is_never_nothing() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let money = [limit(Subject::Instance, Period::Day, None, Some(1_000))];
    let unknown = Amount {
        tokens: 10,
        micros: None,
    };
    let want = ground.want(instance, &money);
    assert!(!want.has_room(&mut connection, unknown).await);
    let tokens = ground.want(instance, &A_HUNDRED_A_DAY);
    assert!(tokens.has_room(&mut connection, unknown).await);
    tokens.count(&mut connection, Spent::Known(unknown)).await;
    let [day, _] = budgets::spent(&mut connection, instance, ground.now())
        .await
        .unwrap();
    assert_eq!((day.tokens, day.micros, day.unknown_costs), (10, 0, 1));
    want.count(
        &mut connection,
        Spent::Known(Amount {
            tokens: 5,
            micros: Some(2_000),
        }),
    )
    .await;
    let free = Amount {
        tokens: 10,
        micros: Some(0),
    };
    let home = ground.want(instance, &money);
    assert!(
        home.has_room(&mut connection, free).await,
        "what costs nothing has room beside money"
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn days_and_months_begin_anew_in_utc_and_old_sums_go() {
    let ground = Ground::new().await;
    let instance = ground.instance("acme").await;
    let mut connection = ground.connection().await;
    let limits = [
        limit(Subject::Instance, Period::Day, Some(100), None),
        limit(Subject::Instance, Period::Month, Some(250), None),
        limit(Subject::EndUser, Period::Month, Some(1_000), None),
    ];
    let spend = async |connection: &mut PgConnection, at: &str, tokens| {
        let mut want = ground.want(instance, &limits);
        want.people.end_user = Some(ADA);
        want.at = at.parse().unwrap();
        let standings = want.reserve(connection, amount(tokens)).await;
        let has_room = standings.iter().all(|it| it.has_room);
        if has_room {
            want.count(connection, Spent::Known(amount(tokens))).await;
        }
        has_room
    };
    let day = |d: u32, time: &str| format!("2026-01-{d:02}T{time}Z");
    assert!(spend(&mut connection, &day(30, "23:59:59.999"), 100).await);
    assert!(!spend(&mut connection, &day(30, "23:59:59.999"), 1).await);
    assert!(
        spend(&mut connection, &day(31, "00:00:00"), 100).await,
        "a new day"
    );
    assert!(spend(&mut connection, &day(31, "12:00:00"), 0).await);
    let [_, month] = budgets::spent(
        &mut connection,
        instance,
        day(31, "12:00:00").parse().unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(month.tokens, 200);
    assert!(
        spend(&mut connection, "2026-02-01T00:00:00Z", 100).await,
        "a new month"
    );
    let now: DateTime<Utc> = "2026-02-10T00:00:00Z".parse().unwrap();
    budgets::purge(&mut connection, now, now).await.unwrap();
    let kept = sqlx::query_as::<_, (String, String, String)>(
        "SELECT subject, period, starts_on::text FROM stoa_platform.budget_counters ORDER BY 1, 2, 3",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let kept: Vec<_> = kept
        .iter()
        .map(|(a, b, c)| format!("{a} {b} {c}"))
        .collect();
    assert_eq!(
        kept,
        [
            "end_user month 2026-02-01",
            "instance month 2026-01-01",
            "instance month 2026-02-01",
        ]
    );
    budgets::forget(&mut connection, instance).await.unwrap();
    let [day, month] = budgets::spent(&mut connection, instance, now)
        .await
        .unwrap();
    assert_eq!((day, month), (Sum::default(), Sum::default()));
    drop(connection);
    ground.done().await;
}
