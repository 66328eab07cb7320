//! A real PostgreSQL with TLS, for tests of more than one crate. The PostgreSQL that is fetched for
//! tests has none, so this is the system's.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::{Path, PathBuf},
    process::Command,
};

use secrecy::ExposeSecret;
use stoa_domain::Random;
use stoa_embedded_postgres::{Durability, EmbeddedPostgres, Settings};
use tempfile::TempDir;

/// A running server that takes connections with TLS.
pub(crate) struct TlsPostgres {
    /// The superuser's address, `postgres://…@127.0.0.1:PORT/postgres`.
    pub(crate) superuser_url: String,
    /// The authority that signed the server's certificate, in PEM form.
    pub(crate) authority: String,
    /// Where the authority's and the server's keys and certificates are.
    pub(crate) certificates: TempDir,
    server: EmbeddedPostgres,
    _data: TempDir,
}

impl TlsPostgres {
    /// Starts one for `name`, such as `IP:127.0.0.1`, where its certificate is to be good for.
    pub(crate) async fn start(name: &str) -> Self {
        let data = reachable();
        let mut settings = Settings::new(data.path().join("server"));
        settings.binaries = Some(system_postgres());
        settings.durability = Durability::Throwaway;
        let server = EmbeddedPostgres::start(settings, &Random::system())
            .await
            .expect("the system's PostgreSQL starts");
        let superuser_url = server.superuser_url("postgres").expose_secret().to_owned();
        let certificates = tempfile::tempdir().expect("a directory");
        certificate(certificates.path(), name);
        let cluster = fs::canonicalize(data.path().join("server/cluster")).expect("a cluster");
        give_to_owner(certificates.path(), &cluster);
        run_sql(
            &superuser_url,
            &[
                "ALTER SYSTEM SET ssl_cert_file = 'tls.pem'",
                "ALTER SYSTEM SET ssl_key_file = 'tls.key'",
                "ALTER SYSTEM SET ssl = on",
                "SELECT pg_reload_conf()",
            ],
        );
        let authority = fs::read_to_string(certificates.path().join("ca.pem")).expect("a file");
        wait_for_tls(&superuser_url);
        Self {
            superuser_url,
            authority,
            certificates,
            server,
            _data: data,
        }
    }

    /// Its host and port.
    pub(crate) fn place(&self) -> String {
        let (_, rest) = self.superuser_url.rsplit_once('@').expect("an address");
        rest.split(['/', '?']).next().expect("a place").to_owned()
    }

    /// A database of this name with a role of its own of the same name, and its address. The role
    /// owns the database.
    pub(crate) fn database(&self, name: &str) -> String {
        run_sql(
            &self.superuser_url,
            &[
                &format!("CREATE ROLE {name} LOGIN PASSWORD 'a-secret'"),
                &format!("CREATE DATABASE {name} OWNER {name}"),
            ],
        );
        format!("postgres://{name}:a-secret@{}/{name}", self.place())
    }

    /// Runs statements as the superuser in the database of maintenance.
    pub(crate) fn sql(&self, statement: &str) -> String {
        run_sql(&self.superuser_url, &[statement])
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await.expect("it stops");
    }
}

/// A certificate authority and a certificate of its for `name`, as files in `folder`.
pub(crate) fn certificate(folder: &Path, name: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=an-authority"),
    );
    signed_certificate(folder, name, "server");
}

/// One more certificate of the authority in `folder`, for `name`, in files called `file`.
pub(crate) fn signed_certificate(folder: &Path, name: &str, file: &str) {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    openssl(
        folder,
        &format!("req {key} -keyout {file}.key -out {file}.csr -subj /CN=server"),
    );
    fs::write(folder.join("names"), format!("subjectAltName={name}\n")).expect("a file");
    openssl(
        folder,
        &format!(
            "x509 -req -in {file}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
             -extfile names -out {file}.pem"
        ),
    );
}

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

/// The directory of the system's PostgreSQL, the newest of several.
fn system_postgres() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("bin/postgres").exists())
        .collect();
    found.sort();
    found.pop().expect(
        "these tests need the system's PostgreSQL, which has TLS: run scripts/setup, or install \
         the package postgresql",
    )
}

fn reachable() -> TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o711)).expect("rights");
    directory
}

/// Puts the server's key and certificate where the server reads them, as its own.
fn give_to_owner(certificates: &Path, cluster: &Path) {
    let owner = fs::metadata(cluster).expect("a cluster");
    for (from, to) in [("server.pem", "tls.pem"), ("server.key", "tls.key")] {
        let to = cluster.join(to);
        fs::copy(certificates.join(from), &to).expect("a copy");
        fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("rights");
        chown(&to, Some(owner.uid()), Some(owner.gid())).expect("an owner");
    }
}

/// A reload takes its time.
fn wait_for_tls(url: &str) {
    let address = url.split('?').next().expect("an address");
    for _ in 0..100 {
        let tried = psql(&format!("{address}?sslmode=require"), &["SELECT 1"]);
        if tried.is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("the server does not begin to speak TLS");
}

fn run_sql(url: &str, statements: &[&str]) -> String {
    psql(url, statements).expect("the statements work")
}

fn psql(url: &str, statements: &[&str]) -> Result<String, String> {
    let mut command = Command::new("psql");
    command.args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]);
    for statement in statements {
        command.args(["-c", statement]);
    }
    let output = command.arg(url).output().expect("psql is there");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
    }
}
