//! The reader of messages, however the bytes are cut.

use super::*;

fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend(u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

fn follow(bytes: &[u8], step: usize) -> Result<MessageReader, WireViolation> {
    let budget = Budget::default();
    let mut reader = MessageReader::default();
    for piece in bytes.chunks(step) {
        reader.follow(piece, &budget)?;
    }
    Ok(reader)
}

#[test]
fn a_proper_sign_in_passes_however_it_is_cut() {
    let mut bytes = message(b'R', &[0, 0, 0, 10, b'S', 0, 0]);
    bytes.extend(message(b'R', &[0, 0, 0, 11]));
    bytes.extend(message(b'R', &[0, 0, 0, 12]));
    bytes.extend(message(b'R', &[0, 0, 0, 0]));
    bytes.extend(message(b'S', b"server_version\x0015\0"));
    bytes.extend(message(b'K', &[0; 8]));
    bytes.extend(message(b'Z', b"I"));
    for step in 1..=bytes.len() {
        assert!(
            follow(&bytes, step).unwrap().signed_in,
            "in steps of {step}"
        );
    }
}

#[test]
fn passwords_are_not_given_away() {
    for step in 1..10 {
        let clear = message(b'R', &[0, 0, 0, 3]);
        assert_eq!(
            follow(&clear, step).unwrap_err(),
            WireViolation::CleartextPassword
        );
        let md5 = message(b'R', &[0, 0, 0, 5, 1, 2, 3, 4]);
        assert_eq!(follow(&md5, step).unwrap_err(), WireViolation::Md5Password);
        let kerberos = message(b'R', &[0, 0, 0, 2]);
        assert_eq!(
            follow(&kerberos, step).unwrap_err(),
            WireViolation::UnknownAuthentication
        );
    }
}

#[test]
fn an_announcement_alone_is_enough() {
    let bytes = [b'R', 0x7f, 0xff, 0xff, 0xff];
    assert_eq!(
        follow(&bytes, 5).unwrap_err(),
        WireViolation::TooMuchBeforeSignIn
    );
    assert_eq!(
        follow(&[b'E', 0, 0, 0, 3], 5).unwrap_err(),
        WireViolation::Malformed
    );
}

#[test]
fn other_protocols_are_known_by_their_first_byte() {
    for greeting in [
        "HTTP/1.1 400 Bad Request\r\n",
        "SSH-2.0-x",
        "220 mail ESMTP",
    ] {
        assert_eq!(
            follow(greeting.as_bytes(), 1).unwrap_err(),
            WireViolation::NotPostgres
        );
    }
}
