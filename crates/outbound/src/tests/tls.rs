//! TLS for HTTP, verified by name and authority.

use std::{path::Path, process::Command, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::support::{Moving, answer_all, ok};
use crate::{AddressPolicy, Bounds, FetchRequest, Outbound};

fn openssl(folder: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(folder)
        .output()
        .expect("this test needs the `openssl` command");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A certificate authority of its own, and a web server with a certificate of it for `names`.
async fn server(folder: &Path, names: &str) -> u16 {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=an-authority"),
    );
    openssl(
        folder,
        &format!("req {key} -keyout server.key -out server.csr -subj /CN=models.internal"),
    );
    std::fs::write(folder.join("names"), format!("subjectAltName={names}\n")).unwrap();
    openssl(
        folder,
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
         -extfile names -out server.pem",
    );
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
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                // A client that does not like the certificate ends it here.
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = answer_all(stream, |_| ok("", b"over TLS")).await;
                }
            });
        }
    });
    port
}

async fn answer(door: &Outbound, host: &str, port: u16) -> Result<String, (String, String)> {
    let url = format!("https://{host}:{port}/").parse().unwrap();
    match door.fetch(FetchRequest::get(url), Bounds::default()).await {
        Ok(fetched) => {
            let body = fetched.whole().await.unwrap();
            Ok(String::from_utf8(body.to_vec()).unwrap())
        }
        Err(error) => Err((error.code().to_owned(), error.to_string())),
    }
}

#[tokio::test]
async fn a_certificate_must_be_the_hosts_and_of_a_trusted_authority() {
    let folder = tempfile::tempdir().unwrap();
    let port = server(folder.path(), "DNS:models.internal").await;
    let pem = std::fs::read(folder.path().join("ca.pem")).unwrap();
    let policy = AddressPolicy::loopback();
    let resolver = || Moving::new(&[&["127.0.0.1"]]);
    let trusting = Outbound::trusting(policy.clone(), resolver(), &pem).unwrap();
    assert_eq!(
        answer(&trusting, "models.internal", port).await.unwrap(),
        "over TLS"
    );

    // Another name, another form of the right place, and no trust in the authority.
    let strange = Outbound::with_resolver(policy.clone(), resolver());
    for (door, host, reason) in [
        (&trusting, "other.internal", "not valid for name"),
        (
            &trusting,
            "models.internal.evil.example",
            "not valid for name",
        ),
        (&trusting, "127.0.0.1", "not valid for name"),
        (&strange, "models.internal", "UnknownIssuer"),
    ] {
        let (code, message) = answer(door, host, port).await.unwrap_err();
        assert_eq!(code, "tls_failed", "{host}: {message}");
        assert!(message.contains(reason), "{host}: {message}");
    }
    let nothing = Outbound::trusting(policy, resolver(), b"not a certificate");
    assert_eq!(nothing.unwrap_err().code(), "outbound_setup");
}
