//! What servers say in PostgreSQL's protocol, version 3, as bytes.

use crate::answer::{Cell, Column};

/// A whole message.
#[must_use]
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap_or(u32::MAX);
    let mut bytes = header(tag, length);
    bytes.extend(body);
    bytes
}

/// The beginning of a message that says it is `length` bytes long, these four included.
#[must_use]
pub fn header(tag: u8, length: u32) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(length.to_be_bytes());
    bytes
}

/// What the server wants to know before it lets anybody in: 0 is nothing, 3 the password in clear
/// text, 5 its MD5, 10 to 12 are SASL.
#[must_use]
pub fn authentication(code: u32, rest: &[u8]) -> Vec<u8> {
    let mut body = code.to_be_bytes().to_vec();
    body.extend(rest);
    message(b'R', &body)
}

/// A setting of the session.
#[must_use]
pub fn parameter(name: &str, value: &str) -> Vec<u8> {
    message(b'S', format!("{name}\0{value}\0").as_bytes())
}

/// The process that serves the connection and the secret that cancels its statements.
#[must_use]
pub fn key(process: i32, secret: i32) -> Vec<u8> {
    let mut body = process.to_be_bytes().to_vec();
    body.extend(secret.to_be_bytes());
    message(b'K', &body)
}

/// Ready for the next statement: `I` outside of a transaction, `T` in one, `E` in a failed one.
#[must_use]
pub fn ready(state: u8) -> Vec<u8> {
    message(b'Z', &[state])
}

/// An error.
#[must_use]
pub fn error(sqlstate: &str, text: &str) -> Vec<u8> {
    message(b'E', &fields("ERROR", sqlstate, text))
}

/// A notice.
#[must_use]
pub fn notice(text: &str) -> Vec<u8> {
    message(b'N', &fields("NOTICE", "00000", text))
}

fn fields(severity: &str, sqlstate: &str, text: &str) -> Vec<u8> {
    format!("S{severity}\0V{severity}\0C{sqlstate}\0M{text}\0\0").into_bytes()
}

/// The types of a statement's parameters.
#[must_use]
pub fn parameter_types(types: &[u32]) -> Vec<u8> {
    let mut body = count(types.len()).to_vec();
    types.iter().for_each(|it| body.extend(it.to_be_bytes()));
    message(b't', &body)
}

/// The columns of the rows to come, in binary.
#[must_use]
pub fn row_description(columns: &[Column]) -> Vec<u8> {
    let mut body = count(columns.len()).to_vec();
    for column in columns {
        body.extend(column.name.as_bytes());
        // No table, no column of one.
        body.extend([0; 7]);
        body.extend(column.kind.to_be_bytes());
        // Any width, no modifier, binary.
        body.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 1]);
    }
    message(b'T', &body)
}

/// A row.
#[must_use]
pub fn data_row(cells: &[Cell]) -> Vec<u8> {
    let mut body = count(cells.len()).to_vec();
    for cell in cells {
        match &cell.0 {
            Some(bytes) => {
                let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                body.extend(length.to_be_bytes());
                body.extend(bytes);
            }
            None => body.extend((-1_i32).to_be_bytes()),
        }
    }
    message(b'D', &body)
}

/// The end of a statement's answer.
#[must_use]
pub fn complete(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

fn count(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}
