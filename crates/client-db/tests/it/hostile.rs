//! Servers that mean harm: an error within the deadline, and little memory.

use std::{future::Future, time::Duration};

use stoa_client_db::{ClientDbError, DatabaseAddress};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::Instant,
};

use crate::support::{Client, hasty, new_id, resident, rules};

/// A server that does `script` to everybody who connects, and a client's pool that leads to it.
async fn client_of<F>(script: impl Fn(TcpStream) -> F + Send + 'static) -> Client
where
    F: Future<Output = std::io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(stream));
        }
    });
    let url = format!("postgres://u:a-secret@127.0.0.1:{port}/d?sslmode=disable");
    Client::at(
        new_id(),
        DatabaseAddress::parse(&url, &rules()).unwrap(),
        hasty(),
    )
}

/// The error that `client`'s first use ends with, in time and without much memory.
async fn error_of(client: &Client) -> ClientDbError {
    let (before, began) = (resident(), Instant::now());
    let error = client
        .databases
        .checkout(&client.target)
        .await
        .err()
        .expect("it must fail");
    assert!(
        began.elapsed() < Duration::from_millis(2_000),
        "took {:?}",
        began.elapsed()
    );
    let grown = resident().saturating_sub(before);
    assert!(grown < 32 * 1024 * 1024, "grew by {} MB", grown >> 20);
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains("a-secret"), "{shown}");
    error
}

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

/// Reads the start-up message and lets the client in without a password.
async fn let_in(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 1024];
    let _ = stream.read(&mut buffer).await?;
    let mut hello = message(b'R', &[0; 4]);
    hello.extend(message(b'K', &[0; 8]));
    hello.extend(message(b'Z', b"I"));
    stream.write_all(&hello).await?;
    // The first statement.
    let _ = stream.read(&mut buffer).await?;
    Ok(())
}

/// The answer to a statement up to its rows: one column of text.
fn one_column() -> Vec<u8> {
    let mut bytes = message(b'1', &[]);
    bytes.extend(message(b'2', &[]));
    bytes.extend(message(b't', &[0, 0]));
    let mut row = vec![0, 1];
    row.extend(b"c\0");
    row.extend([
        0, 0, 0, 0, 0, 0, 0, 0, 0, 25, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0,
    ]);
    bytes.extend(message(b'T', &row));
    bytes
}

async fn linger(mut stream: TcpStream) -> std::io::Result<()> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.map(|_| ())
}

#[tokio::test]
async fn silence() {
    let client = client_of(linger).await;
    let error = error_of(&client).await;
    assert!(matches!(error, ClientDbError::Timeout(_)), "{error:?}");
}

#[tokio::test]
async fn another_protocol() {
    let client = client_of(|mut stream| async move {
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await?;
        linger(stream).await
    })
    .await;
    let error = error_of(&client).await;
    assert!(
        matches!(&error, ClientDbError::Protocol { reason } if reason.contains("does not speak")),
        "{error:?}"
    );
}

#[tokio::test]
async fn two_gigabytes_before_the_sign_in() {
    let client = client_of(|mut stream| async move {
        stream.write_all(&[b'R', 0x7f, 0xff, 0xff, 0xff]).await?;
        let lots = vec![0; 1 << 20];
        loop {
            stream.write_all(&lots).await?;
        }
    })
    .await;
    let error = error_of(&client).await;
    assert!(matches!(error, ClientDbError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn notices_without_end() {
    let client = client_of(|mut stream| async move {
        let notices = message(b'N', &[b'M', b'x', 0, 0]).repeat(1_000);
        loop {
            stream.write_all(&notices).await?;
        }
    })
    .await;
    let error = error_of(&client).await;
    assert!(matches!(error, ClientDbError::Protocol { .. }), "{error:?}");
}

#[tokio::test]
async fn hanging_up_at_every_byte_of_a_sign_in() {
    let mut hello = message(b'R', &[0; 4]);
    hello.extend(message(b'S', b"server_version\x0016\0"));
    hello.extend(message(b'Z', b"I"));
    for length in (0..hello.len()).step_by(3) {
        let part = hello[..length].to_vec();
        let client = client_of(move |mut stream| {
            let part = part.clone();
            async move {
                let mut buffer = [0; 1024];
                let _ = stream.read(&mut buffer).await?;
                stream.write_all(&part).await
            }
        })
        .await;
        let error = error_of(&client).await;
        assert!(error.is_outage(), "{error:?}");
    }
}

#[tokio::test]
async fn asking_for_the_password_in_the_clear_or_as_md5() {
    for request in [
        vec![0, 0, 0, 3],
        vec![0, 0, 0, 5, 1, 2, 3, 4],
        vec![0, 0, 0, 7],
    ] {
        let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let heard = std::sync::Arc::clone(&seen);
        let client = client_of(move |mut stream| {
            let (request, heard) = (message(b'R', &request), std::sync::Arc::clone(&heard));
            async move {
                stream.write_all(&request).await?;
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await?;
                heard.lock().unwrap().extend(all);
                Ok(())
            }
        })
        .await;
        let error = error_of(&client).await;
        assert!(matches!(error, ClientDbError::SignIn(_)), "{error:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
        let heard = seen.lock().unwrap();
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
    let client = client_of(|mut stream| async move {
        stream
            .write_all(&message(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0"))
            .await?;
        let mut buffer = vec![0; 4096];
        let mut heard = String::new();
        // The start-up message and the first answer may come together or not.
        while !heard.contains("r=") {
            let length = stream.read(&mut buffer).await?;
            heard.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
        let nonce = heard.rsplit("r=").next().unwrap();
        let mut body = b"\0\0\0\x0b".to_vec();
        body.extend(format!("r={nonce}x,s=c2FsdHNhbHRzYWx0c2FsdA==,i=4294967295").into_bytes());
        stream.write_all(&message(b'R', &body)).await?;
        linger(stream).await
    })
    .await;
    let began = Instant::now();
    let error = error_of(&client).await;
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

#[tokio::test]
async fn two_gigabytes_in_one_row() {
    let client = client_of(|mut stream| async move {
        let_in(&mut stream).await?;
        stream.write_all(&one_column()).await?;
        stream.write_all(&[b'D', 0x7f, 0xff, 0xff, 0xff]).await?;
        let lots = vec![0; 1 << 20];
        loop {
            stream.write_all(&lots).await?;
        }
    })
    .await;
    let error = error_of(&client).await;
    assert!(matches!(error, ClientDbError::TooMuch), "{error:?}");
}

#[tokio::test]
async fn rows_without_end() {
    let client = client_of(|mut stream| async move {
        let_in(&mut stream).await?;
        stream.write_all(&one_column()).await?;
        let rows = message(b'D', &[0, 1, 0, 0, 0, 1, b'x']).repeat(5_000);
        loop {
            stream.write_all(&rows).await?;
        }
    })
    .await;
    let error = error_of(&client).await;
    assert!(matches!(error, ClientDbError::TooMuch), "{error:?}");
}

#[tokio::test]
async fn rows_of_the_wrong_shape() {
    let client = client_of(|mut stream| async move {
        let_in(&mut stream).await?;
        let mut answer = one_column();
        answer.extend(message(b'D', &[0, 1, 0, 0, 0, 1, b'x']));
        answer.extend(message(b'C', b"SELECT 1\0"));
        answer.extend(message(b'Z', b"I"));
        stream.write_all(&answer).await?;
        linger(stream).await
    })
    .await;
    let error = error_of(&client).await;
    assert!(
        matches!(error, ClientDbError::Unreadable { .. }),
        "{error:?}"
    );
}
