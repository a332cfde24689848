//! What a program's streams look like to a client.

use futures::future::FutureExt as _;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::{Client, pair, within};
use crate::apiserver::Session;
use crate::apiserver::stream::{Version, serve_session};

/// Serves a session in the background.
async fn serving(
    session: Result<Session, String>,
    stopping: CancellationToken,
) -> (Client, tokio::task::JoinHandle<()>) {
    let (client, socket) = pair().await;
    (client, tokio::spawn(serve_session(socket, Version::V5, session, stopping)))
}

async fn status(client: &mut Client) -> Value {
    let message = client.next().await.unwrap();
    assert_eq!(message[0], 3, "{message:?}");
    serde_json::from_slice(&message[1..]).unwrap()
}

#[tokio::test]
async fn everything_that_was_written_comes_before_the_exit_code() {
    let (stdout, mut program) = tokio::io::duplex(1 << 20);
    let (stderr, mut errors) = tokio::io::duplex(1 << 20);
    let said: Vec<u8> = (0..300_000_u32).map(|number| number as u8).collect();
    program.write_all(&said).await.unwrap();
    errors.write_all(b"oops").await.unwrap();
    drop((program, errors));
    let session = Session {
        stdout: Some(Box::new(stdout)),
        stderr: Some(Box::new(stderr)),
        end: Some(async { Ok(3) }.boxed()),
        ..Session::default()
    };
    let (mut client, server) = serving(Ok(session), CancellationToken::new()).await;
    let mut got = [Vec::new(), Vec::new()];
    let status: Value = loop {
        let message = client.next().await.unwrap();
        match message[0] {
            3 => break serde_json::from_slice(&message[1..]).unwrap(),
            channel => got[usize::from(channel) - 1].extend_from_slice(&message[1..]),
        }
    };
    assert!(got[0] == said, "{} of {} bytes", got[0].len(), said.len());
    assert_eq!(got[1], b"oops");
    assert_eq!(status["reason"], "NonZeroExitCode");
    assert_eq!(status["details"]["causes"][0]["reason"], "ExitCode");
    assert_eq!(status["details"]["causes"][0]["message"], "3");
    assert_eq!(client.next().await, Err(CloseCode::Normal));
    drop(client);
    within(server).await.unwrap();
}

#[tokio::test]
async fn a_client_writes_and_says_when_that_is_all() {
    let (stdin, mut program) = tokio::io::duplex(16);
    let (exit, exited) = oneshot::channel();
    let session = Session {
        stdin: Some(Box::new(stdin)),
        end: Some(exited.map(|code| code.map_err(|_| "lost".to_owned())).boxed()),
        ..Session::default()
    };
    let (mut client, server) = serving(Ok(session), CancellationToken::new()).await;
    let reading = tokio::spawn(async move {
        let mut all = Vec::new();
        program.read_to_end(&mut all).await.unwrap();
        all
    });
    client.send(b"\x00hello ".as_slice()).await;
    client.send(b"\x07unknown".as_slice()).await;
    client.send(b"\x00world, and more than the pipe holds".as_slice()).await;
    client.send([255, 0].as_slice()).await;
    let read = within(reading).await.unwrap();
    assert_eq!(read, b"hello world, and more than the pipe holds");
    exit.send(0).unwrap();
    assert_eq!(status(&mut client).await["status"], "Success");
    assert_eq!(client.next().await, Err(CloseCode::Normal));
    drop(client);
    within(server).await.unwrap();
}

#[tokio::test]
async fn what_a_program_leaves_running_is_not_waited_for() {
    let (stdout, mut left) = tokio::io::duplex(1024);
    left.write_all(b"done").await.unwrap();
    let session = Session {
        stdout: Some(Box::new(stdout)),
        end: Some(async { Ok(0) }.boxed()),
        ..Session::default()
    };
    let (mut client, _server) = serving(Ok(session), CancellationToken::new()).await;
    assert_eq!(client.next().await.unwrap(), b"\x01done".as_slice());
    assert_eq!(status(&mut client).await["status"], "Success");
    drop(left);
}

#[tokio::test]
async fn sizes_reach_the_terminal() {
    let (sender, mut sizes) = tokio::sync::mpsc::unbounded_channel();
    let (stdout, _program) = tokio::io::duplex(16);
    let session = Session {
        stdout: Some(Box::new(stdout)),
        resize: Some(Box::new(move |columns, rows| sender.send((columns, rows)).unwrap())),
        ..Session::default()
    };
    let (mut client, _server) = serving(Ok(session), CancellationToken::new()).await;
    client.send(b"\x04{\"Width\":132,\"Height\":43}".as_slice()).await;
    assert_eq!(within(sizes.recv()).await, Some((132, 43)));
}

#[tokio::test]
async fn a_program_that_does_not_start_is_an_error_of_the_server() {
    let failed = Err("execute \"x\": not found".to_owned());
    let (mut client, _server) = serving(failed, CancellationToken::new()).await;
    let status = status(&mut client).await;
    assert_eq!((&status["code"], &status["reason"]), (&500.into(), &"InternalError".into()));
    assert!(status["message"].as_str().unwrap().contains("execute \"x\": not found"), "{status}");
    assert_eq!(client.next().await, Err(CloseCode::Normal));
}

#[tokio::test]
async fn a_joined_container_is_over_when_its_output_is() {
    let (stdout, program) = tokio::io::duplex(16);
    let session = Session { stdout: Some(Box::new(stdout)), ..Session::default() };
    let (mut client, _server) = serving(Ok(session), CancellationToken::new()).await;
    drop(program);
    assert_eq!(status(&mut client).await["status"], "Success");
}

#[tokio::test]
async fn a_session_ends_with_its_client_and_with_the_server() {
    let idle = || {
        let (stdout, program) = tokio::io::duplex(16);
        (Session { stdout: Some(Box::new(stdout)), ..Session::default() }, program)
    };
    let (session, mut program) = idle();
    let (client, server) = serving(Ok(session), CancellationToken::new()).await;
    drop(client);
    within(server).await.unwrap();
    assert!(program.write_all(b"anybody?").await.is_err(), "the program is left to itself");

    let (session, _program) = idle();
    let stopping = CancellationToken::new();
    let (mut client, server) = serving(Ok(session), stopping.clone()).await;
    stopping.cancel();
    assert_eq!(client.next().await, Err(CloseCode::Away));
    drop(client);
    within(server).await.unwrap();
}
