//! The only place that writes to the terminal. Results go to stdout, everything else to stderr.

use std::io::{self, IsTerminal, Write};

use clap::ValueEnum;
use serde::Serialize;

/// How a command prints its result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For people, with nothing cut to the terminal's width.
    Wide,
    /// For scripts.
    Json,
}

impl Format {
    /// What `--output` calls it.
    pub(crate) fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Writes a line of the result to stdout. A closed pipe is not an error worth a message.
pub(crate) fn line(text: &str) {
    let _ = writeln!(io::stdout(), "{text}");
}

/// Writes a result as one JSON value.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => line(&text),
        Err(error) => error_line(&error.to_string()),
    }
}

/// Writes a note for people to stderr.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes an error to stderr.
pub(crate) fn error_line(text: &str) {
    let style = Style::stderr();
    let _ = writeln!(io::stderr(), "{} {text}", style.red("error:"));
}

/// Colours, where a terminal can show them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style(bool);

impl Style {
    /// For text on stdout.
    pub(crate) fn stdout() -> Self {
        Self(io::stdout().is_terminal() && colours())
    }

    /// For text on stderr.
    pub(crate) fn stderr() -> Self {
        Self(io::stderr().is_terminal() && colours())
    }

    /// Whether there are colours at all.
    pub(crate) fn is_on(self) -> bool {
        self.0
    }

    /// Without any colour.
    #[cfg(test)]
    pub(crate) fn plain() -> Self {
        Self(false)
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    pub(crate) fn red(self, text: &str) -> String {
        self.paint("1;31", text)
    }

    pub(crate) fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(crate) fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }

    pub(crate) fn cyan(self, text: &str) -> String {
        self.paint("36", text)
    }
}

/// <https://no-color.org>, and terminals that say they cannot.
fn colours() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb")
}

/// Rows with aligned columns; the last column is as wide as it is.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// A time as people say it, in its two largest units.
pub(crate) fn span(seconds: i64) -> String {
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest}s"),
        (0, 0, _) => format!("{minutes}m {rest}s"),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_in_two_units() {
        let said = [1, 59, 60, 3_599, 3_600, 86_400 + 7_260].map(span);
        assert_eq!(said, ["1s", "59s", "1m 0s", "59m 59s", "1h 0m", "1d 2h"]);
    }

    #[test]
    fn columns_are_aligned() {
        let rows = [
            vec!["NAME".to_owned(), "READY".to_owned()],
            vec!["observability".to_owned(), "yes".to_owned()],
        ];
        assert_eq!(table(&rows), "NAME           READY\nobservability  yes\n");
    }
}
