//! What the process says about itself: structured lines on standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// What is logged where `RUST_LOG` says nothing. A pool warns when a database ends before a
/// connection to it is handed back, which is how every shutdown ends.
const DEFAULT_FILTER: &str = "info,sqlx=warn,sqlx_core::pool=error";

/// How the log looks and how much it says.
#[derive(Debug, Default)]
pub(crate) struct TelemetrySettings {
    /// `RUST_LOG`, checked.
    pub(crate) filter: Option<String>,
    /// None chooses text for a terminal and JSON for anything else.
    pub(crate) format: Option<LogFormat>,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

impl TelemetrySettings {
    /// Checks the directives of `RUST_LOG`, which the filter itself would skip in silence.
    pub(crate) fn parse_filter(text: &str) -> Result<String, String> {
        EnvFilter::builder()
            .parse(text)
            .map(|_| text.to_owned())
            .map_err(|error| format!("is a filter such as `info` or `warn,stoa=debug`: {error}"))
    }

    fn format(&self, on_terminal: bool) -> LogFormat {
        self.format.unwrap_or(if on_terminal {
            LogFormat::Text
        } else {
            LogFormat::Json
        })
    }
}

/// Starts logging for the rest of the process; `default_filter` counts where `RUST_LOG` is unset.
pub(crate) fn start(settings: &TelemetrySettings, default_filter: Option<&str>) {
    let on_terminal = std::io::stderr().is_terminal();
    let directives = settings
        .filter
        .as_deref()
        .or(default_filter)
        .unwrap_or(DEFAULT_FILTER);
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(directives))
        .with_writer(std::io::stderr)
        .with_ansi(on_terminal && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()));
    // A second start in one process would fail; the first one then goes on, which is as good.
    drop(match settings.format(on_terminal) {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_gets_text_and_a_pipe_json_unless_told() {
        let silent = TelemetrySettings::default();
        assert_eq!(silent.format(true), LogFormat::Text);
        assert_eq!(silent.format(false), LogFormat::Json);
        let told = TelemetrySettings {
            format: Some(LogFormat::Text),
            ..silent
        };
        assert_eq!(told.format(false), LogFormat::Text);
    }
}
