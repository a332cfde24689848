//! What containers of a bare cluster run: `program NAME ARGUMENT…`.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal};

/// How long anybody is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two numbers.
const PACE: Duration = Duration::from_millis(20);

/// Something that goes on until it fails, or has nothing more to do.
type Part = Box<dyn FnOnce() -> io::Result<()> + Send>;

/// Runs one until it ends.
pub(crate) fn run(words: &[&str]) -> io::Result<()> {
    let mut words = words.iter().map(|word| (*word).to_owned());
    let program = words.next().unwrap_or_default();
    let mut word = || words.next().ok_or_else(|| io::Error::other("there is a word missing"));
    match program.as_str() {
        "idle" => any(vec![]),
        "work" => {
            let milliseconds = word()?.parse().map_err(io::Error::other)?;
            std::thread::sleep(Duration::from_millis(milliseconds));
            Ok(())
        }
        "serve" => {
            let (port, text) = (word()?, word()?);
            any(vec![Box::new(move || serve(&port, || Ok(text.clone())))])
        }
        "visit" => {
            let (port, address) = (word()?, word()?);
            any(vec![Box::new(move || serve(&port, || ask(&address)))])
        }
        "count" => {
            let (port, file) = (word()?, PathBuf::from(word()?));
            let lock = File::create(file.with_extension("lock"))?;
            // Fails where another one counts still.
            let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock);
            let _alone = lock.map_err(|(_, errno)| errno)?;
            let counted = counted(&file)?;
            let path = file.clone();
            let counts = Box::new(move || count(&path, counted));
            any(vec![counts, Box::new(move || serve(&port, || std::fs::read_to_string(&file)))])
        }
        other => Err(io::Error::other(format!("there is no program {other:?}"))),
    }
}

/// Returns when the first of the parts has ended, or when the container is asked to end.
fn any(parts: Vec<Part>) -> io::Result<()> {
    // The first process of a container gets the signal only if it blocks it.
    let mut end = SigSet::empty();
    end.add(Signal::SIGTERM);
    end.thread_block()?;
    if parts.is_empty() {
        return Ok(end.wait().map(drop)?);
    }
    let (ended, first) = std::sync::mpsc::channel();
    let asked: Part = Box::new(move || Ok(end.wait().map(drop)?));
    for part in parts.into_iter().chain([asked]) {
        let ended = ended.clone();
        std::thread::spawn(move || ended.send(part()));
    }
    first.recv().map_err(io::Error::other)?
}

/// Answers every request with what `text` gives, or with 503 and why it gives nothing.
fn serve(port: &str, text: impl Fn() -> io::Result<String>) -> io::Result<()> {
    let listener = TcpListener::bind(format!("0.0.0.0:{port}"))?;
    for stream in listener.incoming() {
        // Who asks may be gone again.
        let _ = stream.and_then(|stream| answer(stream, &text));
    }
    Ok(())
}

fn answer(mut stream: TcpStream, text: impl Fn() -> io::Result<String>) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    // A request without a body, whose head is sent at once.
    if stream.read(&mut [0; 4096])? == 0 {
        return Ok(());
    }
    let (status, text) = match text() {
        Ok(text) => ("200 OK", text),
        Err(error) => ("503 Service Unavailable", error.to_string()),
    };
    let length = text.len();
    let head =
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    stream.write_all((head + &text).as_bytes())
}

/// What somebody else answers.
fn ask(address: &str) -> io::Result<String> {
    let found = address.to_socket_addrs()?.next();
    let found = found.ok_or_else(|| io::Error::other(format!("{address} has no address")))?;
    let mut stream = TcpStream::connect_timeout(&found, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => Err(io::Error::other(format!("{address} answers {answer:?}"))),
    }
}

/// The number that is kept in a file, which is made if there is none.
fn counted(file: &Path) -> io::Result<u64> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            keep(file, 0)?;
            return Ok(0);
        }
        Err(error) => return Err(error),
    };
    let broken = |_| format!("{} holds no number, but {text:?}", file.display());
    text.parse().map_err(broken).map_err(io::Error::other)
}

/// Counts on, and keeps each number for good.
fn count(file: &Path, mut number: u64) -> io::Result<()> {
    loop {
        std::thread::sleep(PACE);
        number += 1;
        keep(file, number)?;
    }
}

/// The former number, or this one: whoever is killed in between.
fn keep(file: &Path, number: u64) -> io::Result<()> {
    let next = file.with_extension("next");
    let mut written = File::create(&next)?;
    written.write_all(number.to_string().as_bytes())?;
    written.sync_data()?;
    std::fs::rename(next, file)
}
