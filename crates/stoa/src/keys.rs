//! `stoa keys …`: the master keys, and putting a new one in an old one's place.

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use serde::Serialize;
use stoa_app::PlatformDbError;
use stoa_app::master_keys::{self, MasterKey, Rotation};
use stoa_domain::InstanceId;

use crate::command::on_app;
use crate::command_line::failure::Failure;
use crate::command_line::output::{OutputArguments, table};
use crate::command_line::progress::Progress;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Put every stored secret under the newest master key, while servers serve
    Rotate(OutputArguments),
    /// List the master keys, and what each of them still holds
    List(OutputArguments),
}

/// A master key as it is printed.
#[derive(Serialize)]
struct Key {
    id: String,
    configured: bool,
    newest: bool,
    data_keys: i64,
    kept_answers: i64,
    kept_answers_until: Option<DateTime<Utc>>,
    /// Nothing needs it any more.
    removable: bool,
}

#[derive(Serialize)]
struct Listed {
    data: Vec<Key>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct Rotated {
    newest: String,
    data_keys: u64,
    kept_answers: u64,
    complete: bool,
    unopened: Vec<InstanceId>,
    keys: Vec<Key>,
}

pub(crate) async fn run(command: KeysCommand) -> Result<(), Failure> {
    match command {
        KeysCommand::Rotate(output) => rotate(output).await,
        KeysCommand::List(output) => list(output).await,
    }
}

async fn list(output: OutputArguments) -> Result<(), Failure> {
    let keys = on_app(async |app, caller| {
        master_keys::list(app, caller)
            .await
            .map_err(|error| failed(&error))
    })
    .await?;
    let listed = Listed {
        data: keys.iter().map(Key::from).collect(),
        next_cursor: None,
    };
    output.print(&listed, |_| {
        let rows: Vec<[String; 4]> = keys.iter().map(row).collect();
        table(["id", "data keys", "kept answers", ""], &rows)
    })
}

async fn rotate(output: OutputArguments) -> Result<(), Failure> {
    let rotation = on_app(async |app, caller| {
        let mut progress = Progress::new("Rotating keys");
        master_keys::rotate(app, caller, |done, total| {
            progress.show(|| format!("{done} of {total}"));
        })
        .await
        .map_err(|error| failed(&error))
    })
    .await?;
    let text = text(&rotation);
    output.print(&Rotated::from(&rotation), |_| text)?;
    if rotation.is_complete() {
        return Ok(());
    }
    // The report is printed all the same: it says what is left.
    let failure = Failure::new(
        "keys_still_in_use",
        "not everything is under the newest master key",
    );
    Err(failure.hint(if rotation.unopened.is_empty() {
        "a server that has not been restarted with the new key first has made something meanwhile: restart it, then run this again"
    } else {
        "the instances named above have a data key that does not open: restore their rows of the platform database, then run this again"
    }))
}

/// How a platform database that fails is told.
fn failed(error: &PlatformDbError) -> Failure {
    Failure::from_error("platform_database", error)
        .hint("what is done stays done: run it again once the database answers")
}

fn text(rotation: &Rotation) -> String {
    let Rotation {
        newest,
        data_keys,
        answers,
        unopened,
        keys,
    } = rotation;
    let mut text = format!(
        "{data_keys} data keys and {answers} kept answers were put under the master key {newest}.\n"
    );
    for (instance, error) in unopened {
        text.push_str(&format!("The data key of {instance} was left: {error}.\n"));
    }
    for key in keys.iter().filter(|key| !key.is_newest) {
        text.push_str(&sentence(key));
        text.push('\n');
    }
    text
}

/// What is to be known of an older key.
fn sentence(key: &MasterKey) -> String {
    let MasterKey { id, .. } = key;
    if key.is_used() {
        return format!("The key {id} is still needed: {}.", holds(key));
    }
    format!(
        "The key {id} is no longer used by anything. Once every server has been started with a newer key before it, take it out of STOA_MASTER_KEY."
    )
}

/// What a key holds, in words; also what `stoa doctor` says.
pub(crate) fn holds(key: &MasterKey) -> String {
    let data_keys = match key.data_keys {
        0 => None,
        1 => Some("it wraps 1 data key".to_owned()),
        count => Some(format!("it wraps {count} data keys")),
    };
    let until = key.answers_until.map_or_else(String::new, |until| {
        format!(
            " until {}",
            until.to_rfc3339_opts(SecondsFormat::Secs, true)
        )
    });
    let answers = match key.answers {
        0 => None,
        1 => Some(format!("it seals 1 answer kept{until}")),
        count => Some(format!("it seals {count} answers kept{until}")),
    };
    let held: Vec<String> = data_keys.into_iter().chain(answers).collect();
    if held.is_empty() {
        "it holds nothing".to_owned()
    } else {
        held.join(" and ")
    }
}

fn row(key: &MasterKey) -> [String; 4] {
    let note = match key {
        MasterKey {
            is_newest: true, ..
        } => "the newest: it seals what is new",
        MasterKey {
            is_configured: false,
            ..
        } => "not configured: what it holds does not open",
        key if key.is_used() => "still needed; `stoa keys rotate` puts the newest in its place",
        _ => "used by nothing: can be removed",
    };
    [
        key.id.clone(),
        key.data_keys.to_string(),
        key.answers.to_string(),
        note.to_owned(),
    ]
}

impl From<&MasterKey> for Key {
    fn from(key: &MasterKey) -> Self {
        Self {
            id: key.id.clone(),
            configured: key.is_configured,
            newest: key.is_newest,
            data_keys: key.data_keys,
            kept_answers: key.answers,
            kept_answers_until: key.answers_until,
            removable: !key.is_newest && !key.is_used(),
        }
    }
}

impl From<&Rotation> for Rotated {
    fn from(rotation: &Rotation) -> Self {
        Self {
            newest: rotation.newest.clone(),
            data_keys: rotation.data_keys,
            kept_answers: rotation.answers,
            complete: rotation.is_complete(),
            unopened: rotation.unopened.iter().map(|(id, _)| *id).collect(),
            keys: rotation.keys.iter().map(Key::from).collect(),
        }
    }
}
