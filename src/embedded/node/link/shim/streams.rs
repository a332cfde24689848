//! The streams of programs: pipes are made here and their other ends handed to the shim, terminals come from it. What
//! is read and written passes nobody else.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::unistd::pipe2;
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::oneshot;

use super::{ShimError, ShimLink, unexpected};
use crate::node::sandbox::{ExecSpec, sys};
use crate::node::shim::{Exit, Reply, Request, Streams};

/// The node's ends of a program's streams.
pub(crate) struct Joined {
    pub(crate) stdin: Option<Sender>,
    pub(crate) stdout: Option<Receiver>,
    pub(crate) stderr: Option<Receiver>,
    pub(crate) terminal: Option<Terminal>,
}

/// The controlling side of a terminal.
pub(crate) struct Terminal(OwnedFd);

impl Terminal {
    /// Tells it how large it is.
    pub(crate) fn resize(&self, columns: u16, rows: u16) -> io::Result<()> {
        sys::resize_terminal(self.0.as_fd(), columns, rows)
    }
}

/// A program that runs for somebody. Dropping it leaves the program to itself.
pub(crate) struct Running {
    link: ShimLink,
    id: u64,
    exit: oneshot::Receiver<Exit>,
}

impl Running {
    /// Waits for its end.
    pub(crate) async fn end(mut self) -> Result<Exit, ShimError> {
        (&mut self.exit).await.map_err(|_| ShimError::Gone)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.link.shared.waiting().programs.remove(&self.id);
    }
}

/// Both ends of the pipes that are asked for.
#[derive(Default)]
struct Pipes {
    stdin: Option<(OwnedFd, OwnedFd)>,
    stdout: Option<(OwnedFd, OwnedFd)>,
    stderr: Option<(OwnedFd, OwnedFd)>,
}

impl Pipes {
    fn new(streams: Streams) -> io::Result<Self> {
        let pipe = |wanted: bool| wanted.then(|| pipe2(OFlag::O_CLOEXEC)).transpose();
        Ok(Self {
            stdin: pipe(streams.stdin)?,
            stdout: pipe(streams.stdout)?,
            stderr: pipe(streams.stderr)?,
        })
    }

    /// What the shim gets, in the order of [`Streams`].
    fn theirs(&self) -> Vec<BorrowedFd<'_>> {
        let stdin = self.stdin.iter().map(|(read, _)| read);
        let outputs = self.stdout.iter().chain(&self.stderr).map(|(_, write)| write);
        stdin.chain(outputs).map(AsFd::as_fd).collect()
    }

    fn ours(self) -> io::Result<Joined> {
        Ok(Joined {
            stdin: self.stdin.map(|(_, write)| sender(write)).transpose()?,
            stdout: self.stdout.map(|(read, _)| receiver(read)).transpose()?,
            stderr: self.stderr.map(|(read, _)| receiver(read)).transpose()?,
            terminal: None,
        })
    }
}

impl ShimLink {
    /// Starts a program in a container, to go on for as long as it wants.
    pub(crate) async fn stream(
        &self,
        container: &str,
        argv: Vec<String>,
        streams: Streams,
    ) -> Result<(Joined, Running), ShimError> {
        self.check_streams().await?;
        let wanted = match streams.terminal {
            true => Streams { terminal: true, ..Streams::default() },
            false => streams,
        };
        let pipes = Pipes::new(wanted)?;
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (sender, exit) = oneshot::channel();
        self.shared.waiting().programs.insert(id, sender);
        let running = Running { link: self.clone(), id, exit };
        let exec = ExecSpec { argv };
        let request = Request::Stream { container: container.to_owned(), exec, streams: wanted };
        let (_, _, fds) = self.call_with_id(id, request, &pipes.theirs()).await?;
        let joined = match (streams.terminal, fds.into_iter().next()) {
            (false, _) => pipes.ours()?,
            (true, Some(controller)) => terminal(controller, streams)?,
            (true, None) => {
                return Err(ShimError::Refused("no terminal came with the program".to_owned()));
            }
        };
        Ok((joined, running))
    }

    /// Joins a container's own program. It is left alone when all that is returned is dropped, except that a standard
    /// input which is there only once ends.
    pub(crate) async fn attach(
        &self,
        container: &str,
        streams: Streams,
    ) -> Result<Joined, ShimError> {
        self.check_streams().await?;
        // Standard input is the container's: none is made here, and none handed over.
        let pipes = Pipes::new(Streams { stdin: false, ..streams })?;
        let request = Request::Attach { container: container.to_owned(), streams };
        let (reply, fds) = match self.call(request, &pipes.theirs()).await? {
            (_, Reply::Attached { stdin, terminal }, fds) => ((stdin, terminal), fds),
            (_, other, _) => return Err(unexpected(&other)),
        };
        let mut fds = fds.into_iter();
        let mut next = |there: bool| if there { fds.next() } else { None };
        let (stdin, terminal) = (next(reply.0), next(reply.1));
        let stdin = stdin.map(sender).transpose()?;
        Ok(Joined { stdin, terminal: terminal.map(Terminal), ..pipes.ours()? })
    }

    /// Whether the shim knows about streams. One of an earlier build would not answer.
    async fn check_streams(&self) -> Result<(), ShimError> {
        if self.shared.streams.load(Ordering::Relaxed) {
            return Ok(());
        }
        if !self.state().await?.streams {
            let why = "the pod was started by an earlier build, which cannot be joined: delete the pod to start it anew";
            return Err(ShimError::Refused(why.to_owned()));
        }
        self.shared.streams.store(true, Ordering::Relaxed);
        Ok(())
    }
}

fn terminal(controller: OwnedFd, streams: Streams) -> io::Result<Joined> {
    let share = |wanted: bool| wanted.then(|| controller.try_clone()).transpose();
    Ok(Joined {
        stdin: share(streams.stdin)?.map(sender).transpose()?,
        stdout: share(streams.stdout)?.map(receiver).transpose()?,
        stderr: None,
        terminal: Some(Terminal(controller)),
    })
}

// Terminals are not pipes, but wait, read and write like them.

fn sender(fd: OwnedFd) -> io::Result<Sender> {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Sender::from_owned_fd_unchecked(fd)
}

fn receiver(fd: OwnedFd) -> io::Result<Receiver> {
    fcntl(&fd, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Receiver::from_owned_fd_unchecked(fd)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use tokio::io::Interest;

    use super::*;
    use crate::node::shim::{ToShim, VERSION};
    use crate::node::wire::{Channel, Received};

    #[tokio::test]
    async fn a_shim_of_an_earlier_build_is_asked_nothing_that_it_does_not_know() {
        let (node, shim) = Channel::pair().unwrap();
        let shim = sys::async_fd(shim, Interest::READABLE).unwrap();
        let (link, _ended) = ShimLink::new(node.duplicate().unwrap()).unwrap();
        let answers = async {
            loop {
                let mut guard = shim.readable().await.unwrap();
                match shim.get_ref().receive::<ToShim>().unwrap() {
                    Received::Message(ToShim { id, request: Request::State }, _) => {
                        let state = json!({"type": "state", "version": VERSION, "containers": []});
                        let reply = json!({"type": "reply", "id": id, "result": {"Ok": state}});
                        shim.get_ref().send(&reply, &[]).unwrap();
                    }
                    Received::Message(other, _) => return other,
                    Received::Nothing => guard.clear_ready(),
                    Received::Closed => panic!("the link is gone"),
                }
            }
        };
        let asks = async {
            let wanted = Streams { stdout: true, ..Streams::default() };
            let attached = link.attach("main", wanted).await.err().unwrap();
            let run = link.stream("main", vec!["x".into()], wanted).await.err().unwrap();
            let measured = link.measure(Vec::new()).await.err().unwrap();
            [attached, run, measured].map(|error| error.to_string())
        };
        let errors = tokio::select! {
            errors = asks => errors,
            other = answers => panic!("it was asked {other:?}"),
            () = tokio::time::sleep(Duration::from_secs(60)) => panic!("no answer"),
        };
        for error in errors {
            assert!(error.contains("delete the pod to start it anew"), "{error}");
        }
    }
}
