//! Harm before the sign-in is over.

use std::time::Duration;

use stoa_client_db::ClientDbError;
use stoa_fake_postgres::{Act, FakePostgres, Script, SignIn, Tls, messages};
use tokio::time::Instant;

use super::{Hostile, address_of, measured};
use crate::support::{Client, hasty, new_id};

#[tokio::test]
async fn silence_or_a_byte_now_and_then() {
    let second = Duration::from_secs(1);
    for script in [
        Script::silent(),
        Script::new().sign_in(SignIn::Instead(vec![Act::FallSilent])),
        Script::new().before_ready([Act::FallSilent]),
        Script::new().drip(second),
        Script::new()
            .sign_in(SignIn::scram("a-secret"))
            .drip(second),
    ] {
        let hostile = Hostile::new(script).await;
        let error = hostile.error().await;
        assert!(matches!(error, ClientDbError::Timeout(_)), "{error:?}");
    }
}

#[tokio::test]
async fn another_protocol() {
    for greeting in [
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "SSH-2.0-OpenSSH_9\r\n",
        "\0\0\0\0\0",
    ] {
        let acts = [Act::Say(greeting.into()), Act::FallSilent];
        let error = Hostile::new(Script::new().opening(acts))
            .await
            .error()
            .await;
        assert!(
            matches!(&error, ClientDbError::Protocol { reason } if reason.contains("does not speak")),
            "{greeting}: {error:?}"
        );
    }
}

#[tokio::test]
async fn more_than_anybody_needs_before_the_sign_in() {
    let hello = messages::authentication(0, &[]);
    let mut greeted = vec![Act::Say(hello)];
    greeted.extend(Act::endless_parameters());
    let row = Act::endless_rows(&[]);
    for acts in [
        Act::lie_about_length(b'R', 0x7fff_ffff),
        Act::lie_about_length(b'E', 0x7fff_ffff),
        Act::lie_about_length(b'N', u32::MAX),
        Act::endless_notices(),
        greeted,
        row,
        vec![Act::Say(messages::header(b'R', 3))],
        vec![Act::Say(messages::header(b'R', 6)), Act::Say(vec![0, 0])],
    ] {
        let script = Script::new().opening(acts.clone());
        let error = Hostile::new(script).await.error().await;
        assert!(
            matches!(error, ClientDbError::Protocol { .. }),
            "{acts:.2?}: {error:?}"
        );
        // The same once the client has said who it is, and once it is let in.
        let script = Script::new().sign_in(SignIn::Instead(acts.clone()));
        let error = Hostile::new(script).await.error().await;
        assert!(
            matches!(error, ClientDbError::Protocol { .. }),
            "{acts:.2?}: {error:?}"
        );
        let script = Script::new().before_ready(acts.clone());
        let error = Hostile::new(script).await.error().await;
        assert!(
            matches!(error, ClientDbError::Protocol { .. }),
            "{acts:.2?}: {error:?}"
        );
    }
}

#[tokio::test]
async fn odd_answers_to_the_request_for_tls() {
    let garbage = || {
        vec![
            Act::Say(b"this is not a handshake".to_vec()),
            Act::FallSilent,
        ]
    };
    for (tls, codes) in [
        (
            Tls::Instead(vec![Act::FallSilent]),
            &["database_timeout"][..],
        ),
        (Tls::Instead(vec![Act::HangUp]), &["database_protocol"]),
        (
            Tls::Instead(vec![Act::Reset]),
            &["host_unreachable", "database_protocol"],
        ),
        (
            Tls::Instead(vec![Act::Say(messages::error("XX000", "no"))]),
            &["database_protocol"],
        ),
        (Tls::Instead(garbage()), &["database_protocol"]),
        (Tls::Pretend(garbage()), &["database_tls"]),
        (Tls::Pretend(vec![Act::FallSilent]), &["database_timeout"]),
        (Tls::Pretend(vec![Act::Zeros(u64::MAX)]), &["database_tls"]),
        // Words in the clear behind the agreement are not taken for the server's.
        (
            Tls::Pretend(vec![Act::Say(messages::authentication(0, &[]))]),
            &["database_tls"],
        ),
    ] {
        let server = FakePostgres::start(Script::new().tls(tls.clone()))
            .await
            .unwrap();
        let client = Client::at(new_id(), address_of(&server, ""), hasty());
        let error = measured(client.databases.checkout(&client.target)).await;
        let error = error.map(|_| ()).unwrap_err();
        assert!(codes.contains(&error.code()), "{tls:.2?}: {error:?}");
        assert!(!server.heard().windows(8).any(|it| it == b"a-secret"));
    }
}

#[tokio::test]
async fn a_reset_at_every_byte_of_a_sign_in() {
    let script = || Script::new().sign_in(SignIn::scram("a-secret"));
    let whole = Hostile::new(script().before_ready([Act::HangUp])).await;
    whole.error().await;
    let length = usize::try_from(whole.server.said()).unwrap() + messages::ready(b'I').len();
    assert!(length > 300, "{length}");
    let hostile = Hostile::new(Script::new()).await;
    for bytes in 0..length {
        hostile.server.set(script().reset_after(bytes));
        // Anew, since the breaker leaves a server alone that fails too often.
        let client = Client::at(new_id(), (*hostile.client.target.address).clone(), hasty());
        let error = measured(client.databases.checkout(&client.target)).await;
        let error = error.map(|_| ()).unwrap_err();
        assert!(error.is_outage(), "after {bytes} bytes: {error:?}");
    }
}

#[tokio::test]
async fn asking_for_the_password_in_the_clear_or_as_md5() {
    for (code, rest) in [(3, &[][..]), (5, &[1, 2, 3, 4]), (7, &[])] {
        let hostile = Hostile::new(Script::new().sign_in(SignIn::ask(code, rest))).await;
        let error = hostile.error().await;
        assert!(matches!(error, ClientDbError::SignIn(_)), "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let heard = hostile.server.heard();
        assert!(!heard.is_empty(), "it was spoken to");
        assert!(
            !heard.windows(8).any(|it| it == b"a-secret"),
            "the password was sent"
        );
        assert!(
            !heard.windows(3).any(|it| it == b"md5"),
            "its hash was sent"
        );
    }
}

#[tokio::test]
async fn four_billion_rounds_of_scram() {
    for rounds in [u32::MAX, 1 << 31, 10_000_000] {
        let hostile = Hostile::new(Script::new().sign_in(SignIn::ScramRounds(rounds))).await;
        let began = Instant::now();
        let error = hostile.error().await;
        assert!(
            began.elapsed() < Duration::from_millis(500),
            "refused, not computed"
        );
        assert!(
            matches!(
                error,
                ClientDbError::Protocol { .. } | ClientDbError::SignIn(_)
            ),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_passed_on_in_part() {
    let long = format!("no\r\n\u{1b}[31m{}", "x".repeat(40_000));
    let hostile = Hostile::new(Script::new().sign_in(SignIn::refuse("28P01", &long))).await;
    match hostile.error().await {
        ClientDbError::SignIn(server) => {
            assert_eq!(server.sqlstate, "28P01");
            assert!(server.message.starts_with("no") && server.message.len() <= 300);
            assert!(
                !server.message.contains(char::is_control),
                "{}",
                server.message
            );
        }
        error => panic!("{error:?}"),
    }
}
