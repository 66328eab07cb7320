//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), as PostgreSQL speaks it.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What a server keeps of a password.
#[derive(Debug, Clone)]
pub struct Verifier {
    salt: String,
    rounds: u32,
    stored_key: Vec<u8>,
    server_key: Vec<u8>,
}

/// The server's part of the nonce. A fake has no need of another each time.
const NONCE: &str = "a-nonce-of-the-fake";

/// A client's first message, taken apart.
pub(crate) struct ClientFirst<'a> {
    bare: &'a str,
    nonce: &'a str,
}

impl Verifier {
    /// Of `password`, as PostgreSQL makes it: `SCRAM-SHA-256$rounds:salt$stored key:server key`.
    pub(crate) fn of(password: &str) -> Self {
        let text = postgres_protocol::password::scram_sha_256(password.as_bytes());
        let mut parts = text.split(['$', ':']).skip(1);
        let mut next = || parts.next().unwrap_or_default();
        let decoded = |text: &str| STANDARD.decode(text).unwrap_or_default();
        Self {
            rounds: next().parse().unwrap_or_default(),
            salt: next().to_owned(),
            stored_key: decoded(next()),
            server_key: decoded(next()),
        }
    }

    pub(crate) fn challenge(&self, client: &ClientFirst<'_>) -> String {
        challenge(client, &self.salt, self.rounds)
    }

    /// The server's last message; `None` when the proof is wrong.
    pub(crate) fn verify(&self, client: &ClientFirst<'_>, last: &str) -> Option<String> {
        let (without_proof, proof) = last.rsplit_once(",p=")?;
        let said = format!("{},{},{without_proof}", client.bare, self.challenge(client));
        let signature = signed(&self.stored_key, said.as_bytes())?;
        let proof = STANDARD.decode(proof).ok()?;
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if Sha256::digest(client_key).as_slice() != self.stored_key {
            return None;
        }
        let signature = signed(&self.server_key, said.as_bytes())?;
        Some(format!("v={}", STANDARD.encode(signature)))
    }
}

impl<'a> ClientFirst<'a> {
    /// Reads `n,,n=user,r=nonce`.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let bare = text.splitn(3, ',').nth(2)?;
        let nonce = bare.split(',').find_map(|it| it.strip_prefix("r="))?;
        Some(Self { bare, nonce })
    }
}

/// The server's first message.
pub(crate) fn challenge(client: &ClientFirst<'_>, salt: &str, rounds: u32) -> String {
    format!("r={}{NONCE},s={salt},i={rounds}", client.nonce)
}

fn signed(key: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(message);
    Some(mac.finalize().into_bytes().to_vec())
}
