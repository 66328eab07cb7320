//! What is printed: a line for each figure, with what stands above and below the ratio's line.

use std::io::Write as _;

use anyhow::Result;
use stoa_domain::Clock;

use crate::ground::Ground;
use crate::measured::{Pairs, Sample};

/// The report, printed as it grows.
pub(crate) struct Report {
    clock: Clock,
    begun: std::time::Instant,
}

impl Report {
    /// Begins with what the machine is.
    pub(crate) async fn begin(ground: &Ground) -> Result<Self> {
        let clock = Clock::system();
        let commit = ground.commit().await?;
        let report = Self {
            begun: std::time::Instant::now(),
            clock,
        };
        line(&format!(
            "{}; {}; PostgreSQL {} on its default settings, a commit takes {}; load {}",
            report.clock.now().format("%Y-%m-%d %H:%M UTC"),
            machine(),
            ground.postgres_version(),
            milliseconds(commit.as_secs_f64()),
            load(),
        ));
        Ok(report)
    }

    /// Begins a group of figures that are about the same two things.
    pub(crate) fn section(&self, title: &str, [above, below]: [&str; 2]) {
        line(&format!(
            "\n{title}\n  {:<32}{above:>14}{below:>14}{:>8}   {:<16}",
            "", "ratio", "of the turns"
        ));
    }

    /// A figure: what stands above and below the line, their ratio, and the least and the most that
    /// it was in one turn.
    pub(crate) fn figure(
        &self,
        name: &str,
        [above, below]: [String; 2],
        ratio: f64,
        turns: &Sample,
        more: &str,
    ) {
        let spread = format!("{:.2} to {:.2}", turns.least(), turns.most());
        let figure =
            format!("  {name:<32}{above:>14}{below:>14}{ratio:>8.2}   {spread:<16} {more}");
        line(figure.trim_end());
    }

    /// A figure of two things that took turns: the medians of each, and the median of their ratios.
    pub(crate) fn pairs(&self, name: &str, pairs: &Pairs, unit: fn(f64) -> String, more: &str) {
        let (above, below) = (pairs.above().median(), pairs.below().median());
        let ratios = pairs.ratios();
        self.figure(
            name,
            [unit(above), unit(below)],
            ratios.median(),
            &ratios,
            more,
        );
    }

    /// Something to know about the figures before.
    pub(crate) fn remark(&self, text: &str) {
        line(&format!("  {text}"));
    }

    /// Ends with what it took.
    pub(crate) fn end(&self) {
        let seconds = self.begun.elapsed().as_secs();
        line(&format!("\nMeasured in {seconds} s; load {}", load()));
    }
}

fn line(text: &str) {
    // Without standard output there is nobody to tell.
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// Says something to whoever started this program.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

pub(crate) fn milliseconds(seconds: f64) -> String {
    format!("{:.2} ms", seconds * 1_000.0)
}

pub(crate) fn megabytes(bytes: f64) -> String {
    format!("{:.2} MB", bytes / 1_000_000.0)
}

pub(crate) fn a_second(number: f64) -> String {
    format!("{number:.0}/s")
}

pub(crate) fn kilobytes(bytes: f64) -> String {
    format!("{:.0} kB", bytes / 1_000.0)
}

/// A difference, which may be one of less.
pub(crate) fn more(unit: fn(f64) -> String, difference: f64) -> String {
    let sign = if difference < 0.0 { "" } else { "+" };
    format!("{sign}{}", unit(difference))
}

/// Its processors and its memory.
fn machine() -> String {
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let first = |file: &str, name: &str| -> Option<String> {
        let text = std::fs::read_to_string(file).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim_start_matches([':', ' ', '\t']).trim().to_owned())
    };
    let model = first("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into());
    let memory = first("/proc/meminfo", "MemTotal:")
        .and_then(|text| text.split(' ').next()?.parse::<f64>().ok())
        .unwrap_or_default();
    format!(
        "{processors} processors ({model}), {:.0} GB",
        memory * 1024.0 / 1e9
    )
}

/// What else the machine does, averaged over the last minute.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}
