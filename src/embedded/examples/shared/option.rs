//! Options of a program.

use std::error::Error;

/// The number after an option.
pub(crate) fn number(name: &str, default: u64) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|argument| argument == name) else {
        return Ok(default);
    };
    let value = arguments.get(at + 1).ok_or_else(|| format!("{name} needs a number"))?;
    value.parse().map_err(|_| format!("{name} needs a number, not {value:?}").into())
}
