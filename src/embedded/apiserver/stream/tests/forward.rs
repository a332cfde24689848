//! Ports by channels.

use std::io;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::{Client, pair, pod, taken, within};
use crate::apiserver::stream::{Connect, serve_ports};

/// A pod in which something listens on port 80 only: it reads to the end and then repeats what it read.
pub(in super::super) async fn connector() -> Box<Connect> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                let mut buffer = [0; 4096];
                // Everything up to a line end, or the end.
                while !all.ends_with(b"\n") {
                    match stream.read(&mut buffer).await.unwrap() {
                        0 => break,
                        count => all.extend_from_slice(&buffer[..count]),
                    }
                }
                stream.write_all(&all).await.unwrap();
            });
        }
    });
    Box::new(move |port| {
        Box::pin(async move {
            match port {
                80 => TcpStream::connect(address).await,
                _ => Err(io::ErrorKind::ConnectionRefused.into()),
            }
        })
    })
}

async fn serving(ports: Vec<u16>) -> (Client, tokio::task::JoinHandle<()>) {
    let (client, socket) = pair().await;
    let connect = connector().await;
    let server = tokio::spawn(async move {
        serve_ports(socket, pod(), ports, &connect, CancellationToken::new()).await;
    });
    (client, server)
}

#[tokio::test]
async fn each_port_has_two_channels_that_begin_with_its_number() {
    let (mut client, server) = serving(vec![80, 81]).await;
    client.send(b"\x00hello\n".as_slice()).await;
    let mut heads = Vec::new();
    let (mut echoed, mut error) = (Vec::new(), Vec::new());
    let code = loop {
        match client.next().await {
            Ok(message) if heads.len() < 4 && message.len() == 3 => heads.push(message.to_vec()),
            Ok(message) if message[0] == 0 => echoed.extend_from_slice(&message[1..]),
            Ok(message) if message[0] == 3 => error.extend_from_slice(&message[1..]),
            Ok(message) => panic!("{message:?}"),
            Err(code) => break code,
        }
    };
    heads.sort();
    assert_eq!(heads, [[0, 80, 0], [1, 80, 0], [2, 81, 0], [3, 81, 0]]);
    assert_eq!(echoed, b"hello\n");
    let error = String::from_utf8(error).unwrap();
    assert!(
        error.contains("error forwarding port 81 to pod web") && error.contains("refused"),
        "{error}"
    );
    assert_eq!(code, CloseCode::Normal, "all connections have ended");
    drop(client);
    within(server).await.unwrap();
}

#[tokio::test]
async fn channels_that_are_not_there_are_passed_over() {
    let (mut client, server) = serving(vec![80]).await;
    for wrong in [&b"\x01error?"[..], b"\x02?", b"\xff?", b""] {
        client.send(wrong.to_vec()).await;
    }
    client.send(b"\x00still here\n".as_slice()).await;
    let echoed = loop {
        let message = client.next().await.unwrap();
        if message.len() > 3 {
            break message;
        }
    };
    assert_eq!(echoed, b"\x00still here\n".as_slice());
    drop(client);
    within(server).await.unwrap();
}

#[tokio::test]
async fn what_waits_for_all_ports_together_is_bounded() {
    let (mut client, socket) = pair().await;
    let ports = vec![80; 60];
    let connect: Box<Connect> = Box::new(|_| Box::pin(std::future::pending()));
    tokio::spawn(async move {
        serve_ports(socket, pod(), ports, &connect, CancellationToken::new()).await;
    });
    let message = |turn: u8| {
        let mut message = vec![0; 64 << 10];
        message[0] = 2 * (turn % 60);
        message.into()
    };
    let bytes = taken(&mut client, (0..240).map(message)).await;
    assert!((1 << 20..2 << 20).contains(&bytes), "{bytes}");
}
