//! Which master keys are in use, and a newer one in an older one's place.

use chrono::TimeDelta;
use stoa_domain::InstanceId;
use stoa_platform_db::PgConnection;
use stoa_platform_db::idempotency_keys::{self, IdempotentRequest};
use stoa_platform_db::instances;
use stoa_platform_db::master_keys::{self, AnswerKey, KeyUse, Replacement};

use crate::support::Ground;

/// What `id` would seal, as far as this crate can tell.
fn sealed_by(id: &str, rest: &[u8]) -> Vec<u8> {
    let length = u8::try_from(id.len()).unwrap();
    [&[1, length], id.as_bytes(), rest].concat()
}

async fn instance(ground: &Ground, slug: &str, wrapped: Vec<u8>) -> InstanceId {
    let new = instances::NewInstance {
        data_key_wrapped: wrapped,
        ..ground.new_instance(slug)
    };
    let mut connection = ground.connection().await;
    instances::insert(&mut connection, &new).await.unwrap();
    new.id
}

async fn answer(ground: &Ground, key: &str, sealed: &[u8]) {
    let mut connection = ground.connection().await;
    let request = IdempotentRequest {
        scope: "POST /instances",
        key,
        request_hash: b"hash",
    };
    let (now, soon) = (ground.now(), ground.now() + TimeDelta::hours(1));
    idempotency_keys::begin(&mut connection, &request, now, soon, soon)
        .await
        .unwrap();
    idempotency_keys::finish(&mut connection, &request, 201, sealed)
        .await
        .unwrap();
}

fn held(id: &str, data_keys: i64) -> KeyUse {
    KeyUse {
        id: id.into(),
        data_keys,
        answers: 0,
        answers_until: None,
    }
}

#[tokio::test]
async fn keys_in_use_are_read_from_what_they_sealed() {
    let ground = Ground::new().await;
    // The column says k1 of both.
    instance(&ground, "acme", sealed_by("k1", b"1")).await;
    instance(&ground, "zenith", sealed_by("k-2", b"2")).await;
    for (slug, damaged) in [
        ("empty", vec![]),
        ("form", vec![2, 2, 3, 3]),
        ("short", vec![1, 2]),
    ] {
        instance(&ground, slug, damaged).await;
    }
    answer(&ground, "a", &sealed_by("k1", b"a")).await;
    let until = ground.now() + TimeDelta::hours(1);
    let mut connection = ground.connection().await;
    let used = master_keys::in_use(&mut connection, ground.now()).await;
    let k1 = KeyUse {
        answers: 1,
        answers_until: Some(until),
        ..held("k1", 1)
    };
    assert_eq!(used.unwrap(), [held("", 3), held("k-2", 1), k1]);

    // An answer that is forgotten, if not yet cleared away, holds no key.
    let used = master_keys::in_use(&mut connection, until).await.unwrap();
    assert_eq!(used, [held("", 3), held("k-2", 1), held("k1", 1)]);
    assert_eq!(
        master_keys::samples(&mut connection).await.unwrap().len(),
        5
    );
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_data_key_is_rewrapped_only_from_what_is_stored() {
    let ground = Ground::new().await;
    let id = instance(&ground, "acme", sealed_by("k1", b"1")).await;
    let last = instance(&ground, "zenith", sealed_by("k1", b"2")).await;
    instance(&ground, "third", sealed_by("k2", b"3")).await;
    let mut connection = ground.connection().await;

    let old = master_keys::data_keys_of_others(&mut connection, "k2", None, 9).await;
    let old: Vec<_> = old.unwrap().into_iter().map(|it| it.instance).collect();
    assert_eq!(old, [id, last]);
    let after = master_keys::data_keys_of_others(&mut connection, "k2", Some(id), 9).await;
    assert_eq!(after.unwrap()[0].instance, last);

    async fn rewrap(connection: &mut PgConnection, id: InstanceId, old: &[u8]) -> u64 {
        let replacement = Replacement {
            row: id,
            old: old.to_vec(),
            new: sealed_by("k2", b"new"),
        };
        master_keys::rewrap_data_keys(connection, &[replacement], "k2")
            .await
            .unwrap()
    }
    assert_eq!(rewrap(&mut connection, id, b"else").await, 0);
    assert_eq!(rewrap(&mut connection, id, &sealed_by("k1", b"1")).await, 1);
    assert_eq!(
        rewrap(&mut connection, id, &sealed_by("k1", b"1")).await,
        0,
        "it is no longer what is stored"
    );
    let used = master_keys::in_use(&mut connection, ground.now()).await;
    assert_eq!(used.unwrap(), [held("k1", 1), held("k2", 2)]);
    let stored = instances::find(&mut connection, id).await.unwrap().unwrap();
    assert_eq!(stored.master_key_id, "k2");
    drop(connection);
    ground.done().await;
}

#[tokio::test]
async fn a_kept_answer_is_resealed_only_from_what_is_stored() {
    let ground = Ground::new().await;
    answer(&ground, "a", &sealed_by("k1", b"a")).await;
    answer(&ground, "b", &sealed_by("k1", b"b")).await;
    answer(&ground, "c", &sealed_by("k2", b"c")).await;
    let mut connection = ground.connection().await;
    let now = ground.now();
    let found = master_keys::answers_of_others(&mut connection, "k2", now, None, 1)
        .await
        .unwrap();
    let rest =
        master_keys::answers_of_others(&mut connection, "k2", now, Some(&found[0].0), 9).await;
    let all: Vec<(AnswerKey, Vec<u8>)> = found.into_iter().chain(rest.unwrap()).collect();
    let keys: Vec<_> = all.iter().map(|(name, _)| name.key.as_str()).collect();
    assert_eq!(keys, ["a", "b"]);

    let mut replacements: Vec<_> = all
        .into_iter()
        .map(|(row, old)| Replacement {
            row,
            old,
            new: sealed_by("k2", b"new"),
        })
        .collect();
    replacements[1].old = b"else".to_vec();
    let changed = master_keys::reseal_answers(&mut connection, &replacements).await;
    assert_eq!(changed.unwrap(), 1);
    drop(connection);
    ground.done().await;
}
