//! The `curtain` binary: every part of the platform is a verb of it.

use std::process::ExitCode;

fn main() -> ExitCode {
    curtain_cli::main()
}
