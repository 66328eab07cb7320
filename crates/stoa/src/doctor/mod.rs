//! `stoa doctor`: looks at everything that Stoa needs and says how to mend what is missing.

mod clients;
mod databases;
mod local;
mod report;

use crate::command_line::failure::Failure;
use crate::command_line::output::OutputArguments;
use crate::configuration::Configuration;
use report::{Check, Report};

/// Makes every check and prints them; fails when one fails.
pub(crate) async fn run(output: OutputArguments) -> Result<(), Failure> {
    let report = Report::of(match crate::parse_configuration() {
        Ok(configuration) => check_all(configuration).await,
        Err(failure) => vec![local::malformed_configuration(&failure)],
    });
    // The report is the result even when it is a bad one, so it goes to standard output.
    output.print(&report, Report::text)?;
    if report.ok {
        Ok(())
    } else {
        Err(Failure::new("checks_failed", report.failed().join(", ")))
    }
}

async fn check_all(mut configuration: Configuration) -> Vec<Check> {
    let mut checks = local::configuration(&configuration);
    checks.push(local::data_directory(&configuration));
    let (check, keys) = local::master_key(&mut configuration);
    checks.push(check);
    let (check, can_connect) = databases::embedded(&configuration);
    checks.push(check);
    checks.extend(databases::dedicated(&configuration).await);
    if can_connect {
        checks.extend(databases::connected(&configuration, keys.as_ref()).await);
    }
    checks.push(local::mail(&configuration));
    checks
}
