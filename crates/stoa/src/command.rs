//! Commands that do one thing with the program and end.

use std::sync::Arc;
use std::time::Duration;

use stoa_app::App;
use stoa_app::access::PlatformCaller;
use stoa_domain::Random;
use url::Url;

use crate::application::{self, Purpose};
use crate::command_line::failure::Failure;
use crate::configuration::Configuration;
use crate::databases::Databases;
use crate::master_key;

/// What a command has begun in the background may take to end.
const END: Duration = Duration::from_secs(10);

/// Runs a command's work on the program, beside a running server or without one.
pub(crate) async fn on_app<T>(
    work: impl AsyncFnOnce(&Arc<App>, &PlatformCaller) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut configuration = crate::configuration()?;
    let keys = master_key::of(&mut configuration)?;
    let public_url = public_url(&configuration)?;
    let databases = Databases::open_beside(&configuration, &Random::system()).await?;
    let started = application::start(
        &configuration,
        keys,
        &databases,
        public_url,
        Purpose::Command,
    )
    .await;
    let result = match started {
        Ok(app) => {
            let result = work(&app, &PlatformCaller::command_line()).await;
            application::end(&app, END).await;
            result
        }
        Err(failure) => Err(failure),
    };
    let stopped = databases.stop().await;
    let result = result?;
    stopped?;
    Ok(result)
}

/// The address of the server in links: the one that people open, or the one it listens on.
fn public_url(configuration: &Configuration) -> Result<Url, Failure> {
    if let Some(url) = &configuration.public_url {
        return Ok(url.clone());
    }
    let host = match configuration.host.as_str() {
        "0.0.0.0" | "::" => "127.0.0.1".to_owned(),
        address if address.contains(':') => format!("[{address}]"),
        other => other.to_owned(),
    };
    Url::parse(&format!("http://{host}:{}", configuration.port))
        .map_err(|error| Failure::from_error("malformed_configuration", &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::configuration::Environment;

    #[test]
    fn links_lead_to_where_the_server_is() {
        let url = |pairs: [(&str, &str); 2]| {
            let configuration = Configuration::parse(&Environment::of(pairs)).unwrap();
            public_url(&configuration).unwrap().to_string()
        };
        let public = ("PUBLIC_URL", "https://stoa.example.com");
        assert_eq!(url([("PORT", "80"), public]), "https://stoa.example.com/");
        assert_eq!(
            url([("PORT", "9000"), ("HOST", "0.0.0.0")]),
            "http://127.0.0.1:9000/"
        );
        assert_eq!(
            url([("PORT", "9000"), ("HOST", "::1")]),
            "http://[::1]:9000/"
        );
    }
}
