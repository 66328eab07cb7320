//! From the address to a signed-in connection, and what to do when one of the steps fails.

use stoa_outbound::{Outbound, OutboundError};
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

use super::{Findings, supabase};
use crate::{
    address::{DatabaseAddress, TlsMode},
    condition::says_paused,
    connection::ClientConnection,
    error::{ClientDbError, ServerError, TlsFault},
    wire::Deadlines,
};

/// Goes through address, name, connection, TLS and sign-in. `None` when one of them failed.
pub(super) async fn reach(
    outbound: &Outbound,
    address: &DatabaseAddress,
    deadlines: Deadlines,
    tasks: &TaskTracker,
    findings: &mut Findings,
) -> Option<ClientConnection> {
    let host = address.display_host();
    if !address.is_operators() {
        let judged = outbound.judged(address.host(), address.port());
        match timeout(deadlines.connect, judged).await {
            Ok(Ok(addresses)) => {
                findings.pass("address", format!("{host} may be connected to"));
                let count = addresses.len();
                let plural = if count == 1 { "address" } else { "addresses" };
                findings.pass("dns", format!("{} has {count} {plural}", address.host()));
            }
            Ok(Err(error)) => {
                unreachable(&error, address, findings);
                return None;
            }
            Err(_) => {
                findings.pass("address", format!("{host} is an address"));
                findings.fail(
                    "dns",
                    format!("the name {} was not resolved in time", address.host()),
                    "Check the name and its name servers, then check again.",
                );
                return None;
            }
        }
    }
    let began = Instant::now();
    match ClientConnection::open(outbound, address, deadlines, tasks).await {
        Ok(connection) => {
            let took = began.elapsed().as_millis();
            findings.pass(
                "connect",
                format!("{host} answers as PostgreSQL, {took} ms"),
            );
            encryption(&connection, address, findings);
            findings.pass("sign_in", format!("signed in as {}", address.user()));
            Some(connection)
        }
        Err(error) => {
            not_signed_in(&error, address, findings);
            None
        }
    }
}

fn encryption(connection: &ClientConnection, address: &DatabaseAddress, findings: &mut Findings) {
    match (connection.is_encrypted(), address.tls()) {
        (true, TlsMode::Verify) => {
            findings.pass("tls", "encrypted, and the certificate is this host's");
        }
        (true, _) => findings.warn(
            "tls",
            "encrypted, and the certificate was not looked at",
            "Add sslmode=verify-full to the address once the server has a certificate for its name.",
        ),
        (false, _) => findings.warn(
            "tls",
            "not encrypted; the operator has allowed that for this host",
            "Nothing to do where the network between is trusted; else turn TLS on in the server.",
        ),
    }
}

fn not_signed_in(error: &ClientDbError, address: &DatabaseAddress, findings: &mut Findings) {
    let host = address.display_host();
    match error {
        ClientDbError::Unreachable(error) => unreachable(error, address, findings),
        ClientDbError::Timeout(limit) => findings.fail(
            "connect",
            format!("{host} did not complete a sign-in within {} s", limit.as_secs()),
            supabase::unreachable(address).unwrap_or_else(|| {
                "Check that the port is PostgreSQL's, that no firewall drops the connection, and \
                 that the database is not paused."
                    .into()
            }),
        ),
        ClientDbError::Protocol { reason } => findings.fail(
            "connect",
            format!("what answers at {host} is not a PostgreSQL that can be used: {reason}"),
            "Check host and port: PostgreSQL is usually on 5432, a Supabase pooler on 5432 or 6543. \
             The address of a website or of an API does not work here.",
        ),
        ClientDbError::Tls { fault, reason } => {
            findings.pass("connect", format!("{host} answers"));
            let detail = format!("no verified TLS: {reason}");
            findings.fail("tls", detail, tls_remedy(*fault, address));
        }
        ClientDbError::SignIn(said) => {
            findings.pass("connect", format!("{host} answers as PostgreSQL"));
            refused(said, address, findings);
        }
        other => findings.fail("connect", other.to_string(), "Try again in a moment."),
    }
}

fn tls_remedy(fault: TlsFault, address: &DatabaseAddress) -> String {
    if let Some(remedy) = supabase::tls(fault, address) {
        return remedy;
    }
    let remedy = match fault {
        TlsFault::NotOffered => {
            "Turn TLS on in the server (ssl = on, with a certificate for this name). Nothing is \
             sent without it. For a host inside the operator's own network, the operator can name \
             the host in STOA_ALLOWED_PRIVATE_HOSTS."
        }
        TlsFault::UnknownAuthority if address.certificate_authority().is_some() => {
            "The ca_certificate that was given did not sign this server's certificate: give the one \
             that did, with those in between if there are any."
        }
        TlsFault::UnknownAuthority => {
            "Give the certificate authority that signed the server's certificate, as PEM text, in \
             ca_certificate beside the address (--database-ca FILE on the command line); your \
             provider's console offers it for download. Or give the server a certificate from a \
             public authority."
        }
        TlsFault::WrongName => {
            "Use the host's name as the certificate has it, or give the server a certificate whose \
             subjectAltName is this host."
        }
        TlsFault::OutOfDate => "Renew the server's certificate, then reload the server.",
        TlsFault::Other => {
            "The server's certificate must be for this host, signed by a public authority or by the \
             one in ca_certificate; one that signed itself as an authority does not do."
        }
    };
    remedy.into()
}

fn unreachable(error: &OutboundError, address: &DatabaseAddress, findings: &mut Findings) {
    let (host, name) = (address.display_host(), address.host());
    match error {
        OutboundError::Forbidden { .. } => findings.fail(
            "address",
            format!("{name} is, or resolves to, an address that is not on the public internet"),
            "Use the database's public address. To use one inside a private network, the operator \
             of this platform has to name the host in STOA_ALLOWED_PRIVATE_HOSTS.",
        ),
        OutboundError::Unresolved { .. } => {
            findings.pass("address", format!("{host} is an address"));
            findings.fail(
                "dns",
                format!("the name {name} does not resolve to any address"),
                dns_remedy(address),
            );
        }
        OutboundError::Refused { .. } => findings.fail(
            "connect",
            format!("nothing listens at {host}"),
            or_supabases(
                address,
                "Check the port, that the server runs, and that it listens on its public address \
                 (listen_addresses).",
            ),
        ),
        OutboundError::Timeout { .. } => findings.fail(
            "connect",
            format!("{host} did not answer in time"),
            or_supabases(
                address,
                "A firewall probably drops the connection: allow the platform's addresses to \
                 connect.",
            ),
        ),
        other => findings.fail(
            "connect",
            format!("{host} cannot be reached ({})", other.code()),
            or_supabases(
                address,
                "Check the address, and that the server is reachable from the internet over IPv4.",
            ),
        ),
    }
}

fn or_supabases(address: &DatabaseAddress, remedy: &str) -> String {
    supabase::unreachable(address).unwrap_or_else(|| remedy.to_owned())
}

fn dns_remedy(address: &DatabaseAddress) -> String {
    supabase::unresolved(address).unwrap_or_else(|| {
        "Check the spelling of the host. A name that only your own network knows does not work \
         here."
            .into()
    })
}

fn refused(said: &ServerError, address: &DatabaseAddress, findings: &mut Findings) {
    let tls = if address.tls() == TlsMode::Disable {
        "not asked for"
    } else {
        "agreed upon"
    };
    findings.pass("tls", tls);
    if let Some((detail, remedy)) = supabase::refused(said, address) {
        findings.fail("sign_in", detail, remedy);
        return;
    }
    if says_paused(said) {
        findings.fail(
            "sign_in",
            format!("the provider has stopped this database: {}", said.message),
            "Start it again in your provider's console, wait a few minutes, then check again.",
        );
        return;
    }
    let (user, database) = (address.user(), address.database());
    let (detail, remedy) = match said.sqlstate.as_str() {
        "28P01" => (
            format!("the server refused the password of {user}"),
            password_remedy(address).to_owned(),
        ),
        "3D000" => (
            format!("there is no database {database} on this server"),
            "Check the part of the address behind the last slash, or create the database.".into(),
        ),
        "28000" if said.message.contains("clear text") || said.message.contains("MD5") => (
            format!(
                "the server would make {user}'s password readable to others: {}",
                said.message
            ),
            "Set password_encryption to scram-sha-256, set the role's password again, and use \
             scram-sha-256 in pg_hba.conf (or the pooler's auth_type)."
                .into(),
        ),
        "28000" if said.message.contains("no encryption") => (
            "the server lets nobody in without TLS".into(),
            "Leave sslmode out of the address, or say verify-full.".into(),
        ),
        "28000" if said.message.contains("channel binding") => (
            format!("somebody stands between this platform and the server: {}", said.message),
            "The certificate that was shown is not the one that the server itself has. A proxy that \
             ends TLS cannot be signed in through; use the server's own address."
                .into(),
        ),
        "28000" => (
            format!(
                "the server does not let {user} in from here: {}",
                said.message
            ),
            "Check that the role exists and may log in, and that pg_hba.conf allows it from the \
             platform's addresses."
                .into(),
        ),
        "53300" => (
            "the server has no connection left".into(),
            "Close connections that nobody uses, raise max_connections, or use a pooler.".into(),
        ),
        "57P03" => (
            "the server is starting or stopping".into(),
            "Try again in a moment.".into(),
        ),
        "42501" => (
            format!("{user} may not connect to the database {database}"),
            "Grant CONNECT on the database to the role; the SQL below does.".into(),
        ),
        _ => (
            format!("the server refused the sign-in: {said}"),
            "Check user, password and database.".into(),
        ),
    };
    findings.fail("sign_in", detail, remedy);
}

fn password_remedy(address: &DatabaseAddress) -> &'static str {
    if address.password_is_in_brackets() {
        return "The password in the address stands in square brackets: leave the brackets of \
                [YOUR-PASSWORD] out.";
    }
    "Check user and password, or set a new password. In an address, special characters of a \
     password are written percent-encoded (%40 for @)."
}
