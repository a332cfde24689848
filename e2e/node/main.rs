//! The programs of a node image that stands in for `kindest/node`, all in this one binary, told apart by their names.
//!
//! A node image is, to whoever makes nodes of it, an entry point and a few programs that are executed in the container:
//! `kubeadm`, `ctr`, `crictl`, `containerd`, `journalctl`, `systemctl`, beside `kubectl` and a shell. Here the cluster
//! that `kubeadm` sets up is Curtain's embedded one, inside of the container, so a provider is tested against answers,
//! files, objects, images and pods that are real. What a real node image has and this one lacks is said where it is
//! left out: a second kubelet above all (see `join`).
//!
//! State is in `/var`, a volume, so that a container which is stopped and started has its cluster again.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "these are programs for a terminal")]

mod cluster;
mod documents;
mod fault;
mod images;
mod init;
mod join;
mod journal;
mod kubeadm;

use std::{env, path::Path, process::ExitCode};

/// What a program has to say when it fails.
type Outcome = Result<(), String>;

fn main() -> ExitCode {
    let mut words = env::args();
    let path = words.next().unwrap_or_default();
    let name = Path::new(&path).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&name, &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, words: &[&str]) -> Outcome {
    match (name, words) {
        // The embedded cluster's own processes, which it starts from this binary.
        (_, ["node", "supervise", "--config", path]) => cluster::supervise(path),
        (_, ["node", "run", "--config", path, "--control-fd", fd]) => cluster::node(path, fd),
        (_, ["node", "shim", "--control-fd", fd]) => cluster::shim(fd),
        (_, ["node", "pause"]) => cluster::pause(),
        (_, ["node", "store", "--config", path, "--control-fd", fd]) => cluster::store(path, fd),
        ("entrypoint", _) => init::run(),
        ("join-server", _) => join::serve(),
        ("kubeadm", words) => kubeadm::run(words),
        ("ctr", words) => images::ctr(words),
        ("crictl", ["images", rest @ ..]) => images::crictl(rest),
        ("crictl", ["ps", "--output=json"]) => images::running(),
        ("crictl", ["rmi", id]) => images::remove_image(id),
        ("containerd", ["config", "dump" | "default"]) => images::containerd_config(),
        ("journalctl", words) => journal::journalctl(words),
        ("systemctl", words) => journal::systemctl(words),
        (name, words) => Err(format!("{name}: this node image cannot do {words:?}")),
    }
}
