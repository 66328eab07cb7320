//! What a command asks of the person or script that runs it: a secret, or a yes.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

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

/// A yes that was given already, or that somebody is there to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Consent {
    /// By `--yes`.
    Given,
    /// There is a terminal to ask on.
    ToBeAsked,
}

impl Consent {
    /// Whether to ask; without `--yes` and without a terminal there is nobody to ask.
    pub(crate) fn of(yes: bool) -> Result<Self, Failure> {
        if yes {
            Ok(Self::Given)
        } else if io::stdin().is_terminal() && io::stderr().is_terminal() {
            Ok(Self::ToBeAsked)
        } else {
            Err(Failure::usage(
                "this cannot be undone; without a terminal to ask on it needs --yes",
            ))
        }
    }

    /// Wants `name` typed before something is destroyed, unless the yes was given.
    pub(crate) fn confirm(self, what: &str, name: &str) -> Result<(), Failure> {
        if self == Self::Given {
            return Ok(());
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
