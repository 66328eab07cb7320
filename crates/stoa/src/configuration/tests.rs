//! The configuration, judged from maps.

use std::collections::BTreeSet;

use secrecy::ExposeSecret;

use super::*;

const MASTER_KEY: &str = "k1:q83vEjRWeJq83vASNFZ4kKvN7wEjRWeJASNFZ4mrze8=";

fn refusal<const N: usize>(pairs: [(&str, &str); N]) -> String {
    match Configuration::parse(&Environment::of(pairs)) {
        Ok(_) => panic!("{pairs:?} were taken"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    let (configuration, taken) = Configuration::parse_noting(&Environment::of([])).unwrap();
    assert_eq!(
        (configuration.host.as_str(), configuration.port),
        ("127.0.0.1", 8080)
    );
    assert_eq!(configuration.data_directory, PathBuf::from("./data"));
    assert_eq!(
        configuration.isolation,
        Isolation {
            platform: true,
            client_data: true
        }
    );
    assert!(configuration.client.is_none());
    assert!(configuration.platform_database.is_none());
    assert!(configuration.master_keys.is_none());
    assert!(configuration.warnings.is_empty());

    let taken: BTreeSet<&str> = taken.into_iter().collect();
    let known: BTreeSet<&str> = names::KNOWN.iter().copied().collect();
    assert_eq!(taken, known, "the list of names is what the parser reads");
}

#[test]
fn every_value_is_read() {
    let configuration = Configuration::parse(&Environment::of([
        (
            "PLATFORM_DATABASE_URL",
            "postgres://stoa:pw@db.internal:5432/stoa",
        ),
        ("PUBLIC_URL", "https://stoa.example.com"),
        ("HOST", "[::]"),
        ("PORT", " 9000 "),
        ("STOA_MASTER_KEY", MASTER_KEY),
        ("STOA_TRUSTED_PROXIES", "10.0.0.0/8"),
        (
            "STOA_ALLOWED_PRIVATE_HOSTS",
            "db.internal:5432, 192.168.0.0/16",
        ),
        ("CLIENT_DATA_ISOLATION_ENABLED", "False"),
        ("STOA_LOG_FORMAT", "json"),
        ("CHAT_URL", ""),
    ]))
    .unwrap();
    let database = configuration.platform_database.unwrap();
    assert_eq!(
        database.expose_secret(),
        "postgres://stoa:pw@db.internal:5432/stoa"
    );
    assert_eq!(
        (configuration.host.as_str(), configuration.port),
        ("::", 9000)
    );
    assert_eq!(configuration.master_keys.unwrap().newest_id(), "k1");
    assert_eq!(configuration.trusted_proxies.len(), 1);
    assert!(
        configuration
            .allowed_private_hosts
            .unwrap()
            .lists("db.internal", 5432)
    );
    assert!(!configuration.isolation.client_data && configuration.isolation.platform);
    assert_eq!(configuration.telemetry.format, Some(LogFormat::Json));
    assert!(configuration.chat_url.is_none(), "an empty value is none");
}

#[test]
fn a_malformed_value_is_named_with_what_is_right() {
    for (name, value, right) in [
        ("PORT", "80a", "port number"),
        ("PORT", "70000", "65535"),
        ("MULTI_TENANT_MODE", "maybe", "`true` or `false`"),
        ("PUBLIC_URL", "stoa.example.com", "https://"),
        ("HOST", "0.0.0.0:8080", "without scheme and port"),
        ("STOA_TRUSTED_PROXIES", "10.0.0.0/99", "networks"),
        ("STOA_ALLOWED_PRIVATE_HOSTS", "10.0.0/8/9", "10.0.0/8/9"),
        ("STOA_LOG_FORMAT", "xml", "`text` or `json`"),
        ("RUST_LOG", "info,stoa=loud", "such as"),
        ("STOA_METRICS_ADDR", "9464", "127.0.0.1:9464"),
        ("CLIENT_ID", "seven", "UUID"),
        ("MAIL_FROM", "bot", "mail address"),
        ("STOA_REDIS_URL", "localhost", "redis://"),
    ] {
        let said = refusal([(name, value)]);
        assert!(said.starts_with(name) && said.contains(right), "{said}");
    }
}

#[test]
fn all_malformed_values_are_told_at_once() {
    let said = refusal([("PORT", "x"), ("MULTI_TENANT_MODE", "x")]);
    assert!(
        said.contains("PORT") && said.contains("MULTI_TENANT_MODE"),
        "{said}"
    );
}

#[test]
fn a_refused_secret_is_never_shown() {
    for (name, value) in [
        ("PLATFORM_DATABASE_URL", "mysql://u:hunter2@h/db"),
        ("PLATFORM_DATABASE_URL", "postgres://u:hunter2/x@h:1/db"),
        ("STOA_MANAGED_DATABASE_URL", "postgres://u:hunter2@h"),
        ("CLIENT_DATABASE_URL", "hunter2"),
        ("STOA_MASTER_KEY", "hunter2"),
        ("STOA_MASTER_KEY", "k1:hunter2"),
        ("STOA_REDIS_URL", "hunter2"),
        ("SMTP_URL", "http://u:hunter2@h"),
    ] {
        let said = refusal([(name, value)]);
        assert!(said.contains(name) && !said.contains("hunter2"), "{said}");
    }
}

#[test]
fn names_that_need_each_other_say_so() {
    assert!(refusal([("SMTP_URL", "smtp://mail")]).contains("MAIL_FROM"));
    assert!(refusal([("MULTI_TENANT_MODE", "false")]).contains("CLIENT_ID"));
}

#[test]
fn an_unknown_name_of_ours_is_a_warning_and_others_are_nobodys() {
    let configuration = Configuration::parse(&Environment::of([
        ("STOA_MASTERKEY", "secret"),
        ("PLATFORM_COLOUR", "blue"),
        ("STOA_REDIS_URL", "redis://cache"),
        ("HOME", "/root"),
    ]))
    .unwrap();
    let said: Vec<String> = configuration
        .warnings
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        said,
        [
            "PLATFORM_COLOUR is not a name of the configuration and changes nothing",
            "STOA_MASTERKEY is not a name of the configuration; did you mean STOA_MASTER_KEY?",
            "STOA_REDIS_URL is set and has no effect in this version",
        ]
    );
}
