//! The databases under Stoa: the configured ones, or those on the embedded PostgreSQL.

use secrecy::SecretString;
use stoa_domain::Random;
use stoa_embedded_postgres::{EmbeddedError, EmbeddedPostgres, Settings, superuser_url_of_running};

use crate::command_line::failure::Failure;
use crate::configuration::Configuration;
use crate::data_directory::DataDirectory;

/// The platform's own database in the embedded cluster.
const PLATFORM: &str = "stoa_platform";
/// The database of the embedded cluster from which managed ones are made.
const MAINTENANCE: &str = "postgres";

/// Where the platform's data is, and where managed clients' databases are made.
pub(crate) struct Databases {
    platform: SecretString,
    /// How its server proves itself, where that is not by the public authorities.
    platform_ca: Option<String>,
    managed: Option<SecretString>,
    /// Runs as long as this value.
    embedded: Option<EmbeddedPostgres>,
}

impl Databases {
    /// For a server: starts the embedded PostgreSQL where no platform database is configured, and
    /// refuses when another process runs it.
    pub(crate) async fn open(
        configuration: &Configuration,
        random: &Random,
    ) -> Result<Self, Failure> {
        match Self::configured(configuration) {
            Some(configured) => Ok(configured),
            None => Self::start(configuration, random)
                .await
                .map_err(|error| embedded_failure(&error)),
        }
    }

    /// For a command: like [`Self::open`], but uses the embedded PostgreSQL of a server that runs.
    pub(crate) async fn open_beside(
        configuration: &Configuration,
        random: &Random,
    ) -> Result<Self, Failure> {
        if let Some(configured) = Self::configured(configuration) {
            return Ok(configured);
        }
        match Self::start(configuration, random).await {
            Err(EmbeddedError::InUse { .. }) => Self::of_running(configuration),
            started => started,
        }
        .map_err(|error| embedded_failure(&error))
    }

    /// The platform database's address.
    pub(crate) const fn platform(&self) -> &SecretString {
        &self.platform
    }

    /// The certificate authorities of the platform database, where they are not the public ones.
    pub(crate) fn platform_ca(&self) -> Option<&str> {
        self.platform_ca.as_deref()
    }

    /// The cluster of managed client databases, if there is one.
    pub(crate) const fn managed(&self) -> Option<&SecretString> {
        self.managed.as_ref()
    }

    /// Returns when the embedded PostgreSQL has ended, which it should not; never without one.
    pub(crate) async fn ended(&self) {
        match &self.embedded {
            Some(embedded) => embedded.ended().await,
            None => std::future::pending().await,
        }
    }

    /// Stops the embedded PostgreSQL, if it is ours.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        match self.embedded {
            Some(embedded) => embedded
                .stop()
                .await
                .map_err(|error| embedded_failure(&error)),
            None => Ok(()),
        }
    }

    fn configured(configuration: &Configuration) -> Option<Self> {
        // A dedicated deployment has its platform's tables in its client's database.
        let client = configuration.client.as_ref();
        let in_clients = || client.map(|client| client.database.clone());
        Some(Self {
            platform: configuration
                .platform_database
                .clone()
                .or_else(in_clients)?,
            platform_ca: client
                .filter(|_| configuration.platform_database.is_none())
                .and_then(|client| client.certificate_authority.clone()),
            managed: configuration
                .managed_database
                .clone()
                .filter(|_| client.is_none()),
            embedded: None,
        })
    }

    async fn start(configuration: &Configuration, random: &Random) -> Result<Self, EmbeddedError> {
        let mut settings =
            Settings::new(DataDirectory::new(&configuration.data_directory).postgres());
        settings
            .binaries
            .clone_from(&configuration.postgres_directory);
        let embedded = EmbeddedPostgres::start(settings, random).await?;
        embedded.ensure_database(PLATFORM).await?;
        let managed = || embedded.superuser_url(MAINTENANCE);
        Ok(Self {
            platform: embedded.superuser_url(PLATFORM),
            platform_ca: None,
            managed: Some(
                configuration
                    .managed_database
                    .clone()
                    .unwrap_or_else(managed),
            ),
            embedded: Some(embedded),
        })
    }

    fn of_running(configuration: &Configuration) -> Result<Self, EmbeddedError> {
        let directory = DataDirectory::new(&configuration.data_directory).postgres();
        let managed = match &configuration.managed_database {
            Some(configured) => configured.clone(),
            None => superuser_url_of_running(&directory, MAINTENANCE)?,
        };
        Ok(Self {
            platform: superuser_url_of_running(&directory, PLATFORM)?,
            platform_ca: None,
            managed: Some(managed),
            embedded: None,
        })
    }
}

/// The embedded PostgreSQL's errors say themselves what to do.
fn embedded_failure(error: &EmbeddedError) -> Failure {
    let code = match error {
        EmbeddedError::InUse { .. } => "data_directory_in_use",
        EmbeddedError::NoBinaries { .. } | EmbeddedError::BadBinaries { .. } => "no_postgres",
        EmbeddedError::OtherMajorVersion { .. } => "other_postgres_version",
        _ => "embedded_postgres",
    };
    let failure = Failure::from_error(code, error);
    match error {
        EmbeddedError::Io { .. }
        | EmbeddedError::NotReady { .. }
        | EmbeddedError::InitDb { .. } => {
            failure.hint("to use a PostgreSQL of your own instead, set PLATFORM_DATABASE_URL")
        }
        _ => failure,
    }
}
