//! The server's TCP port on loopback.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use stoa_domain::Random;

use crate::EmbeddedError;
use crate::data_dir::write_private;

/// Ports are chosen below the range that systems take for outgoing connections (from 32768), so
/// that a kept one is still free after a restart.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// The port to use: the one asked for, else the one kept in `file`, else a new one, kept there.
///
/// A kept port that is taken is an error, not a reason to choose another: addresses of databases on
/// this server are stored with it.
pub(crate) fn choose(
    asked: Option<u16>,
    file: &Path,
    random: &Random,
) -> Result<u16, EmbeddedError> {
    if let Some(port) = asked {
        return free(port, || "choose another one".to_owned());
    }
    if let Some(kept) = kept(file)? {
        return free(kept, || {
            format!(
                "stop that program, or remove {} to have another port chosen (managed databases keep the old one in their addresses)",
                file.display()
            )
        });
    }
    let mut port = FIRST;
    for _ in 0..100 {
        port = FIRST + u16::from_ne_bytes(random.bytes()) % COUNT;
        if is_free(port) {
            write_private(file, &format!("{port}\n"))?;
            return Ok(port);
        }
    }
    Err(EmbeddedError::PortTaken {
        port,
        remedy: "and so are a hundred others; is this machine out of ports?".to_owned(),
    })
}

/// The port kept in `file`, if any.
pub(crate) fn kept(file: &Path) -> Result<Option<u16>, EmbeddedError> {
    match fs::read_to_string(file) {
        Ok(text) => match text.trim().parse() {
            Ok(port) if port > 0 => Ok(Some(port)),
            _ => Err(EmbeddedError::Damaged {
                path: file.to_path_buf(),
                problem: "holds no port number; remove it to have a port chosen",
            }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(EmbeddedError::io("read", file)(error)),
    }
}

fn free(port: u16, remedy: impl FnOnce() -> String) -> Result<u16, EmbeddedError> {
    if is_free(port) {
        Ok(port)
    } else {
        Err(EmbeddedError::PortTaken {
            port,
            remedy: remedy(),
        })
    }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chosen_port_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("port");
        let first = choose(None, &file, &Random::system()).unwrap();
        assert!((FIRST..FIRST + COUNT).contains(&first));
        assert_eq!(choose(None, &file, &Random::system()).unwrap(), first);
    }

    #[test]
    fn a_taken_port_is_refused_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("port");
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        fs::write(&file, port.to_string()).unwrap();
        for asked in [None, Some(port)] {
            let error = choose(asked, &file, &Random::system()).unwrap_err();
            assert!(error.to_string().contains(&port.to_string()), "{error}");
        }
    }

    #[test]
    fn a_damaged_port_file_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("port");
        for text in ["", "0", "70000", "port"] {
            fs::write(&file, text).unwrap();
            let error = choose(None, &file, &Random::system()).unwrap_err();
            assert!(
                matches!(error, EmbeddedError::Damaged { .. }),
                "{text:?}: {error}"
            );
        }
    }
}
