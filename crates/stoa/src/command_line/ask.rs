//! What a command asks of the person or script that runs it: a secret, or a yes.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};

use secrecy::SecretString;

use super::failure::Failure;

/// No password is longer; more is a file that was piped in by mistake.
const LONGEST_SECRET: u64 = 4096;

/// Reads a secret from standard input: its first line, without the line's end.
pub(crate) fn secret_from_standard_input() -> Result<SecretString, Failure> {
    read_secret(io::stdin().lock())
}

fn read_secret(input: impl io::Read) -> Result<SecretString, Failure> {
    let mut line = String::new();
    io::BufReader::new(input.take(LONGEST_SECRET + 1))
        .read_line(&mut line)
        .map_err(|error| Failure::from_error("cannot_read_input", &error))?;
    let secret = line.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(Failure::new(
            "no_password",
            "standard input has no password in its first line",
        )
        .hint("printf '%s' \"$PASSWORD\" | stoa … --password-stdin"));
    }
    if u64::try_from(line.len()).unwrap_or(u64::MAX) > LONGEST_SECRET {
        return Err(Failure::new(
            "password_too_long",
            "the first line of standard input is no password",
        ));
    }
    Ok(secret.to_owned().into())
}

/// Wants `name` typed before something is destroyed, unless `--yes` has said so already. Without a
/// terminal there is nobody to ask.
pub(crate) fn confirm_by_name(what: &str, name: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::usage(format!(
            "{what} needs --yes when there is no terminal to ask on"
        )));
    }
    let mut question = io::stderr().lock();
    let mut answer = String::new();
    write!(
        question,
        "{what} cannot be undone. Type `{name}` to go on: "
    )
    .and_then(|()| question.flush())
    .and_then(|()| io::stdin().lock().read_line(&mut answer))
    .map_err(|error| Failure::from_error("cannot_ask", &error))?;
    if answer.trim() == name {
        Ok(())
    } else {
        Err(Failure::new(
            "not_confirmed",
            "that is another name; nothing was changed",
        ))
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn a_secret_is_the_first_line_without_its_end() {
        for input in ["pass word", "pass word\n", "pass word\r\nmore"] {
            assert_eq!(
                read_secret(input.as_bytes()).unwrap().expose_secret(),
                "pass word"
            );
        }
        assert!(read_secret(&b"\n"[..]).is_err());
        assert!(read_secret(vec![b'x'; 10_000].as_slice()).is_err());
    }
}
