//! What `stoa doctor` found: a line a check, and how to mend what is wrong.

use serde::Serialize;

/// All checks, in the order in which they were made.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether nothing failed; warnings are allowed.
    pub(super) ok: bool,
    pub(super) checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
pub(super) struct Check {
    name: &'static str,
    status: Status,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Pass,
    Warn,
    Fail,
}

impl Check {
    pub(super) fn pass(name: &'static str, detail: impl Into<String>) -> Self {
        Self {
            name,
            status: Status::Pass,
            detail: detail.into(),
            remedy: None,
        }
    }

    pub(super) fn warn(
        name: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name,
            status: Status::Warn,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }

    pub(super) fn fail(
        name: &'static str,
        detail: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            name,
            status: Status::Fail,
            detail: detail.into(),
            remedy: Some(remedy.into()),
        }
    }

    #[cfg(test)]
    pub(super) fn is_noticed(&self) -> bool {
        self.status != Status::Pass
    }

    #[cfg(test)]
    pub(super) fn failed(&self) -> bool {
        self.status == Status::Fail
    }
}

impl Report {
    pub(super) fn of(checks: Vec<Check>) -> Self {
        Self {
            ok: checks.iter().all(|check| check.status != Status::Fail),
            checks,
        }
    }

    /// The names of what failed.
    pub(super) fn failed(&self) -> Vec<&'static str> {
        self.checks
            .iter()
            .filter(|check| check.status == Status::Fail)
            .map(|check| check.name)
            .collect()
    }

    pub(super) fn text(&self) -> String {
        let width = self
            .checks
            .iter()
            .map(|check| check.name.len())
            .max()
            .unwrap_or(0);
        let mut text = String::new();
        for Check {
            name,
            status,
            detail,
            remedy,
        } in &self.checks
        {
            let word = match status {
                Status::Pass => "ok  ",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
            };
            text.push_str(&format!("{word}  {name:<width$}  {detail}\n"));
            if let Some(remedy) = remedy {
                text.push_str(&format!(
                    "{:>indent$}  to mend it: {remedy}\n",
                    "",
                    indent = width + 6
                ));
            }
        }
        text
    }
}
