//! Makes the test executable stand in for the real one: `node …` and `program …` on its command line are handled
//! before the test runner starts, and thus before there is a second thread.
#![allow(
    unsafe_code,
    reason = "an initializer that runs before main needs a linker section, and a test forks"
)]

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::ClusterConfig;

#[used]
// SAFETY: the C runtime calls every pointer in this section once, before main; the function may be called then: the
// Rust runtime's own initializer has an earlier priority, so arguments are available.
#[unsafe(link_section = ".init_array")]
static DISPATCH: extern "C" fn() = dispatch;

extern "C" fn dispatch() {
    let args: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = args.iter().skip(1).map(String::as_str).collect();
    let code = match words.as_slice() {
        ["node", "supervise", "--config", path] => finish(crate::supervise(Path::new(path))),
        ["node", "shim", "--control-fd", fd] => {
            finish(crate::run_shim(fd.parse().expect("a number")))
        }
        ["node", "inside"] => finish(crate::run_inside()),
        ["node", "pause"] => finish(crate::run_pause()),
        ["node", "store", "--config", path, "--control-fd", fd] => {
            finish(crate::store_image(Path::new(path), fd.parse().expect("a number")))
        }
        ["node", "run", "--config", path, "--control-fd", fd] => {
            finish(crate::run_node(Path::new(path), fd.parse().expect("a number")))
        }
        ["program", program @ ..] => run(program),
        _ => return,
    };
    let _ = std::io::stdout().flush();
    crate::node::sandbox::sys::exit_now(code)
}

fn finish(result: Result<(), crate::Error>) -> i32 {
    match result {
        Ok(()) => 0,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{error}");
            1
        }
    }
}

/// What containers of tests run.
fn run(words: &[&str]) -> i32 {
    let mut out = std::io::stdout();
    match words {
        ["exit", code] => return code.parse().unwrap(),
        ["print", text] => writeln!(out, "{text}").unwrap(),
        ["lines", count] => {
            for number in 0..count.parse().unwrap() {
                writeln!(out, "line {number}").unwrap();
            }
        }
        ["cat", path] => match std::fs::read_to_string(path) {
            Ok(text) => write!(out, "{text}").unwrap(),
            Err(error) => {
                writeln!(std::io::stderr(), "{path}: {error}").unwrap();
                return 1;
            }
        },
        ["holds", path, text] => {
            let holds = std::fs::read_to_string(path).is_ok_and(|found| found.contains(text));
            return i32::from(!holds);
        }
        ["list", path] => {
            for entry in std::fs::read_dir(path).unwrap() {
                writeln!(out, "{}", entry.unwrap().file_name().display()).unwrap();
            }
        }
        // Takes so many MiB of the disk, says so, and stays.
        ["fill", path, mebibytes] => {
            let mut file = std::fs::File::create(path).unwrap();
            for _ in 0..mebibytes.parse().unwrap() {
                file.write_all(&vec![1; 1 << 20]).unwrap();
            }
            writeln!(out, "filled").unwrap();
            std::thread::sleep(Duration::from_secs(600));
        }
        ["write", path] => return i32::from(std::fs::write(path, "x").is_err()),
        ["directory", path] => return i32::from(std::fs::create_dir(path).is_err()),
        ["env", name] => writeln!(out, "{}", std::env::var(name).unwrap_or_default()).unwrap(),
        ["unshare"] => {
            let flags = nix::sched::CloneFlags::CLONE_NEWUSER;
            return i32::from(nix::sched::unshare(flags).is_ok());
        }
        ["hog"] => {
            let mut kept = Vec::new();
            loop {
                kept.push(vec![1_u8; 1 << 20]);
            }
        }
        ["forks"] => {
            let mut made = 0;
            // SAFETY: this process has one thread.
            while let Ok(forked) = unsafe { nix::unistd::fork() } {
                if forked.is_child() {
                    std::thread::sleep(Duration::from_secs(600));
                }
                made += 1;
            }
            writeln!(out, "{made}").unwrap();
        }
        ["leave", "writer"] => {
            // SAFETY: this process has one thread.
            if unsafe { nix::unistd::fork() }.unwrap().is_child() {
                while out.write_all(b"on and on\n").is_ok() {}
            }
        }
        // A process of many threads that is being ended, when the first of them has.
        ["hold", address] => {
            let held = std::net::TcpListener::bind(address).unwrap();
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_secs(600));
                drop(held);
            });
            writeln!(out, "held").unwrap();
            // SAFETY: ends this thread, whose stack nobody has borrowed from.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
        }
        // A server that writes down what it is asked, and refuses it.
        ["note", port, path] => {
            let listener = std::net::TcpListener::bind(format!("0.0.0.0:{port}")).unwrap();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 1024];
                let length = stream.read(&mut request).unwrap_or(0);
                if length > 0 {
                    std::fs::write(path, &request[..length]).unwrap();
                }
                let _ = stream.write_all(b"HTTP/1.1 503 no\r\ncontent-length: 0\r\n\r\n");
            }
        }
        ["serve", port] => {
            let listener = std::net::TcpListener::bind(format!("0.0.0.0:{port}")).unwrap();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let _ = stream.read(&mut [0; 1024]);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello");
            }
        }
        ["reach", address] => writeln!(out, "{}", reach(address)).unwrap(),
        ["resolve", server, name] => writeln!(out, "{}", resolve(server, name)).unwrap(),
        ["health", port] => crate::node::pods::serve_health(port.parse().unwrap()),
        ["wait"] => std::thread::sleep(Duration::from_secs(600)),
        ["stdin"] => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).unwrap();
        }
        ["echo"] => {
            std::io::copy(&mut std::io::stdin(), &mut out).unwrap();
        }
        ["complain", text] => writeln!(std::io::stderr(), "{text}").unwrap(),
        ["sizes"] => {
            for line in std::io::stdin().lines() {
                writeln!(out, "{} {}", line.unwrap(), terminal_size()).unwrap();
            }
        }
        other => panic!("no program {other:?}"),
    }
    0
}

/// What a program that is served by `serve` says, or that nobody says anything.
fn reach(address: &str) -> String {
    let ask = || -> std::io::Result<String> {
        let mut stream = std::net::TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok(answer) => answer.lines().last().unwrap_or("silence").to_owned(),
        Err(_) => "refused".to_owned(),
    }
}

/// The address that a name server has for a name; it has a second to tell.
fn resolve(server: &str, name: &str) -> String {
    use hickory_proto::op::{Message, MessageType, OpCode, Query};
    use hickory_proto::rr::{Name, RecordType};
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket.send_to(&query.to_vec().unwrap(), server).unwrap();
    let mut buffer = [0; 512];
    match socket.recv(&mut buffer) {
        Ok(length) => {
            let answer = Message::from_vec(&buffer[..length]).unwrap();
            answer.answers.first().map_or("none".to_owned(), |record| record.data.to_string())
        }
        Err(_) => "silence".to_owned(),
    }
}

/// Columns and rows of the terminal that standard output is.
fn terminal_size() -> String {
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one winsize, which outlives the call.
    match unsafe { libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) } {
        0 => format!("{}x{}", size.ws_col, size.ws_row),
        _ => "no terminal".to_owned(),
    }
}

/// A cluster of its own in a temporary directory; removed, with all its processes, when dropped.
pub(crate) struct TestCluster {
    pub(crate) config: ClusterConfig,
    dir: Option<tempfile::TempDir>,
}

impl TestCluster {
    pub(crate) fn new(name: &str) -> Self {
        Self::below(&std::env::temp_dir(), name)
    }

    pub(crate) fn below(dir: &Path, name: &str) -> Self {
        let dir = tempfile::tempdir_in(dir).unwrap();
        let config = ClusterConfig {
            version: ClusterConfig::VERSION,
            instance: format!("t{}-{name}", std::process::id()),
            home: dir.path().join("cluster"),
            binary: std::env::current_exe().unwrap(),
            own_image: "docker.io/library/curtain:test".into(),
            api_listen: free_address(),
            front_doors: Vec::new(),
            service_cidr: "10.96.0.0/16".parse().unwrap(),
            pod_cidr: "10.244.0.0/16".parse().unwrap(),
            reach: crate::Reach::default(),
            registries: crate::Registries::default(),
            sight: true,
            offline: false,
        };
        crate::init(&config).unwrap();
        Self { config, dir: Some(dir) }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.config.home.join(relative)
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        let removed = crate::destroy(&self.config);
        let left = crate::residue(&self.config);
        drop(self.dir.take());
        if !std::thread::panicking() {
            removed.unwrap();
            assert_eq!(left.unwrap(), []);
        }
    }
}

/// An address that nobody else has: a loopback address of its own for each call, since a port that was free a moment
/// ago on the usual one may be a connection's by the time it is wanted.
pub(crate) fn free_address() -> std::net::SocketAddr {
    static CALLS: AtomicU8 = AtomicU8::new(1);
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    (Ipv4Addr::new(127, 100 + high % 100, low, call), 6443).into()
}
