//! Tests of sealing and wrapping.

use super::*;
use crate::Clock;

fn place(instance: InstanceId) -> SealPlace {
    SealPlace {
        instance,
        table: "api_configurations",
        column: "sealed",
        row: Uuid::from_u128(7),
    }
}

fn instance(seed: u64) -> InstanceId {
    InstanceId::generate(&Clock::system(), &Random::seeded(seed))
}

#[test]
fn a_secret_opens_only_where_it_was_sealed() {
    let random = Random::seeded(1);
    let key = DataKey::generate(&random);
    let here = place(instance(1));
    let sealed = key.seal(&here, b"sk-secret", &random).unwrap();
    assert_eq!(key.open(&here, &sealed).unwrap().as_slice(), b"sk-secret");

    let elsewhere = [
        place(instance(2)),
        SealPlace {
            table: "webhooks",
            ..here
        },
        SealPlace {
            column: "other",
            ..here
        },
        SealPlace {
            row: Uuid::from_u128(8),
            ..here
        },
    ];
    for other in elsewhere {
        assert_eq!(
            key.open(&other, &sealed).unwrap_err(),
            SealError::DoesNotOpen,
            "{other:?}"
        );
    }
    assert!(DataKey::generate(&random).open(&here, &sealed).is_err());
    assert_eq!(key.open(&here, &[]).unwrap_err(), SealError::Malformed);
    assert_ne!(
        sealed,
        key.seal(&here, b"sk-secret", &random).unwrap(),
        "nonces differ"
    );
}

#[test]
fn a_ring_wraps_with_its_newest_key_and_opens_with_all() {
    let random = Random::seeded(3);
    let old = MasterKeyRing::generate("k1", &random);
    let both: SecretString = format!(
        "{},{}",
        MasterKeyRing::generate("k2", &random).expose_secret(),
        old.expose_secret()
    )
    .into();
    let (old, both) = (
        MasterKeyRing::parse(&old).unwrap(),
        MasterKeyRing::parse(&both).unwrap(),
    );
    let (owner, key) = (instance(1), DataKey::generate(&random));

    let wrapped_by_old = old.wrap(owner, &key, &random).unwrap();
    assert_eq!(both.unwrap(owner, &wrapped_by_old).unwrap().0, key.0);
    assert!(both.unwrap(instance(2), &wrapped_by_old).is_err());

    let wrapped_by_new = both.wrap(owner, &key, &random).unwrap();
    assert_eq!(wrapped_by(&wrapped_by_new).unwrap(), "k2");
    assert_eq!(
        old.unwrap(owner, &wrapped_by_new).err(),
        Some(SealError::UnknownMasterKey("k2".into()))
    );
}

#[test]
fn a_secret_of_the_platform_opens_only_where_it_was_sealed_and_after_a_rotation() {
    let random = Random::seeded(4);
    let old = MasterKeyRing::generate("k1", &random);
    let both: SecretString = format!(
        "{},{}",
        MasterKeyRing::generate("k2", &random).expose_secret(),
        old.expose_secret()
    )
    .into();
    let (old, both) = (
        MasterKeyRing::parse(&old).unwrap(),
        MasterKeyRing::parse(&both).unwrap(),
    );
    let here = PlatformPlace {
        table: "idempotency_keys",
        column: "response",
        row: "a",
    };
    let sealed = old.seal(&here, b"stoa_ck_1", &random).unwrap();
    assert_eq!(both.open(&here, &sealed).unwrap().as_slice(), b"stoa_ck_1");
    for other in [
        PlatformPlace { row: "b", ..here },
        PlatformPlace {
            table: "cache_entries",
            ..here
        },
        PlatformPlace {
            column: "key",
            ..here
        },
    ] {
        assert_eq!(
            old.open(&other, &sealed).unwrap_err(),
            SealError::DoesNotOpen
        );
    }
    let newer = both.seal(&here, b"stoa_ck_1", &random).unwrap();
    assert_eq!(
        old.open(&here, &newer).unwrap_err(),
        SealError::UnknownMasterKey("k2".into())
    );
    assert!(
        old.unwrap(instance(1), &sealed).is_err(),
        "it is no data key"
    );
}

#[test]
fn weak_and_malformed_master_keys_are_refused() {
    let zeros = format!("k1:{}", STANDARD.encode([0_u8; 32]));
    let short = format!("k1:{}", STANDARD.encode([7_u8; 16]));
    for bad in [
        "",
        "k1",
        "k1:???",
        zeros.as_str(),
        short.as_str(),
        ":AAAA",
        "a b:AAAA",
    ] {
        let refused = MasterKeyRing::parse(&SecretString::from(bad.to_owned()));
        assert!(
            matches!(refused.err(), Some(SealError::BadMasterKey(_))),
            "{bad}"
        );
    }
}

#[test]
fn a_pseudonym_is_the_same_for_the_same_words_and_says_nothing_elsewhere() {
    let (one, other) = (
        DataKey::generate(&Random::seeded(1)),
        DataKey::generate(&Random::seeded(2)),
    );
    let ada = one.pseudonym("end_user", b"ada");
    assert_eq!(ada, one.pseudonym("end_user", b"ada"));
    for different in [
        one.pseudonym("end_user", b"bob"),
        one.pseudonym("address", b"ada"),
        other.pseudonym("end_user", b"ada"),
    ] {
        assert_ne!(ada, different);
    }
}
