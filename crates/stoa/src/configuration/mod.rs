//! The configuration: names of the environment turned into values that cannot be wrong.

mod environment;
mod names;
mod values;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use secrecy::SecretString;
use stoa_app::isolation::{CLIENT_DATA_ISOLATION, PLATFORM_ISOLATION};
use stoa_domain::seal::MasterKeyRing;
use stoa_domain::{Email, InstanceId};
use stoa_outbound::AddressPolicy;
use url::Url;

pub(crate) use environment::Environment;
use values::Values;

use crate::telemetry::{LogFormat, TelemetrySettings};

/// Names that are read and judged, but change nothing yet.
const WITHOUT_EFFECT: &[&str] = &[
    "PLATFORM_SUPABASE_URL",
    "PLATFORM_SUPABASE_ANON_KEY",
    "PLATFORM_SUPABASE_PUBLISHABLE_KEY",
    "STOA_REDIS_URL",
    "SMTP_URL",
    "MAIL_FROM",
    "STRIPE_SECRET_KEY",
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_API_BASE",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
];

/// Everything the operator decides. It holds secrets, hence no `Debug`.
pub(crate) struct Configuration {
    /// The platform database; none means the embedded PostgreSQL.
    pub(crate) platform_database: Option<SecretString>,
    /// The cluster of managed client databases; none means the embedded one, if that runs.
    pub(crate) managed_database: Option<SecretString>,
    /// The one client that the deployment is dedicated to; none where it is for many.
    pub(crate) client: Option<DedicatedClient>,
    pub(crate) isolation: Isolation,
    /// What people open, when it is not the address that is listened on.
    pub(crate) public_url: Option<Url>,
    /// Another origin for the hosted chat.
    pub(crate) chat_url: Option<Url>,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) data_directory: PathBuf,
    pub(crate) master_keys: Option<MasterKeyRing>,
    /// None where the operator says nothing, which a demonstration takes for loopback.
    pub(crate) allowed_private_hosts: Option<AddressPolicy>,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// A directory with `bin/postgres`.
    pub(crate) postgres_directory: Option<PathBuf>,
    pub(crate) mail_is_configured: bool,
    pub(crate) metrics: MetricsAddress,
    pub(crate) telemetry: TelemetrySettings,
    pub(crate) warnings: Vec<Warning>,
}

/// The client configuration of a dedicated deployment. It holds secrets, hence no `Debug`.
pub(crate) struct DedicatedClient {
    pub(crate) id: InstanceId,
    pub(crate) database: SecretString,
    /// In PEM form.
    pub(crate) certificate_authority: Option<String>,
    pub(crate) supabase_url: Option<String>,
    pub(crate) supabase_anon_key: Option<SecretString>,
    /// Who owns the instance, where it has no owner yet.
    pub(crate) admin: Option<Email>,
}

/// Which walls between clients and platform stand. Both do by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Isolation {
    /// A client's database is not the platform's, nor on a private address that is not allowed.
    pub(crate) platform: bool,
    /// One database belongs to one instance.
    pub(crate) client_data: bool,
}

impl Isolation {
    /// The names of those that do not stand.
    fn walls_down(self) -> impl Iterator<Item = &'static str> {
        [
            (self.platform, PLATFORM_ISOLATION),
            (self.client_data, CLIENT_DATA_ISOLATION),
        ]
        .into_iter()
        .filter_map(|(stands, name)| (!stands).then_some(name))
    }
}

/// Where figures for the operator's monitoring are served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MetricsAddress {
    /// The operator says nothing: on the usual port, if that is free.
    Usual,
    /// Here and nowhere else.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// Something in the environment that does not stop a start but should be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Warning {
    /// A name with our prefix that Stoa does not know.
    Unknown {
        name: String,
        meant: Option<&'static str>,
    },
    /// A known name that has no effect in this version.
    WithoutEffect { name: &'static str },
    /// A known name that means nothing to a dedicated deployment.
    NotWhenDedicated { name: &'static str },
    /// A wall between clients, or between them and the platform, that the operator took down.
    WallDown { name: &'static str },
}

/// One name whose value cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    name: String,
    wrong: String,
}

/// All names whose values cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) struct ConfigurationError(Vec<Malformed>);

impl ConfigurationError {
    fn one(name: &str, wrong: impl Into<String>) -> Self {
        Self(vec![Malformed {
            name: name.to_owned(),
            wrong: wrong.into(),
        }])
    }
}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Malformed { name, wrong }) in self.0.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{name} {wrong}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown {
                name,
                meant: Some(meant),
            } => {
                write!(
                    f,
                    "{name} is not a name of the configuration; did you mean {meant}?"
                )
            }
            Self::Unknown { name, meant: None } => {
                write!(
                    f,
                    "{name} is not a name of the configuration and changes nothing"
                )
            }
            Self::WithoutEffect { name } => {
                write!(f, "{name} is set and has no effect in this version")
            }
            Self::NotWhenDedicated { name } => {
                write!(
                    f,
                    "{name} is set and has no effect in a deployment that is dedicated to one client"
                )
            }
            Self::WallDown { name } => {
                write!(f, "{name} is false: {}", stoa_app::isolation::meaning(name))
            }
        }
    }
}

impl Configuration {
    /// Judges every name.
    ///
    /// # Errors
    /// Names each variable whose value cannot be used and says what is right.
    pub(crate) fn parse(environment: &Environment) -> Result<Self, ConfigurationError> {
        Self::parse_noting(environment).map(|(configuration, _)| configuration)
    }

    /// Also tells which names were looked at.
    fn parse_noting(
        environment: &Environment,
    ) -> Result<(Self, Vec<&'static str>), ConfigurationError> {
        let mut values = Values::of(environment);
        let isolation = Isolation {
            platform: values.boolean(PLATFORM_ISOLATION, true),
            client_data: values.boolean(CLIENT_DATA_ISOLATION, true),
        };
        let multi_tenant = values.boolean("MULTI_TENANT_MODE", true);
        let client = dedicated_client(&mut values, multi_tenant);
        check_services(&mut values);
        let configuration = Self {
            platform_database: values.parsed("PLATFORM_DATABASE_URL", values::postgres_address),
            managed_database: values.parsed("STOA_MANAGED_DATABASE_URL", values::postgres_address),
            client,
            isolation,
            public_url: values.parsed("PUBLIC_URL", values::origin),
            chat_url: values.parsed("CHAT_URL", values::origin),
            host: values
                .parsed("HOST", values::host)
                .unwrap_or_else(|| "127.0.0.1".into()),
            port: values.parsed("PORT", values::port).unwrap_or(8080),
            data_directory: values
                .text("STOA_DATA_DIR")
                .unwrap_or_else(|| "./data".into())
                .into(),
            master_keys: values.parsed("STOA_MASTER_KEY", master_keys),
            allowed_private_hosts: values.parsed("STOA_ALLOWED_PRIVATE_HOSTS", |list| {
                AddressPolicy::parse(list).map_err(|error| format!("cannot be read: {error}"))
            }),
            trusted_proxies: values
                .parsed("STOA_TRUSTED_PROXIES", values::networks)
                .unwrap_or_default(),
            postgres_directory: values.text("STOA_POSTGRES_DIR").map(PathBuf::from),
            mail_is_configured: check_mail(&mut values),
            metrics: values
                .parsed("STOA_METRICS_ADDR", metrics_address)
                .unwrap_or(MetricsAddress::Usual),
            telemetry: telemetry(&mut values),
            warnings: warnings(environment, isolation, multi_tenant),
        };
        let taken = values.finish()?;
        Ok((configuration, taken))
    }
}

fn metrics_address(text: &str) -> Result<MetricsAddress, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(MetricsAddress::Off);
    }
    text.parse().map(MetricsAddress::At).map_err(|_| {
        format!("is an address with a port such as `127.0.0.1:9464`, or `off`, not `{text}`")
    })
}

fn master_keys(text: &str) -> Result<MasterKeyRing, String> {
    MasterKeyRing::parse(&text.to_owned().into())
        .map_err(|error| format!("cannot be used: {error}"))
}

fn telemetry(values: &mut Values<'_>) -> TelemetrySettings {
    TelemetrySettings {
        filter: values.parsed("RUST_LOG", TelemetrySettings::parse_filter),
        format: values.parsed("STOA_LOG_FORMAT", |text| match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            other => Err(format!("is `text` or `json`, not `{other}`")),
        }),
    }
}

fn check_mail(values: &mut Values<'_>) -> bool {
    let server = values.parsed(
        "SMTP_URL",
        values::secret_address(&["smtp", "smtps"], "smtps://USER:PASSWORD@mail.example.com"),
    );
    let sender = values.parsed("MAIL_FROM", values::mail_address);
    if server.is_some() && sender.is_none() {
        values.complain("MAIL_FROM", "is needed with SMTP_URL: who the mail is from");
    }
    server.is_some()
}

/// What a dedicated deployment needs; elsewhere these names are only checked for their form.
fn dedicated_client(values: &mut Values<'_>, multi_tenant: bool) -> Option<DedicatedClient> {
    let id = values.parsed("CLIENT_ID", |text| {
        text.parse::<InstanceId>()
            .map_err(|_| format!("is the id of an instance, a UUID, not `{text}`"))
    });
    let database = values.parsed("CLIENT_DATABASE_URL", values::postgres_address);
    // `stoa instance env` writes it on one line.
    let certificate_authority = values
        .text("CLIENT_DATABASE_CA")
        .map(|pem| pem.replace("\\n", "\n"));
    // The text as it is: a URL's own writing would add a slash to it.
    let supabase_url = values.parsed("CLIENT_SUPABASE_URL", |text| {
        values::http_address(text).map(|_| text.to_owned())
    });
    let supabase_anon_key = values.secret("CLIENT_SUPABASE_ANON_KEY");
    let admin = values.parsed("CLIENT_ADMIN_EMAIL", |text| {
        Email::parse(text).map_err(|_| "is the mail address of the instance's owner".to_owned())
    });
    if multi_tenant {
        return None;
    }
    let needed = "is needed with MULTI_TENANT_MODE=false; `stoa instance env` prints it:";
    if id.is_none() {
        values.complain("CLIENT_ID", &format!("{needed} whose deployment this is"));
    }
    if database.is_none() {
        let whose = format!("{needed} where its data is");
        values.complain("CLIENT_DATABASE_URL", &whose);
    }
    Some(DedicatedClient {
        id: id?,
        database: database?,
        certificate_authority,
        supabase_url,
        supabase_anon_key,
        admin,
    })
}

/// Services whose settings are judged so that a mistake shows before they are put to use.
fn check_services(values: &mut Values<'_>) {
    values.parsed("PLATFORM_SUPABASE_URL", values::http_address);
    values.secret("PLATFORM_SUPABASE_ANON_KEY");
    values.secret("PLATFORM_SUPABASE_PUBLISHABLE_KEY");
    values.parsed(
        "STOA_REDIS_URL",
        values::secret_address(&["redis", "rediss"], "redis://:PASSWORD@127.0.0.1:6379"),
    );
    values.secret("STRIPE_SECRET_KEY");
    values.secret("STRIPE_WEBHOOK_SECRET");
    values.parsed("STRIPE_API_BASE", values::http_address);
    values.parsed("OTEL_EXPORTER_OTLP_ENDPOINT", values::http_address);
}

fn warnings(environment: &Environment, isolation: Isolation, multi_tenant: bool) -> Vec<Warning> {
    let unknown = environment
        .names()
        .filter(|name| names::is_mistaken(name))
        .map(|name| Warning::Unknown {
            name: name.to_owned(),
            meant: names::nearest(name),
        });
    let without_effect = WITHOUT_EFFECT
        .iter()
        .filter(|name| environment.get(name).is_some())
        .map(|name| Warning::WithoutEffect { name });
    let not_when_dedicated = ["STOA_MANAGED_DATABASE_URL"]
        .into_iter()
        .filter(|name| !multi_tenant && environment.get(name).is_some())
        .map(|name| Warning::NotWhenDedicated { name });
    let walls_down = isolation
        .walls_down()
        .map(|name| Warning::WallDown { name });
    walls_down
        .chain(unknown)
        .chain(without_effect)
        .chain(not_when_dedicated)
        .collect()
}

#[cfg(test)]
mod tests;
