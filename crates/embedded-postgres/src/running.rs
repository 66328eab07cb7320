//! Starting the server, and what can be asked of it while it runs.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use secrecy::SecretString;
use stoa_domain::Random;

use crate::binaries::{Binaries, command, has_setpriv};
use crate::cluster;
use crate::data_dir::DataDir;
use crate::postmaster::{self, MARK};
use crate::readiness::Waiting;
use crate::server::Server;
use crate::{Durability, EmbeddedError, Settings, port, reach};

/// A log longer than this is set aside at the next start; one older log is kept.
const LONG_LOG: u64 = 16 * 1024 * 1024;

/// A PostgreSQL that runs until [`stop`](Self::stop), the drop of this value, or the end of this
/// process.
#[derive(Debug)]
pub struct EmbeddedPostgres {
    // Dropped in this order: the server is asked to stop before the directory is free for others.
    server: Server,
    dir: DataDir,
    binaries: Binaries,
    socket_dir: Option<PathBuf>,
    port: u16,
    password: SecretString,
}

impl EmbeddedPostgres {
    /// Starts the server, making the cluster on first use, and returns when it answers.
    ///
    /// # Errors
    /// Whatever [`EmbeddedError`] describes; each says what to do.
    pub async fn start(settings: Settings, random: &Random) -> Result<Self, EmbeddedError> {
        let dir = DataDir::hold(&settings.data_dir, random)?;
        let binaries = Binaries::fitting(dir.path(), dir.account(), settings.binaries.as_deref())?;
        let password = if dir.cluster().exists() {
            postmaster::make_way(&dir.cluster(), dir.account()).await?;
            cluster::read_password(&dir.password_file())?
        } else {
            cluster::create(&dir, &binaries, random).await?
        };
        let port = port::choose(settings.port, &dir.port_file(), random)?;
        let socket_dir = dir.socket_dir()?;
        let (log, log_start) = open_log(&dir.log())?;

        let mut command = server_command(&dir, &binaries);
        command
            .args(arguments(&settings, port, socket_dir.as_deref()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let server = Server::spawn(command)
            .await
            .map_err(EmbeddedError::io("run", &binaries.postgres()))?;
        Waiting {
            server: &server,
            port,
            password: &password,
            password_file: &dir.password_file(),
            log: &dir.log(),
            log_start,
            patience: settings.start_timeout,
        }
        .until_ready()
        .await?;
        tracing::debug!(
            pid = server.pid(),
            port,
            "the embedded PostgreSQL accepts connections"
        );
        Ok(Self {
            server,
            dir,
            binaries,
            socket_dir,
            port,
            password,
        })
    }

    /// The address of a database on this server for its superuser, over TCP on loopback, without
    /// TLS, which the server does not speak.
    #[must_use]
    pub fn superuser_url(&self, database: &str) -> SecretString {
        reach::superuser_url(self.port, &self.password, database)
    }

    /// The superuser's password.
    pub(crate) fn password(&self) -> &SecretString {
        &self.password
    }

    /// The TCP port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of the Unix socket; `None` where its path is too long for one.
    #[must_use]
    pub fn socket_dir(&self) -> Option<&Path> {
        self.socket_dir.as_deref()
    }

    /// Where the data lies: `Settings::data_dir`, absolute and without links.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        self.dir.path()
    }

    /// The directory with PostgreSQL's programs.
    #[must_use]
    pub fn bin_dir(&self) -> &Path {
        &self.binaries.bin
    }

    /// PostgreSQL's major version.
    #[must_use]
    pub fn major_version(&self) -> u32 {
        self.binaries.major
    }

    /// The server's process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Returns when the server has ended, which without [`stop`](Self::stop) it should not.
    pub async fn ended(&self) {
        self.server.wait().await;
    }

    /// Ends all connections, writes everything out and stops the server.
    ///
    /// # Errors
    /// [`EmbeddedError::DoesNotStop`] when it is still there after more than a minute.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        self.server.stop().await
    }
}

/// `postgres` on the cluster, in a process group of its own, so that Ctrl-C in a terminal reaches
/// Stoa alone, which still needs its database to end well.
fn server_command(dir: &DataDir, binaries: &Binaries) -> Command {
    let postgres = binaries.postgres();
    let mut command = if has_setpriv(&postgres, dir.account()) {
        let mut setpriv = command(Path::new("setpriv"), dir.account());
        setpriv.args(["--pdeathsig", "INT"]).arg(&postgres);
        setpriv
    } else {
        command(&postgres, dir.account())
    };
    command.arg("-D").arg(dir.cluster()).process_group(0);
    command
}

fn arguments(settings: &Settings, port: u16, socket_dir: Option<&Path>) -> Vec<OsString> {
    let sockets = socket_dir.map_or_else(String::new, |dir| {
        format!("\"{}\"", dir.display().to_string().replace('"', "\"\""))
    });
    let mut set = vec![
        MARK.to_owned(),
        "listen_addresses=127.0.0.1".to_owned(),
        format!("port={port}"),
        format!("unix_socket_directories={sockets}"),
        "unix_socket_permissions=0700".to_owned(),
        format!("max_connections={}", settings.max_connections),
        // Hundreds of resting databases cost 6 % of a core with the default of a minute.
        "autovacuum_naptime=10min".to_owned(),
        // After a crash, one call for the file system and not one for each file: 2 s and not 170 s
        // with 500 databases.
        "recovery_init_sync_method=syncfs".to_owned(),
        // Queries here are short; compiling them costs more than running them.
        "jit=off".to_owned(),
        "logging_collector=off".to_owned(),
        "log_destination=stderr".to_owned(),
        // Failed statements and the rows that made them fail are what people said, or passwords.
        "log_min_error_statement=panic".to_owned(),
        "log_error_verbosity=terse".to_owned(),
    ];
    if settings.durability == Durability::Throwaway {
        set.extend(
            [
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
            ]
            .map(str::to_owned),
        );
    }
    set.into_iter()
        .flat_map(|setting| ["-c".into(), setting.into()])
        .collect()
}

fn open_log(path: &Path) -> Result<(File, u64), EmbeddedError> {
    if fs::metadata(path).is_ok_and(|meta| meta.len() > LONG_LOG) {
        let old = path.with_extension("log.old");
        fs::rename(path, old).map_err(EmbeddedError::io("rename", path))?;
    }
    let open = || {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let length = file.metadata()?.len();
        Ok((file, length))
    };
    open().map_err(EmbeddedError::io("open", path))
}
