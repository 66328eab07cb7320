//! Results, on standard output and nowhere else.

use std::io::{self, Write as _};

use serde::Serialize;

use super::failure::Failure;

/// How a command that prints data prints it.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct OutputArguments {
    /// Print JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl OutputArguments {
    /// Prints a result as JSON or as the text that `text` makes of it.
    pub(crate) fn print<T: Serialize>(
        self,
        result: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            print_json(result)
        } else {
            print(&text(result))
        }
    }

    /// Prints a result as JSON, if that is asked for; where text says it all on standard error.
    pub(crate) fn print_json_only(self, result: &impl Serialize) -> Result<(), Failure> {
        match self.json {
            true => print_json(result),
            false => Ok(()),
        }
    }
}

/// Prints text with a line's end. A reader that has gone away is no error: it has had enough.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes(), !text.ends_with('\n') && !text.is_empty())
}

fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_vec_pretty(value)
        .map_err(|error| Failure::from_error("cannot_print", &error))?;
    print_bytes(&json, true)
}

fn print_bytes(bytes: &[u8], end_line: bool) -> Result<(), Failure> {
    let mut output = io::stdout().lock();
    let written = output
        .write_all(bytes)
        .and_then(|()| {
            if end_line {
                output.write_all(b"\n")
            } else {
                Ok(())
            }
        })
        .and_then(|()| output.flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::from_error("cannot_print", &error))
        }
        _ => Ok(()),
    }
}

/// Tells the person at the terminal something that is no result. A closed standard error is
/// nobody's concern.
pub(crate) fn tell(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

/// Columns aligned with spaces, a heading above. What cannot be shown in a cell, such as a line's
/// end or an escape sequence, is replaced: names come from other people.
pub(crate) fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let clean = |cell: &str| -> String {
        cell.chars()
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .collect()
    };
    let lines: Vec<[String; N]> = std::iter::once(heading.map(str::to_uppercase))
        .chain(
            rows.iter()
                .map(|row| std::array::from_fn(|column| clean(&row[column]))),
        )
        .collect();
    let widths: [usize; N] = std::array::from_fn(|column| {
        lines
            .iter()
            .map(|line| line[column].chars().count())
            .max()
            .unwrap_or(0)
    });
    let mut text = String::new();
    for line in &lines {
        let mut padded = String::new();
        for (cell, width) in line.iter().zip(widths) {
            padded.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(padded.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_aligned_and_cannot_be_broken_by_a_cell() {
        let rows = [
            ["acme".into(), "Acme".into()],
            ["x".into(), "ev\u{1b}[2J\nil".into()],
        ];
        assert_eq!(
            table(["slug", "name"], &rows),
            "SLUG  NAME\nacme  Acme\nx     ev\u{fffd}[2J\u{fffd}il\n"
        );
    }
}
