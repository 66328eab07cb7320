//! Servers that are no providers at all.

use std::time::{Duration, Instant};

use stoa_ai::AiErrorCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::{ai, endpoint, question};

/// What a server that sends `head`, and then `piece` for ever or nothing, is taken for.
async fn code(head: &'static [u8], piece: &'static [u8]) -> AiErrorCode {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serve = async {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            talk(&mut socket, head, piece).await;
        }
    };
    let ask = async {
        let endpoint = endpoint(&format!("http://{address}/v1"));
        ai().stream(&endpoint, &question("m"))
            .await
            .unwrap_err()
            .code()
    };
    let started = Instant::now();
    let code = tokio::select! {
        code = ask => code,
        () = serve => unreachable!("the server serves for ever"),
    };
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    code
}

async fn talk(socket: &mut TcpStream, head: &[u8], piece: &[u8]) {
    let mut request = [0; 4096];
    let _ = socket.read(&mut request).await;
    let mut sent = socket.write_all(head).await;
    while sent.is_ok() && !piece.is_empty() {
        sent = socket.write_all(piece).await;
    }
}

#[tokio::test]
async fn another_protocol_is_not_understood() {
    let ssh = b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n";
    assert_eq!(code(ssh, b"").await, AiErrorCode::Protocol);
}

#[tokio::test]
async fn a_connection_that_is_closed_at_once_reaches_nobody() {
    assert_eq!(code(b"", b"").await, AiErrorCode::Unreachable);
}

#[tokio::test]
async fn bodies_without_end_are_read_to_their_bound() {
    let error = b"HTTP/1.1 500 Oh\r\ncontent-type: application/json\r\n\r\n";
    assert_eq!(code(error, &[b'x'; 4096]).await, AiErrorCode::Overloaded);
    let whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n";
    assert_eq!(code(whole, &[b' '; 65_536]).await, AiErrorCode::Protocol);
    let line = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: ";
    assert_eq!(code(line, &[b'x'; 4096]).await, AiErrorCode::Protocol);
    let lines = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
    let piece = b"data: many lines and never the end of the event\n";
    assert_eq!(code(lines, piece).await, AiErrorCode::Protocol);
}
