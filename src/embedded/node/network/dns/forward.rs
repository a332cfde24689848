//! Handing a query to the host's resolvers, untouched.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{ResolvConf, Transport};

/// What each resolver gets before the next is asked.
const PATIENCE: Duration = Duration::from_secs(2);

/// The first answer that one of the resolvers in `resolv_conf` gives.
///
/// # Errors
/// Those of the last resolver, or of the file.
pub(super) async fn forward(conf: &Path, query: &[u8], by: Transport) -> io::Result<Vec<u8>> {
    let servers = ResolvConf::parse(&tokio::fs::read_to_string(conf).await?).servers;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no resolver");
    for server in servers {
        match ask(SocketAddr::new(server, 53), query, by).await {
            Ok(answer) => return Ok(answer),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn ask(server: SocketAddr, query: &[u8], by: Transport) -> io::Result<Vec<u8>> {
    let answer = async {
        match by {
            Transport::Udp => over_udp(server, query).await,
            Transport::Tcp => over_tcp(server, query).await,
        }
    };
    timeout(PATIENCE, answer).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn over_udp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; 4096];
    loop {
        let length = socket.recv(&mut answer).await?;
        // An answer carries the query's id; anything else is not for us.
        if length > 2 && answer[..2] == query[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(query.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut stream = TcpStream::connect(server).await?;
    stream.write_all(&[&length.to_be_bytes()[..], query].concat()).await?;
    let length = stream.read_u16().await?;
    let mut answer = vec![0; usize::from(length)];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_answer_with_the_right_id_is_the_one() {
        let server = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = server.local_addr().unwrap();
        let serve = async {
            let mut buffer = [0; 64];
            let (length, from) = server.recv_from(&mut buffer).await.unwrap();
            assert_eq!(&buffer[..length], b"idquestion");
            server.send_to(b"xxforged", from).await.unwrap();
            server.send_to(b"idanswer", from).await.unwrap();
        };
        let (answer, ()) = tokio::join!(ask(address, b"idquestion", Transport::Udp), serve);
        assert_eq!(answer.unwrap(), b"idanswer");
    }

    #[tokio::test]
    async fn a_host_without_resolvers_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = forward(file.path(), b"idq", Transport::Udp).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
