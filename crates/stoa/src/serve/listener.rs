//! The address that is listened on, and how many connections the process may have open.

use std::io;
use std::net::SocketAddr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;
use url::Url;

use super::connections::ConnectionLimits;
use crate::command_line::failure::Failure;

/// More is not asked for even where the system would give it.
const ENOUGH_FILES: u64 = 65_536;

/// Binds before anything slow is started, so that a port in use is told at once.
pub(crate) async fn bind(host: &str, port: u16) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = async {
        let listener = TcpListener::bind((host, port)).await?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound
        .await
        .map_err(|error| cannot_listen(host, port, &error))
}

fn cannot_listen(host: &str, port: u16, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::AddrInUse => Failure::new(
            "port_in_use",
            format!("port {port} on {host} is taken by another program"),
        )
        .hint(format!(
            "stop that one (`ss -ltnp 'sport = :{port}'` names it), or set PORT to a free port"
        )),
        io::ErrorKind::PermissionDenied => Failure::new(
            "port_not_allowed",
            format!("this user may not listen on port {port}"),
        )
        .hint("set PORT to 1024 or higher and let a proxy forward to it"),
        _ => Failure::new(
            "cannot_listen",
            format!("cannot listen on {host}, port {port}: {error}"),
        )
        .hint("set HOST to an address of this machine, such as 127.0.0.1 or 0.0.0.0"),
    }
}

/// The address to open where PUBLIC_URL says none: what is listened on, seen from this machine.
pub(crate) fn local_url(address: SocketAddr) -> Result<Url, Failure> {
    let text = match address {
        SocketAddr::V4(it) if it.ip().is_unspecified() => format!("http://127.0.0.1:{}", it.port()),
        SocketAddr::V6(it) if it.ip().is_unspecified() => format!("http://127.0.0.1:{}", it.port()),
        other => format!("http://{other}"),
    };
    Url::parse(&text).map_err(|error| Failure::from_error("cannot_listen", &error))
}

/// Raises the process's bound on open files, which many systems set low for the sake of old
/// programs, and leaves half of it to what is not a visitor's connection.
pub(crate) fn connection_limits() -> ConnectionLimits {
    let files = raise_open_files();
    let default = ConnectionLimits::default();
    let open = usize::try_from(files / 2).map_or(default.open, |half| half.min(default.open));
    ConnectionLimits { open, ..default }
}

fn raise_open_files() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.unwrap_or(ENOUGH_FILES).min(ENOUGH_FILES);
    match current {
        Some(current) if current < wanted => {
            let raised = Rlimit {
                current: Some(wanted),
                maximum,
            };
            match setrlimit(Resource::Nofile, raised) {
                Ok(()) => wanted,
                Err(error) => {
                    tracing::warn!(%error, current, "cannot raise the bound on open files");
                    current
                }
            }
        }
        other => other.unwrap_or(ENOUGH_FILES),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_in_use_is_said_plainly() {
        let (listener, address) = bind("127.0.0.1", 0).await.unwrap();
        let refused = bind("127.0.0.1", address.port())
            .await
            .unwrap_err()
            .to_string();
        assert!(refused.starts_with("error: port_in_use: "), "{refused}");
        assert!(
            refused.contains("hint: ") && refused.contains("PORT"),
            "{refused}"
        );
        drop(listener);
        assert!(
            bind("host.invalid", 0)
                .await
                .unwrap_err()
                .to_string()
                .contains("HOST")
        );
    }

    #[test]
    fn the_local_address_can_be_opened() {
        for (listened, opened) in [
            ("0.0.0.0:8080", "http://127.0.0.1:8080/"),
            ("[::]:81", "http://127.0.0.1:81/"),
            ("[::1]:81", "http://[::1]:81/"),
            ("10.0.0.7:80", "http://10.0.0.7/"),
        ] {
            assert_eq!(
                local_url(listened.parse().unwrap()).unwrap().as_str(),
                opened
            );
        }
    }

    #[test]
    fn half_of_the_files_are_for_visitors() {
        let limits = connection_limits();
        assert!(limits.open > 0 && limits.open <= ConnectionLimits::default().open);
    }
}
