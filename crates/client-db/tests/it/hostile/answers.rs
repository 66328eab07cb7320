//! Harm in the answer to a statement: the first one of a connection, and one of a visitor's.

use std::time::Duration;

use stoa_client_db::{ClientDbError, DatabaseAddress, sessions};
use stoa_fake_postgres::{Act, Answer, Behaviour, Cell, Column, Proxy, Script, messages};
use tokio_postgres::types::Type;

use super::{Hostile, marked, measured};
use crate::support::{Client, hasty, new, new_id, rules};

fn text() -> Column {
    Column::new("c", &Type::TEXT)
}

/// A column of text, and then these acts.
fn then(acts: Vec<Act>) -> Answer {
    Answer::rows([text()]).then(acts)
}

fn say(bytes: Vec<u8>) -> Answer {
    then(vec![Act::Say(bytes), Act::FallSilent])
}

const TOO_LARGE: &[&str] = &["database_answer_too_large"];
/// Either bound may be the first to be broken.
const ANY: &[&str] = &["database_answer_too_large", "database_protocol"];
const TIMEOUT: &[&str] = &["database_timeout"];
const LOST: &[&str] = &["database_connection_lost"];
const NONSENSE: &[&str] = &["database_protocol", "database_unreadable"];

/// What a server may answer, and what it comes to.
fn harm() -> Vec<(&'static str, Answer, &'static [&'static str])> {
    let nulls = messages::message(b'D', &[0xff; 2 + 65_535 * 4]);
    let cell = |length: i32| {
        let body = [vec![0, 1], length.to_be_bytes().to_vec(), vec![b'x']].concat();
        messages::message(b'D', &body)
    };
    vec![
        ("silence", then(vec![Act::FallSilent]), TIMEOUT),
        ("hanging up", then(vec![Act::HangUp]), LOST),
        ("a reset", then(vec![Act::Reset]), LOST),
        (
            "a long error",
            Answer::error("XX000", &"x".repeat(1 << 20)),
            &["database_statement"],
        ),
        (
            "a sudden end",
            Answer::error("57P01", "terminating"),
            &["database_statement"],
        ),
        (
            "rows without end",
            then(Act::endless_rows(&[Cell::text("x")])),
            TOO_LARGE,
        ),
        ("empty rows without end", then(Act::endless_rows(&[])), ANY),
        (
            "notices without end",
            then(Act::endless_notices()),
            TOO_LARGE,
        ),
        (
            "settings without end",
            then(Act::endless_parameters()),
            TOO_LARGE,
        ),
        (
            "a cell of 100 MB",
            then(Act::large_cell(100_000_000)),
            TOO_LARGE,
        ),
        (
            "a cell of 2 GiB",
            then(Act::lie_about_length(b'D', 0x7fff_ffff)),
            TOO_LARGE,
        ),
        (
            "an error of 2 GiB",
            then(Act::lie_about_length(b'E', 0x7fff_ffff)),
            TOO_LARGE,
        ),
        (
            "a row of 65,535 nulls",
            then(vec![Act::Repeat(nulls)]),
            TOO_LARGE,
        ),
        (
            "1,000 columns",
            Answer::rows((0..1_000).map(|_| text())),
            TOO_LARGE,
        ),
        (
            "another type",
            Answer::rows([text()]).row([Cell::text("x")]),
            NONSENSE,
        ),
        ("no cells", Answer::rows([text()]).row([]), NONSENSE),
        (
            "too many cells",
            Answer::rows([text()]).row([Cell::NULL, Cell::NULL]),
            NONSENSE,
        ),
        ("a cell that is cut off", say(cell(1_000)), NONSENSE),
        ("a cell of a negative length", say(cell(-5)), NONSENSE),
        (
            "a length below its own",
            say(messages::header(b'D', 3)),
            NONSENSE,
        ),
        (
            "a row without a count",
            say(messages::message(b'D', &[])),
            NONSENSE,
        ),
        (
            "a message of no kind",
            say(messages::message(0xff, b"x")),
            NONSENSE,
        ),
        (
            "another sign-in",
            say(messages::authentication(3, &[])),
            NONSENSE,
        ),
        ("a copy", say(messages::message(b'G', &[0, 0, 0])), NONSENSE),
        (
            "text",
            say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
            &["database_answer_too_large"],
        ),
    ]
}

#[tokio::test]
async fn every_harm_ends_in_an_error_in_time_and_without_much_memory() {
    let mut wrong = Vec::new();
    for (name, answer, codes) in harm() {
        let first = Hostile::new(Script::new().otherwise(answer.clone())).await;
        let error = first.error().await;
        if !codes.contains(&error.code()) {
            wrong.push(format!("{name}, at first: {error:?}"));
        }
        let instance = new_id();
        let later = Hostile::of(instance, marked(instance).otherwise(answer)).await;
        let error = later.error().await;
        if !codes.contains(&error.code()) {
            wrong.push(format!("{name}, later: {error:?}"));
        }
        // Only what the driver took for a proper answer leaves the connection in use.
        let is_proper = error.sqlstate().is_some() || error.code() == "database_unreadable";
        if !is_proper && later.client.databases.open_connections() > 0 {
            wrong.push(format!("{name}: the connection is kept"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test]
async fn settings_that_pile_up_over_many_statements_end_the_connection() {
    let instance = new_id();
    let some = (0..500).flat_map(|it| messages::parameter(&format!("{it}.{}", "x".repeat(80)), ""));
    let answer = Answer::acting([Act::Say(some.collect())]);
    let hostile = Hostile::of(instance, marked(instance).otherwise(answer)).await;
    let client = &hostile.client;
    for _ in 0..20 {
        let connection = client.databases.checkout(&client.target).await.unwrap();
        let found = sessions::find(&connection, new!(SessionId)).await.unwrap();
        assert!(found.is_none());
    }
    let connections = hostile.server.connections();
    assert!((2..=10).contains(&connections), "{connections}");
}

#[tokio::test]
async fn a_byte_now_and_then() {
    let instance = new_id();
    let slow = marked(instance).delay(Duration::from_millis(300));
    let hostile = Hostile::of(
        instance,
        slow.otherwise(Answer::acting([
            Act::Say(vec![b'C']),
            Act::Wait(Duration::from_secs(1)),
            Act::Say(vec![0]),
            Act::FallSilent,
        ])),
    )
    .await;
    let error = hostile.error().await;
    assert!(matches!(error, ClientDbError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn a_reset_at_every_byte_of_an_answer() {
    let instance = new_id();
    let script = || marked(instance).otherwise(Answer::error("XX000", "the end"));
    let whole = Hostile::of(instance, script()).await;
    let signed_in = {
        let none = Hostile::of(
            instance,
            Script::new().otherwise(Answer::acting([Act::HangUp])),
        );
        none.await
    };
    signed_in.error().await;
    let error = whole.error().await;
    assert!(matches!(error, ClientDbError::Statement(_)), "{error:?}");
    let length = usize::try_from(whole.server.said() - signed_in.server.said()).unwrap();
    assert!((100..1_000).contains(&length), "{length}");
    for bytes in 0..length {
        let hostile = Hostile::of(instance, script().reset_in_answers(bytes)).await;
        let error = hostile.error().await;
        // Past the error's last byte the statement has failed, and the connection is lost all the same.
        assert!(
            matches!(
                error,
                ClientDbError::ConnectionLost | ClientDbError::Statement(_)
            ),
            "after {bytes} bytes: {error:?}"
        );
    }
}

/// The same with a real server, whose words are cut off at some byte of the sign-in, the marker or
/// the answer.
#[tokio::test]
async fn a_real_server_that_is_cut_off_at_any_byte() {
    let real = Client::new().await;
    let (session, _) = real.session().await;
    let address = &real.target.address;
    let proxy = Proxy::start(&format!("{}:{}", address.host(), address.port()))
        .await
        .unwrap();
    let url = format!("{}?sslmode=disable", proxy.url(&real.given_url()));
    let address = DatabaseAddress::parse(&url, &rules()).unwrap();
    let (mut failed, mut found) = (0, 0);
    for bytes in (0..3_000).step_by(29) {
        proxy.set(Behaviour::ResetAfter(bytes)).await;
        let client = Client::at(real.target.instance, address.clone(), hasty());
        let outcome = measured(async {
            let connection = client.databases.checkout(&client.target).await?;
            sessions::find(&connection, session).await
        })
        .await;
        match outcome {
            Ok(Some(_)) => found += 1,
            Ok(None) => panic!("after {bytes} bytes there was no session"),
            Err(error) => {
                failed += 1;
                assert!(error.is_outage(), "after {bytes} bytes: {error:?}");
            }
        }
    }
    assert!(failed > 20 && found > 20, "{failed} failed, {found} found");
}
