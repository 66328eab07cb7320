//! Failures before the first event, each with its code.

use std::time::{Duration, Instant};

use stoa_ai::{Ai, AiErrorCode, Endpoint};
use stoa_domain::Provider;
use stoa_fake_ai::{Behaviour, FakeAi};
use stoa_outbound::{AddressPolicy, Outbound};

use crate::{KEY, WIRES, ai, ask, endpoint, impatient, question};

#[tokio::test]
async fn every_status_has_its_code() {
    use AiErrorCode as Code;
    let fake = FakeAi::start().await.unwrap();
    let rows = [
        ("error=401", Code::BadKey, true, false),
        ("error=403", Code::BadKey, true, false),
        ("error=404", Code::NotFound, true, false),
        ("error=quota", Code::NoQuota, true, false),
        ("error=context", Code::ContextTooLong, true, false),
        ("error=filter", Code::ContentFiltered, false, false),
        ("error=422", Code::Rejected, true, false),
        ("error=500", Code::Overloaded, true, true),
        ("error=503", Code::Overloaded, true, true),
        ("error=302", Code::Protocol, true, false),
        (
            "error=429",
            Code::RateLimited { retry_after: None },
            true,
            true,
        ),
        (
            "error=429,retry_after=2",
            Code::RateLimited {
                retry_after: Some(Duration::from_secs(2)),
            },
            true,
            true,
        ),
        ("html", Code::Protocol, true, false),
        ("garbage", Code::Protocol, true, false),
        ("bad_json_after=0", Code::Protocol, true, false),
        ("error_after=0", Code::Overloaded, true, true),
        ("end_after=0", Code::Interrupted, true, true),
        ("drop_after=0", Code::Interrupted, true, true),
        ("huge=5000000", Code::Protocol, true, false),
    ];
    for wire in WIRES {
        for (behaviour, code, falls_through, retryable) in rows {
            let what = format!("{}: {behaviour}", wire.name);
            let error = wire.ask(&ai(), &fake, behaviour).await.unwrap_err();
            assert_eq!(error.code(), code, "{what}: {error:?}");
            assert_eq!(error.falls_through(), falls_through, "{what}");
            assert_eq!(error.retryable(), retryable, "{what}");
        }
    }
}

#[tokio::test]
async fn the_key_is_in_no_part_of_an_error() {
    let fake = FakeAi::start().await.unwrap();
    // The fake repeats the key in its reply, as some providers do.
    let error = ask(&ai(), &fake, "error=401").await.unwrap_err();
    let shown = format!(
        "{error} {error:?} {} {:?}",
        error.detail(),
        error.provider_message()
    );
    assert!(
        !shown.contains(KEY) && !shown.contains("0123456789"),
        "{shown}"
    );
    assert_eq!(
        error.provider_message(),
        Some("Incorrect API key provided: [key].")
    );
    let endpoint = endpoint(&fake.base_url());
    assert!(!format!("{endpoint:?}").contains(KEY));
}

#[tokio::test]
async fn a_key_that_is_no_key_is_refused_before_anything_is_sent() {
    let fake = FakeAi::start().await.unwrap();
    for key in ["a\r\nx-injected: 1", "a\0b"] {
        let endpoint = Endpoint {
            api_key: Some(key.into()),
            ..endpoint(&fake.base_url())
        };
        let error = ai().stream(&endpoint, &question("m")).await.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::BadKey);
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn silence_meets_the_deadline() {
    let fake = FakeAi::start().await.unwrap();
    // No reply, a head without a token, comments that are no tokens.
    for wire in WIRES {
        for behaviour in ["hang", "hang_after=0", "hang_after=0,comments"] {
            let what = format!("{}: {behaviour}", wire.name);
            let started = Instant::now();
            let error = wire.ask(&impatient(), &fake, behaviour).await.unwrap_err();
            assert_eq!(error.code(), AiErrorCode::Timeout, "{what}");
            assert!(started.elapsed() < Duration::from_secs(2), "{what}");
        }
        let error = impatient()
            .complete(&wire.endpoint(&fake), &question("fake:hang"))
            .await
            .unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Timeout);
    }
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unreachable() {
    let fake = FakeAi::start().await.unwrap();
    let endpoint = endpoint(&fake.base_url());
    fake.stop().await;
    let error = ai().stream(&endpoint, &question("m")).await.unwrap_err();
    assert_eq!(error.code(), AiErrorCode::Unreachable, "{error:?}");
}

#[tokio::test]
async fn private_addresses_are_forbidden_by_number_and_by_name() {
    let fake = FakeAi::start().await.unwrap();
    let guarded = Ai::new(Outbound::new(AddressPolicy::default()));
    for host in [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "2130706433",
        "169.254.169.254",
    ] {
        let endpoint = endpoint(&format!("http://{host}:{}/v1", fake.addr.port()));
        let error = guarded.stream(&endpoint, &question("m")).await.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::Forbidden, "{host}: {error:?}");
    }
    // Neither does a redirect lead there: none is followed.
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn what_is_not_there_says_so() {
    let no_base = Endpoint {
        provider: Provider::OpenaiCompatible,
        base_url: None,
        api_key: None,
    };
    let error = ai().stream(&no_base, &question("m")).await.unwrap_err();
    assert_eq!(error.code(), AiErrorCode::Rejected);
    assert!(error.detail().contains("needs a base URL"));
    let passages = Endpoint {
        provider: Provider::Passages,
        ..no_base.clone()
    };
    let error = ai().stream(&passages, &question("m")).await.unwrap_err();
    assert_eq!(error.code(), AiErrorCode::Unsupported);
    assert!(error.detail().contains("passages"));
    let error = ai().embed(&passages, "m", &[]).await.unwrap_err();
    assert_eq!(error.code(), AiErrorCode::Unsupported);
    let bad = Endpoint {
        base_url: Some("file:///etc/passwd".parse().unwrap()),
        ..no_base
    };
    assert_eq!(
        ai().stream(&bad, &question("m")).await.unwrap_err().code(),
        AiErrorCode::Rejected
    );
}

#[tokio::test]
async fn a_key_that_was_revoked_and_one_that_works() {
    let fake = FakeAi::start().await.unwrap();
    for wire in WIRES {
        fake.set_behaviour(Behaviour::parse("key=other").unwrap());
        let error = wire.ask(&ai(), &fake, "").await.unwrap_err();
        assert_eq!(error.code(), AiErrorCode::BadKey, "{}", wire.name);
        fake.set_behaviour(Behaviour::parse(&format!("key={KEY}")).unwrap());
        assert!(wire.ask(&ai(), &fake, "").await.is_ok(), "{}", wire.name);
    }
}
