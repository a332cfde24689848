//! The API server alone, to point clients at.
//!
//! `cargo run -p curtain-embedded --example api -- DIRECTORY` keeps its database there, writes
//! `DIRECTORY/kubeconfig`, and serves until Ctrl-C. There are no controllers and no node.
#![allow(clippy::print_stderr, reason = "an example is a program")]

mod common;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    let directory: PathBuf = std::env::args_os().nth(1).ok_or("usage: api DIRECTORY")?.into();
    let begin = Instant::now();
    let served = common::Served::start(&directory)?;
    eprintln!("serving after {:?}: {}", begin.elapsed(), served.kubeconfig.display());
    tokio::signal::ctrl_c().await?;
    served.stop();
    Ok(())
}
