//! TLS with a PostgreSQL that has it: verified in full, bound to the sign-in, never given up.

use std::sync::{Arc, Mutex};

use stoa_client_db::{
    CertificateAuthority, ClientDbError, DatabaseAddress, Deadlines, PoolSettings, TlsFault,
    preflight::{self, CheckStatus, PreflightReport},
};
use stoa_fake_postgres::{Act, FakePostgres, Script, Tls};
use stoa_outbound::{AddressPolicy, Outbound};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    },
};
use tokio_util::task::TaskTracker;

use crate::{
    support::{Client, new_id, outbound, rules},
    tls_postgres::{TlsPostgres, certificate, signed_certificate},
};

/// What PostgreSQL calls the request for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// How SCRAM is offered: with channel binding and without.
const WITH_BINDING: &[u8] = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

fn strict(url: &str, authority: &str) -> DatabaseAddress {
    let url = format!("{url}?sslmode=verify-full");
    DatabaseAddress::parse(&url, &rules())
        .unwrap()
        .with_certificate_authority(CertificateAuthority::parse(authority).unwrap())
}

async fn report(address: &DatabaseAddress) -> PreflightReport {
    let tasks = TaskTracker::new();
    preflight::check(&outbound(), address, new_id(), Deadlines::default(), &tasks).await
}

async fn error_of(address: DatabaseAddress) -> ClientDbError {
    let client = Client::at(new_id(), address, PoolSettings::default());
    let outcome = client.databases.checkout(&client.target).await;
    outcome.err().expect("it must fail")
}

/// Somebody between the client and the server who has a certificate that the client trusts, ends
/// TLS and makes another one to the server. Keeps what the client says, and changes what the server
/// offers where `strip` says so.
async fn man_in_the_middle(server: &TlsPostgres, strip: bool) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let folder = server.certificates.path();
    signed_certificate(folder, "IP:127.0.0.1", "middle");
    let chain = CertificateDer::pem_file_iter(folder.join("middle.pem")).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let here = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            chain.map(Result::unwrap).collect(),
            PrivateKeyDer::from_pem_file(folder.join("middle.key")).unwrap(),
        )
        .unwrap();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(folder.join("ca.pem")).unwrap())
        .unwrap();
    let there = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let (acceptor, connector) = (
        TlsAcceptor::from(Arc::new(here)),
        TlsConnector::from(Arc::new(there)),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (heard, place) = (Arc::new(Mutex::new(Vec::new())), server.place());
    let kept = Arc::clone(&heard);
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            from.read_exact(&mut [0; 8]).await.unwrap();
            from.write_all(b"S").await.unwrap();
            let from = acceptor.accept(from).await.unwrap();
            let mut to = TcpStream::connect(&place).await.unwrap();
            to.write_all(&SSL_REQUEST).await.unwrap();
            assert_eq!(to.read_u8().await.unwrap(), b'S');
            let name = ServerName::try_from("127.0.0.1").unwrap();
            let to = connector.connect(name, to).await.unwrap();
            let (mut from_client, mut to_client) = tokio::io::split(from);
            let (mut from_server, mut to_server) = tokio::io::split(to);
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = from_client.read(&mut buffer).await {
                    kept.lock().unwrap().extend(&buffer[..length]);
                    if to_server.write_all(&buffer[..length]).await.is_err() {
                        break;
                    }
                }
            });
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = from_server.read(&mut buffer).await {
                    let said = if strip {
                        without_binding(&buffer[..length])
                    } else {
                        buffer[..length].to_vec()
                    };
                    if to_client.write_all(&said).await.is_err() {
                        break;
                    }
                }
            });
        }
    });
    (port, heard)
}

/// The server's offer with the part about channel binding taken out.
fn without_binding(said: &[u8]) -> Vec<u8> {
    let found = said
        .windows(WITH_BINDING.len())
        .position(|it| it == WITH_BINDING);
    let Some(at) = found else {
        return said.to_vec();
    };
    let offer = b"SCRAM-SHA-256\0\0";
    let mut changed = vec![b'R'];
    changed.extend(u32::try_from(8 + offer.len()).unwrap().to_be_bytes());
    changed.extend(10_u32.to_be_bytes());
    changed.extend(offer);
    changed.extend(&said[at + WITH_BINDING.len()..]);
    changed
}

#[tokio::test]
async fn a_server_with_tls_is_checked_used_and_encrypted() {
    let server = TlsPostgres::start("IP:127.0.0.1").await;
    let url = server.database("shop");
    let address = strict(&url, &server.authority);
    let found = report(&address).await;
    assert!(found.ok, "{:#?}", found.checks);
    let tls = found.checks.iter().find(|it| it.name == "tls").unwrap();
    assert_eq!(tls.status, CheckStatus::Pass);
    assert_eq!(tls.detail, "encrypted, and the certificate is this host's");

    let client = Client::at(new_id(), address, PoolSettings::default());
    let connection = client.connection().await;
    assert!(connection.is_encrypted());
    let seen = server.sql(
        "SELECT bool_and(s.ssl), min(s.version) FROM pg_stat_ssl s
         JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'stoa'",
    );
    assert_eq!(seen, "t|TLSv1.3", "as the server sees it");

    // The public authorities did not sign it, and another's signature is none.
    let plain = format!("{url}?sslmode=verify-full");
    let error = error_of(DatabaseAddress::parse(&plain, &rules()).unwrap()).await;
    let unknown = |error: &ClientDbError| {
        matches!(
            error,
            ClientDbError::Tls {
                fault: TlsFault::UnknownAuthority,
                ..
            }
        )
    };
    assert!(unknown(&error), "{error:?}");
    let other = tempfile::tempdir().unwrap();
    certificate(other.path(), "IP:127.0.0.1");
    let other = std::fs::read_to_string(other.path().join("ca.pem")).unwrap();
    let error = error_of(strict(&url, &other)).await;
    assert!(unknown(&error), "{error:?}");
    let found = report(&strict(&url, &other)).await;
    let tls = found.checks.iter().find(|it| it.name == "tls").unwrap();
    let remedy = tls.remedy.as_deref().unwrap();
    assert!(remedy.contains("did not sign"), "{remedy}");
    drop(connection);
    server.stop().await;
}

#[tokio::test]
async fn the_sign_in_is_bound_to_the_servers_own_certificate() {
    let server = TlsPostgres::start("IP:127.0.0.1").await;
    let url = server.database("shop");
    let through = |port: u16| url.replace(&server.place(), &format!("127.0.0.1:{port}"));

    // With a certificate that is trusted the middle reads everything, and still cannot sign in.
    let (port, heard) = man_in_the_middle(&server, false).await;
    let error = error_of(strict(&through(port), &server.authority)).await;
    assert!(
        matches!(&error, ClientDbError::SignIn(said) if said.message.contains("channel binding")),
        "{error:?}"
    );
    let said = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
    assert!(said.contains("SCRAM-SHA-256-PLUS"), "{said:?}");
    assert!(!said.contains("a-secret"));

    // Nor by hiding that the server can bind: the client says that it could have.
    let (port, heard) = man_in_the_middle(&server, true).await;
    let error = error_of(strict(&through(port), &server.authority)).await;
    assert!(
        matches!(&error, ClientDbError::SignIn(said) if said.message.contains("channel binding")),
        "{error:?}"
    );
    let said = String::from_utf8_lossy(&heard.lock().unwrap()).into_owned();
    assert!(
        said.contains("SCRAM-SHA-256\0") && !said.contains("PLUS"),
        "{said:?}"
    );

    // Whoever asks for the binding gets it, or nothing.
    let required = |url: &str| {
        let url = format!("{url}?sslmode=verify-full&channel_binding=require");
        let authority = CertificateAuthority::parse(&server.authority).unwrap();
        DatabaseAddress::parse(&url, &rules())
            .unwrap()
            .with_certificate_authority(authority)
    };
    let error = error_of(required(&through(port))).await;
    assert!(
        matches!(&error, ClientDbError::Protocol { reason } if reason.contains("channel binding")),
        "{error:?}"
    );
    let client = Client::at(new_id(), required(&url), PoolSettings::default());
    assert!(client.connection().await.is_encrypted());
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_said_in_the_clear_where_tls_is_to_be() {
    for (offer, fault) in [
        (Tls::Refuse, Some(TlsFault::NotOffered)),
        // Somebody who says yes and goes on in the clear, as one who injects answers would.
        (
            Tls::Pretend(vec![
                Act::Say(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I".to_vec()),
                Act::FallSilent,
            ]),
            Some(TlsFault::Other),
        ),
        (
            Tls::Instead(vec![Act::Say(b"E\0\0\0\x0bFATAL\0\0".to_vec())]),
            None,
        ),
        (Tls::Instead(vec![Act::HangUp]), None),
    ] {
        let server = FakePostgres::start(Script::new().tls(offer.clone()))
            .await
            .unwrap();
        let url = format!(
            "postgres://ada:a-secret@{}/shop?sslmode=verify-full",
            server.address()
        );
        let error = error_of(DatabaseAddress::parse(&url, &rules()).unwrap()).await;
        match (&error, fault) {
            (ClientDbError::Tls { fault, .. }, Some(expected)) => assert_eq!(*fault, expected),
            (ClientDbError::Protocol { .. } | ClientDbError::ConnectionLost, None) => {}
            _ => panic!("{offer:?}: {error:?}"),
        }
        let heard = server.heard();
        let said = String::from_utf8_lossy(&heard);
        assert!(heard.starts_with(&SSL_REQUEST), "{offer:?}");
        assert!(
            !said.contains("ada") && !said.contains("shop"),
            "{offer:?}: {said:?}"
        );
    }
}

#[tokio::test]
async fn a_host_that_leaves_the_operators_list_is_not_spoken_to() {
    let server = FakePostgres::start(Script::new()).await.unwrap();
    let url = format!(
        "postgres://ada:a-secret@{}/shop?sslmode=disable",
        server.address()
    );
    // Stored while the host was on the list; what is on it now is the door's.
    let address = DatabaseAddress::parse_stored(&url, &rules()).unwrap();
    let closed = Outbound::new(AddressPolicy::parse("10.0.0.0/8").unwrap());
    let databases =
        stoa_client_db::ClientDatabases::new(closed, PoolSettings::default(), TaskTracker::new());
    let target = stoa_client_db::Target {
        instance: new_id(),
        generation: 1,
        address: Arc::new(address),
    };
    let error = databases.checkout(&target).await.err().unwrap();
    assert!(matches!(error, ClientDbError::TlsRequired), "{error:?}");
    assert!(error.is_outage() && error.to_string().contains("STOA_ALLOWED_PRIVATE_HOSTS"));
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn authorities_are_certificates_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "IP:127.0.0.1");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (authority, key) = (read("ca.pem"), read("ca.key"));
    let parsed = CertificateAuthority::parse(&format!("a note\r\n{authority}\nanother")).unwrap();
    assert_eq!(parsed.subject(), "CN=an-authority");
    assert_eq!(parsed.pem(), authority, "nothing around it is kept");
    let two = format!("{authority}{}", read("server.pem"));
    assert_eq!(
        CertificateAuthority::parse(&two)
            .unwrap()
            .pem()
            .matches("BEGIN")
            .count(),
        2
    );
    for wrong in [
        String::new(),
        "not PEM".into(),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----".into(),
        authority.replace("CERTIFICATE", "CERTIFICATE REQUEST"),
        authority.replacen("MII", "AAA", 1),
        format!("{authority}{}", " ".repeat(64 * 1024)),
    ] {
        assert!(CertificateAuthority::parse(&wrong).is_err(), "{wrong:?}");
    }
    let error = CertificateAuthority::parse(&format!("{authority}{key}")).unwrap_err();
    assert!(error.to_string().contains("private key"));
    let address = strict("postgres://u:p@db.example.com/d", &authority);
    let at = |days: i64| {
        let now = parsed.expires_at() - chrono::TimeDelta::days(days);
        preflight::authority_check(&address, now).unwrap()
    };
    for (days, status, said) in [
        (31, CheckStatus::Pass, "good until"),
        (29, CheckStatus::Warn, "runs out on"),
        (-1, CheckStatus::Warn, "has run out on"),
    ] {
        let check = at(days);
        assert_eq!(check.status, status);
        assert!(check.detail.contains(said), "{}", check.detail);
        assert_eq!(check.remedy.is_some(), status == CheckStatus::Warn);
    }
}
