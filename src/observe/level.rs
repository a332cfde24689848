//! The level of a line, read off its text.

use std::fmt;
use std::str::FromStr;

/// How bad a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// For developers of the program.
    Debug = 0,
    /// Ordinary; also every line that does not say.
    Info = 1,
    /// Something is not as it should be.
    Warn = 2,
    /// Something failed.
    Error = 3,
}

/// More of a line than this is not looked at.
const LOOKED_AT: usize = 512;

impl Level {
    /// The level a line states: in a field (`level=warn`, `"severity":"ERROR"`), in the way klog starts its
    /// lines (`E0102 03:04:05`), or as a word of its own. A line that states none is [`Level::Info`].
    pub fn of(line: &str) -> Level {
        let end = (0..=LOOKED_AT.min(line.len())).rev().find(|at| line.is_char_boundary(*at));
        let line = &line[..end.unwrap_or(0)];
        field(line).or_else(|| klog(line)).or_else(|| word(line)).unwrap_or(Level::Info)
    }

    /// All there are.
    pub const ALL: [Level; 4] = [Level::Debug, Level::Info, Level::Warn, Level::Error];

    /// As a number for storage.
    pub fn number(self) -> i64 {
        self as i64
    }

    /// From a number in storage.
    pub fn from_number(number: i64) -> Level {
        match number {
            0 => Level::Debug,
            2 => Level::Warn,
            3 => Level::Error,
            _ => Level::Info,
        }
    }
}

impl FromStr for Level {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "trace" | "debug" | "dbg" => Level::Debug,
            "info" | "information" | "notice" => Level::Info,
            "warn" | "warning" | "wrn" => Level::Warn,
            "error" | "err" | "fatal" | "panic" | "critical" | "crit" | "alert" | "emerg" => {
                Level::Error
            }
            _ => return Err(()),
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        })
    }
}

fn field(line: &str) -> Option<Level> {
    for name in ["level", "severity", "lvl"] {
        for (at, _) in line.match_indices(name) {
            let rest = line[at + name.len()..].trim_start_matches(['"', ' ']);
            let Some(value) = rest.strip_prefix(['=', ':']) else { continue };
            let value = value.trim_start_matches(['"', ' ']);
            let end = value.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(value.len());
            if let Ok(level) = value[..end].parse() {
                return Some(level);
            }
        }
    }
    None
}

fn klog(line: &str) -> Option<Level> {
    let digits = line.get(1..5)?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) || line.as_bytes().get(5) != Some(&b' ') {
        return None;
    }
    match line.as_bytes().first()? {
        b'I' => Some(Level::Info),
        b'W' => Some(Level::Warn),
        b'E' | b'F' => Some(Level::Error),
        b'D' => Some(Level::Debug),
        _ => None,
    }
}

/// Words in capitals only: prose mentions errors, too.
fn word(line: &str) -> Option<Level> {
    let words = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.len() >= 3 && word.bytes().all(|b| b.is_ascii_uppercase()))
        .find_map(|word| word.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn lines_state_their_level_in_many_ways() {
        let cases = [
            ("time=x level=warn msg=y", Level::Warn),
            (r#"{"ts":1,"level":"error","msg":"x"}"#, Level::Error),
            (r#"{"severity": "DEBUG"}"#, Level::Debug),
            ("E0102 03:04:05.6 file.go:1] broken", Level::Error),
            ("W1231 23:59:59 x", Level::Warn),
            ("2026-01-01T00:00:00Z  INFO started", Level::Info),
            ("[ERROR] no", Level::Error),
            ("2026 FATAL out", Level::Error),
            ("an error in prose is no error", Level::Info),
            ("level of water: high", Level::Info),
            ("", Level::Info),
            ("ÄÖÜ WARN ü", Level::Warn),
        ];
        for (line, level) in cases {
            assert_eq!(Level::of(line), level, "{line}");
        }
        let long = format!("{} ERROR", "ä".repeat(400));
        assert_eq!(Level::of(&long), Level::Info);
    }
}
