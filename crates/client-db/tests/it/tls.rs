//! TLS verified in full, by a certificate authority of the client's own.

use std::{path::Path, sync::Arc};

use stoa_client_db::{CertificateAuthority, DatabaseAddress, Deadlines, PoolSettings, preflight};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};
use tokio_util::task::TaskTracker;

use crate::{
    support::{Client, outbound, rules},
    tls_postgres::certificate,
};

/// Puts TLS in front of a PostgreSQL that has none, and gives the port.
pub(crate) async fn tls_in_front(folder: &Path, real: String) -> u16 {
    let chain = CertificateDer::pem_file_iter(folder.join("server.pem")).unwrap();
    let chain = chain.map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (mut from, _) = listener.accept().await.unwrap();
            let (acceptor, real) = (acceptor.clone(), real.clone());
            tokio::spawn(async move {
                let mut request = [0; 8];
                from.read_exact(&mut request).await.unwrap();
                from.write_all(b"S").await.unwrap();
                // A client that does not like the certificate ends it here.
                let Ok(mut from) = acceptor.accept(from).await else {
                    return;
                };
                let mut to = TcpStream::connect(real).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
            });
        }
    });
    port
}

async fn tls_check(client: &Client, address: &DatabaseAddress) -> (bool, String) {
    let instance = client.target.instance;
    let tasks = TaskTracker::new();
    let report =
        preflight::check(&outbound(), address, instance, Deadlines::default(), &tasks).await;
    let tls = report
        .checks
        .iter()
        .find(|it| it.name == "tls")
        .expect("TLS was reached");
    (report.ok, tls.detail.clone())
}

#[tokio::test]
async fn only_the_right_authority_and_the_right_name_are_enough() {
    let client = Client::new().await;
    let address = &client.target.address;
    let real = format!("{}:{}", address.host(), address.port());
    let url = client.given_url();
    let at = |port: u16, mode: &str| {
        let url = format!("{}{mode}", url.replace(&real, &format!("127.0.0.1:{port}")));
        DatabaseAddress::parse(&url, &rules()).unwrap()
    };

    let right = tempfile::tempdir().unwrap();
    certificate(right.path(), "IP:127.0.0.1");
    let authority = std::fs::read_to_string(right.path().join("ca.pem")).unwrap();
    let port = tls_in_front(right.path(), real.clone()).await;
    let strict = at(port, "?sslmode=verify-full");

    let (ok, detail) = tls_check(&client, &strict).await;
    assert!(
        !ok && detail.contains("UnknownIssuer"),
        "without the authority: {detail}"
    );
    let parsed = |pem: &str| CertificateAuthority::parse(pem).unwrap();
    let strict = strict.with_certificate_authority(parsed(&authority));
    let (ok, detail) = tls_check(&client, &strict).await;
    assert!(ok, "{detail}");
    assert_eq!(detail, "encrypted, and the certificate is this host's");
    let through = Client::at(client.target.instance, strict, PoolSettings::default());
    assert!(through.connection().await.is_encrypted());
    let (ok, detail) = tls_check(&client, &at(port, "")).await;
    assert!(
        ok,
        "the operator's list names this host, which may present anything: {detail}"
    );

    let wrong = tempfile::tempdir().unwrap();
    certificate(wrong.path(), "DNS:another.example");
    let authority = std::fs::read_to_string(wrong.path().join("ca.pem")).unwrap();
    let port = tls_in_front(wrong.path(), real.clone()).await;
    let strict = at(port, "?sslmode=verify-full").with_certificate_authority(parsed(&authority));
    let (ok, detail) = tls_check(&client, &strict).await;
    assert!(
        !ok && detail.contains("not valid for"),
        "for another name: {detail}"
    );
}
