//! A bare embedded cluster without the platform, for trying the node by hand, and for `bench_node` and `chaos_node`. Its own
//! image, `docker.io/library/curtain:dev`, has a few programs for containers: `args: [program, serve, "8080", hello]`.
//!
//! ```text
//! cargo run -p curtain-embedded --example cluster -- up   HOME   # prints the kubeconfig's path
//! cargo run -p curtain-embedded --example cluster -- load HOME IMAGE.tar
//! cargo run -p curtain-embedded --example cluster -- stop HOME
//! cargo run -p curtain-embedded --example cluster -- down HOME
//! ```
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a program for people"
)]

#[path = "../bare/mod.rs"]
mod bare;
mod programs;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use curtain_embedded as embedded;
use embedded::{ClusterConfig, Error, images};

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        // These five come first: they must run before there is a second thread.
        ["node", "supervise", "--config", config] => embedded::supervise(Path::new(config)),
        ["node", "shim", "--control-fd", fd] => embedded::run_shim(number(fd)),
        ["node", "pause"] => embedded::run_pause(),
        ["node", "store", "--config", config, "--control-fd", fd] => {
            embedded::store_image(Path::new(config), number(fd))
        }
        ["node", "run", "--config", config, "--control-fd", fd] => {
            tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr).init();
            embedded::run_node(Path::new(config), number(fd))
        }
        ["program", words @ ..] => programs::run(words)
            .map_err(|source| Error::System { what: format!("run {words:?}"), source }),
        ["up", home] => up(Path::new(home)),
        ["load", home, archive] => load(Path::new(home), archive),
        ["stop", home] => config(home).and_then(|c| embedded::stop(&c, Duration::from_secs(30))),
        ["down", home] => down(home),
        _ => {
            eprintln!("usage: cluster up|load|stop|down HOME [ARCHIVE]");
            std::process::exit(2);
        }
    };
    if let Err(error) = result {
        eprintln!("{error}");
        std::process::exit(1);
    }
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or(-1)
}

fn config(home: &str) -> Result<ClusterConfig, Error> {
    ClusterConfig::read(&PathBuf::from(home).join("config.json"))
}

fn up(home: &Path) -> Result<(), Error> {
    let failed = |source| Error::System { what: "prepare the cluster".to_owned(), source };
    let config = match ClusterConfig::read(&home.join("config.json")) {
        Ok(config) => config,
        Err(_) => bare::settings(
            "bare",
            std::path::absolute(home).map_err(failed)?,
            std::env::current_exe().map_err(failed)?,
            TcpListener::bind("127.0.0.1:0")
                .and_then(|listener| listener.local_addr())
                .map_err(failed)?,
        )?,
    };
    embedded::init(&config)?;
    embedded::start(&config, Duration::from_secs(10))?;
    println!("{}", config.admin_kubeconfig().display());
    Ok(())
}

fn load(home: &Path, archive: &str) -> Result<(), Error> {
    let file = std::fs::File::open(archive)
        .map_err(|source| Error::System { what: format!("open {archive}"), source })?;
    for image in images::load(home, file)? {
        println!("{}", image.reference);
    }
    Ok(())
}

fn down(home: &str) -> Result<(), Error> {
    let config = config(home)?;
    let removed = embedded::destroy(&config)?;
    println!("{} processes, {} control groups", removed.processes, removed.control_groups);
    for left in embedded::residue(&config)? {
        println!("left: {left:?}");
    }
    Ok(())
}
