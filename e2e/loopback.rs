//! A web server on the loopback device, for what tests serve to real clients.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Error, ErrorKind, Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

/// How long a client may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);
/// How TLS begins: a client that tries it goes on to plain HTTP when it is answered in that.
const TLS: u8 = 0x16;

/// What was asked, whole.
pub(crate) struct Request {
    pub(crate) method: String,
    /// With its query.
    pub(crate) path: String,
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    /// A header, by its name in lower case.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

/// What is answered.
pub(crate) struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    /// The length that is announced, which is more than there is where a connection breaks.
    length: usize,
}

impl Response {
    pub(crate) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        Self { status, headers: Vec::new(), length: body.len(), body }
    }

    pub(crate) fn with(mut self, header: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((header, value.into()));
        self
    }

    /// Breaks off in the middle of the body.
    pub(crate) fn broken(mut self) -> Self {
        self.body.truncate(self.length / 2);
        self
    }
}

/// The server; it ends when dropped.
#[derive(Debug)]
pub(crate) struct Loopback {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Loopback {
    /// Serves what `answer` says, each connection on a thread of its own, for one request.
    pub(crate) fn serve(answer: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port of the loopback device");
        let address = listener.local_addr().expect("the port");
        let ended = Arc::new(AtomicBool::new(false));
        let (end, answer) = (Arc::clone(&ended), Arc::new(answer));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if end.load(Ordering::Acquire) {
                    return;
                }
                let answer = Arc::clone(&answer);
                // Who breaks off has had its answer.
                std::thread::spawn(move || stream.and_then(|stream| serve(stream, &*answer)));
            }
        });
        Self { address, ended, thread: Some(thread) }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Loopback {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        // Wakes the thread up.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &dyn Fn(&Request) -> Response) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut first = [0];
    if stream.peek(&mut first)? == 0 {
        return Ok(());
    }
    if first == [TLS] {
        // Unread, what it sent would break the connection before it has the answer.
        let _ = stream.read(&mut [0; 4096])?;
        return stream.write_all(b"HTTP/1.1 400 -\r\nconnection: close\r\n\r\n");
    }
    let request = read(&stream)?;
    let Response { status, headers, body, length } = answer(&request);
    let headers: String =
        headers.into_iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "HTTP/1.1 {status} -\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" { Ok(()) } else { stream.write_all(&body) }
}

fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    // A proxy is told the whole URL.
    let path = path
        .strip_prefix("http://")
        .and_then(|it| it.find('/').map(|at| it[at..].to_owned()))
        .unwrap_or(path);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(Ok(0), |length| length.parse());
    let mut body = vec![0; length.map_err(|error| Error::new(ErrorKind::InvalidData, error))?];
    reader.read_exact(&mut body)?;
    Ok(Request { method, path, headers, body })
}
