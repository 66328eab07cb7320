//! One connection, from the first byte to the last.

use std::{collections::HashMap, sync::Arc};

use tokio::{net::TcpStream, time::sleep};

use crate::{
    answer::{self, Answer},
    messages,
    peer::{End, Peer},
    record::Record,
    scram::{self, ClientFirst},
    script::{Script, SignIn, Tls},
};

/// The codes of messages before the sign-in.
const CANCEL_REQUEST: u32 = 80_877_102;
const TLS_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// What SASL is offered with.
const MECHANISMS: &[u8] = b"SCRAM-SHA-256\0\0";

/// Follows `script` with whoever is at the other end of `stream`.
pub(crate) async fn hold(stream: TcpStream, script: &Script, record: Arc<Record>) {
    let _ = stream.set_nodelay(true);
    record.connections.add(1);
    let mut peer = Peer::new(stream, Arc::clone(&record), script.drip, script.reset_after);
    let end = match begin(&mut peer, script, &record).await {
        Ok(()) => serve(&mut peer, script, &record).await,
        Err(end) => Err(end),
    };
    if let Err(end) = end {
        peer.close(&end);
    }
}

/// Up to being ready for the first statement.
async fn begin(peer: &mut Peer, script: &Script, record: &Record) -> Result<(), End> {
    peer.perform(&script.opening).await?;
    loop {
        match peer.hear_untagged().await?.0 {
            TLS_REQUEST => match &script.tls {
                Tls::Refuse => peer.say(b"N").await?,
                Tls::Pretend(acts) => {
                    peer.say(b"S").await?;
                    peer.perform(acts).await?;
                    return Err(End::HungUp);
                }
                Tls::Instead(acts) => {
                    peer.perform(acts).await?;
                    return Err(End::HungUp);
                }
            },
            GSS_REQUEST => peer.say(b"N").await?,
            CANCEL_REQUEST => {
                record.cancels.add(1);
                return Err(End::HungUp);
            }
            _ => break,
        }
    }
    sign_in(peer, &script.sign_in).await?;
    let mut hello = messages::authentication(0, &[]);
    for (name, value) in [
        ("server_version", "18.0"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
    ] {
        hello.extend(messages::parameter(name, value));
    }
    hello.extend(messages::key(4711, 42));
    peer.say(&hello).await?;
    peer.perform(&script.before_ready).await?;
    peer.say(&messages::ready(b'I')).await?;
    if let Some(bytes) = script.reset_in_answers {
        peer.reset_after(bytes);
    }
    Ok(())
}

async fn sign_in(peer: &mut Peer, sign_in: &SignIn) -> Result<(), End> {
    match sign_in {
        SignIn::Trust => Ok(()),
        SignIn::Refuse { sqlstate, message } => {
            peer.say(&messages::error(sqlstate, message)).await?;
            Err(End::HungUp)
        }
        SignIn::Instead(acts) => {
            peer.perform(acts).await?;
            Err(End::HungUp)
        }
        SignIn::ScramRounds(rounds) => {
            let first = ask_for_scram(peer).await?;
            let first = ClientFirst::parse(&first).ok_or(End::Left)?;
            let challenge = scram::challenge(&first, "c2FsdHNhbHRzYWx0c2FsdA==", *rounds);
            peer.say(&messages::authentication(11, challenge.as_bytes()))
                .await?;
            // The answer, if one comes after all, is of no use to it.
            peer.hear().await?;
            Err(End::HungUp)
        }
        SignIn::Scram(verifier) => {
            let first = ask_for_scram(peer).await?;
            let first = ClientFirst::parse(&first).ok_or(End::Left)?;
            let challenge = verifier.challenge(&first);
            peer.say(&messages::authentication(11, challenge.as_bytes()))
                .await?;
            let last = text(peer.hear().await?.1)?;
            match verifier.verify(&first, &last) {
                Some(last) => {
                    peer.say(&messages::authentication(12, last.as_bytes()))
                        .await
                }
                None => {
                    peer.say(&messages::error("28P01", "password authentication failed"))
                        .await?;
                    Err(End::HungUp)
                }
            }
        }
    }
}

/// Offers SCRAM and returns the client's first message.
async fn ask_for_scram(peer: &mut Peer) -> Result<String, End> {
    peer.say(&messages::authentication(10, MECHANISMS)).await?;
    let (_, body) = peer.hear().await?;
    // The name of the mechanism, the length of the message, the message.
    let name = body.iter().position(|it| *it == 0).ok_or(End::Left)?;
    text(body.get(name + 5..).ok_or(End::Left)?.to_vec())
}

/// A statement that a client has had read.
struct Parsed {
    sql: String,
    types: Vec<u32>,
}

/// Statements and portals of one connection, by name.
#[derive(Default)]
struct Known {
    statements: HashMap<String, Parsed>,
    portals: HashMap<String, String>,
}

/// Answers statements until one side leaves.
async fn serve(peer: &mut Peer, script: &Script, record: &Record) -> Result<(), End> {
    let mut known = Known::default();
    let mut state = b'I';
    // After an error all is skipped up to the next synchronisation.
    let mut skipping = false;
    let mut out = Vec::new();
    loop {
        let (tag, body) = peer.hear().await?;
        match tag {
            b'X' => return Err(End::HungUp),
            b'S' => {
                skipping = false;
                out.extend(messages::ready(state));
                peer.say(&std::mem::take(&mut out)).await?;
            }
            _ if skipping => {}
            b'Q' => {
                let sql = text(body)?;
                let sql = sql.trim_end_matches('\0');
                record.statement(sql);
                let found = script.answer_to(sql);
                sleep(script.delay).await;
                if !found.columns.is_empty() {
                    out.extend(messages::row_description(&found.columns));
                }
                let failed = run(peer, found, sql, &mut out).await?;
                state = next_state(state, sql, failed);
                out.extend(messages::ready(state));
                peer.say(&std::mem::take(&mut out)).await?;
            }
            b'E' => {
                let portal = Words(&body).text()?;
                let sql = known.portals.get(&portal).cloned().unwrap_or_default();
                record.statement(&sql);
                sleep(script.delay).await;
                let found = script.answer_to(&sql);
                skipping = run(peer, found, &sql, &mut out).await?;
                state = next_state(state, &sql, skipping);
            }
            _ => {
                skipping = known.prepare(tag, &body, script, &mut out)?;
                if skipping {
                    state = next_state(state, "", true);
                }
            }
        }
    }
}

/// Says an answer behind what was to be said before it, and whether it was an error.
async fn run(peer: &mut Peer, found: &Answer, sql: &str, out: &mut Vec<u8>) -> Result<bool, End> {
    for row in &found.rows {
        out.extend(messages::data_row(row));
    }
    if !found.acts.is_empty() {
        peer.say(&std::mem::take(out)).await?;
        peer.perform(&found.acts).await?;
    }
    match &found.end {
        answer::End::Complete(tag) => {
            let made = || match first_word(sql).as_str() {
                word @ ("BEGIN" | "COMMIT" | "ROLLBACK") => word.to_owned(),
                _ => format!("SELECT {}", found.rows.len()),
            };
            let tag = tag.clone().unwrap_or_else(made);
            out.extend(messages::complete(&tag));
            Ok(false)
        }
        answer::End::Error { sqlstate, message } => {
            out.extend(messages::error(sqlstate, message));
            Ok(true)
        }
    }
}

impl Known {
    /// Takes a message that prepares a statement, and says whether it failed.
    fn prepare(
        &mut self,
        tag: u8,
        body: &[u8],
        script: &Script,
        out: &mut Vec<u8>,
    ) -> Result<bool, End> {
        let mut words = Words(body);
        match tag {
            b'P' => {
                let (name, sql) = (words.text()?, words.text()?);
                let found = script.answer_to(&sql);
                if let (true, answer::End::Error { sqlstate, message }) =
                    (found.fails_early(), &found.end)
                {
                    out.extend(messages::error(sqlstate, message));
                    return Ok(true);
                }
                let count = words.number::<2>()?;
                let types = (0..u16::from_be_bytes(count))
                    .map(|_| words.number().map(u32::from_be_bytes))
                    .collect::<Result<_, _>>()?;
                self.statements.insert(name, Parsed { sql, types });
                out.extend(messages::message(b'1', &[]));
            }
            b'B' => {
                let (portal, name) = (words.text()?, words.text()?);
                let sql = self.statements.get(&name).map(|it| it.sql.clone());
                self.portals.insert(portal, sql.ok_or(End::Left)?);
                out.extend(messages::message(b'2', &[]));
            }
            b'D' => {
                let [kind] = words.number()?;
                let name = words.text()?;
                let sql = if kind == b'S' {
                    let parsed = self.statements.get(&name).ok_or(End::Left)?;
                    out.extend(messages::parameter_types(&parsed.types));
                    &parsed.sql
                } else {
                    self.portals.get(&name).ok_or(End::Left)?
                };
                let columns = &script.answer_to(sql).columns;
                out.extend(match columns.is_empty() {
                    true => messages::message(b'n', &[]),
                    false => messages::row_description(columns),
                });
            }
            b'C' => out.extend(messages::message(b'3', &[])),
            b'H' => {}
            _ => return Err(End::Left),
        }
        Ok(false)
    }
}

/// The parts of a message's body, from front to back.
struct Words<'a>(&'a [u8]);

impl Words<'_> {
    fn text(&mut self) -> Result<String, End> {
        let end = self.0.iter().position(|it| *it == 0).ok_or(End::Left)?;
        let (now, later) = self.0.split_at(end);
        self.0 = &later[1..];
        text(now.to_vec())
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], End> {
        let (now, later) = self.0.split_first_chunk().ok_or(End::Left)?;
        self.0 = later;
        Ok(*now)
    }
}

fn text(bytes: Vec<u8>) -> Result<String, End> {
    String::from_utf8(bytes).map_err(|_| End::Left)
}

fn first_word(sql: &str) -> String {
    let word = sql.split_whitespace().next().unwrap_or_default();
    word.trim_end_matches(';').to_ascii_uppercase()
}

/// The state of the transaction after a statement.
fn next_state(state: u8, sql: &str, failed: bool) -> u8 {
    match (first_word(sql).as_str(), failed) {
        ("BEGIN", false) => b'T',
        ("COMMIT" | "ROLLBACK", false) => b'I',
        (_, true) if state != b'I' => b'E',
        _ => state,
    }
}
