//! `stoa demo`: a server that has something to show, on a database of its own.

mod client;
mod handbook;

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use stoa_app::access::PlatformCaller;
use stoa_app::{App, super_admins};
use stoa_domain::{Email, Random};

use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;
use client::failed;

const SUPER_ADMIN: &str = "owner@example.com";

/// What is printed once everything is there.
#[derive(Serialize)]
struct Tour {
    chat: String,
    console: Door,
    platform: Door,
}

/// A console and how to enter it.
#[derive(Serialize)]
struct Door {
    url: String,
    email: &'static str,
    /// Shown when it was made; later nobody knows it but whom it was shown to.
    password: Option<String>,
}

/// Makes what the demo shows unless it is there, and prints where it is.
pub(crate) async fn prepare(app: &Arc<App>, output: OutputArguments) -> Result<(), Failure> {
    let caller = PlatformCaller::command_line();
    let client_password = password(app.random());
    let client_is_new = client::ensure(app, &caller, &client_password).await?;
    let owner_password = password(app.random());
    let owner_is_new = ensure_super_admin(app, &caller, &owner_password).await?;

    let public_url = &app.settings().public_url;
    let at = |path: &str| public_url.join(path).map(String::from).map_err(failed);
    let chat_url = &app.settings().chat_url;
    let shown =
        |is_new: bool, password: &SecretString| is_new.then(|| password.expose_secret().to_owned());
    let tour = Tour {
        chat: chat_url
            .join(&client::chat_path())
            .map(String::from)
            .map_err(failed)?,
        console: Door {
            url: at(&client::console_path())?,
            email: client::ADMIN,
            password: shown(client_is_new, &client_password),
        },
        platform: Door {
            url: at("/platform")?,
            email: SUPER_ADMIN,
            password: shown(owner_is_new, &owner_password),
        },
    };
    output.print(&tour, Tour::text)
}

async fn ensure_super_admin(
    app: &App,
    caller: &PlatformCaller,
    password: &SecretString,
) -> Result<bool, Failure> {
    if super_admins::count(app).await.map_err(failed)? > 0 {
        return Ok(false);
    }
    let email = Email::parse(SUPER_ADMIN).map_err(failed)?;
    super_admins::create(app, caller, &email, Some(password))
        .await
        .map_err(failed)?;
    Ok(true)
}

impl Tour {
    fn text(&self) -> String {
        let Self {
            chat,
            console,
            platform,
        } = self;
        format!(
            "\nStoa is running. Ask the shop's bot a question:\n\n  {chat}\n\nThe shop's console    {}\nThe platform's own    {}\n\nNo AI model is configured, so the bot quotes the shop's documents; add one in the shop's console.\nCtrl-C stops it; everything is kept.\n",
            console.text(),
            platform.text(),
        )
    }
}

impl Door {
    fn text(&self) -> String {
        let Self {
            url,
            email,
            password,
        } = self;
        match password {
            Some(password) => format!("{url}\n    {email}    {password}    (shown this once)"),
            None => format!("{url}\n    {email}    (the password was shown at the first start)"),
        }
    }
}

/// Sixteen of 32 letters and digits that nobody mistakes for one another: 80 random bits.
fn password(random: &Random) -> SecretString {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let letters = random
        .bytes::<16>()
        .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
    let groups: Vec<String> = letters
        .chunks(4)
        .map(|group| group.iter().collect())
        .collect();
    groups.join("-").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_four_groups_of_four() {
        let made = password(&Random::system());
        let groups: Vec<usize> = made.expose_secret().split('-').map(str::len).collect();
        assert_eq!(groups, [4, 4, 4, 4]);
        assert_ne!(
            made.expose_secret(),
            password(&Random::system()).expose_secret()
        );
    }
}
