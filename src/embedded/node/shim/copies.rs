//! Copies of a container's output for those who are attached to it.
//!
//! Who is attached reads at their own pace: while they are behind, the output is not read on, so that the program
//! waits as it would for a slow terminal. Who takes nothing for [`PATIENCE`] is let go: a container is never stopped
//! by its readers.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::logs::Stream;

/// How long a reader may take nothing.
const PATIENCE: Duration = Duration::from_secs(10);
/// Most readers of a container.
const MOST: usize = 64;

/// Everybody who reads a container's output.
#[derive(Default)]
pub(super) struct Copies(Vec<Copy>);

struct Copy {
    stream: Stream,
    pipe: File,
    /// What they have not taken yet.
    pending: Vec<u8>,
    /// Since when they have taken nothing of it.
    stuck: Option<Instant>,
    /// Nothing is added any more.
    over: bool,
}

impl Copies {
    /// From now on, output goes to `pipe` too.
    pub(super) fn add(&mut self, stream: Stream, pipe: OwnedFd) -> io::Result<()> {
        if self.0.len() >= MOST {
            return Err(io::Error::other(format!("{MOST} readers are attached to it already")));
        }
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let pending = Vec::new();
        self.0.push(Copy { stream, pipe: pipe.into(), pending, stuck: None, over: false });
        Ok(())
    }

    /// Passes output on.
    pub(super) fn write(&mut self, stream: Stream, bytes: &[u8], now: Instant) {
        self.0.retain_mut(|copy| {
            if copy.stream != stream {
                return true;
            }
            copy.pending.extend_from_slice(bytes);
            copy.flush(now)
        });
    }

    /// Passes on what readers have room for by now, and lets go who is not there any more.
    pub(super) fn flush(&mut self, now: Instant) {
        self.0.retain_mut(|copy| !copy.is_closed() && copy.flush(now));
    }

    /// Whether readers have to catch up before this output is read on.
    pub(super) fn are_behind(&self, stream: Stream) -> bool {
        self.0.iter().any(|copy| copy.stream == stream && !copy.pending.is_empty())
    }

    /// There is no more of this output: its readers are let go as soon as they have all of it.
    pub(super) fn finish(&mut self, stream: Stream) {
        self.0.retain_mut(|copy| {
            copy.over |= copy.stream == stream;
            !(copy.over && copy.pending.is_empty())
        });
    }

    /// What to wait for: room, and the ends of readers.
    pub(super) fn waits_for(&self) -> impl Iterator<Item = PollFd<'_>> {
        self.0.iter().map(|copy| {
            let room = match copy.pending.is_empty() {
                true => PollFlags::empty(),
                false => PollFlags::POLLOUT,
            };
            PollFd::new(copy.pipe.as_fd(), room)
        })
    }

    /// When patience ends.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|copy| copy.stuck).min().map(|since| since + PATIENCE)
    }
}

impl Copy {
    /// `false` if this reader is to be let go.
    fn flush(&mut self, now: Instant) -> bool {
        while !self.pending.is_empty() {
            match self.pipe.write(&self.pending) {
                Ok(count) => {
                    self.pending.drain(..count);
                    self.stuck = None;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let since = *self.stuck.get_or_insert(now);
                    return now.saturating_duration_since(since) < PATIENCE;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
        self.stuck = None;
        !self.over
    }

    /// Whether nobody reads any more.
    fn is_closed(&self) -> bool {
        let mut state = [PollFd::new(self.pipe.as_fd(), PollFlags::empty())];
        let found = poll(&mut state, PollTimeout::ZERO).unwrap_or(0) > 0;
        found && state[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use nix::unistd::pipe2;

    use super::*;

    fn reader(copies: &mut Copies, stream: Stream) -> File {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        copies.add(stream, write).unwrap();
        File::from(read)
    }

    #[test]
    fn a_slow_reader_gets_everything_and_is_waited_for() {
        let mut copies = Copies::default();
        let mut slow = reader(&mut copies, Stream::Stdout);
        let now = Instant::now();
        let sent: Vec<u8> = (0..200_000_u32).map(|number| number as u8).collect();
        copies.write(Stream::Stdout, &sent, now);
        assert!(copies.are_behind(Stream::Stdout) && !copies.are_behind(Stream::Stderr));
        copies.finish(Stream::Stdout);
        let mut got = Vec::new();
        let mut buffer = vec![0; 10_000];
        while got.len() < sent.len() {
            let count = slow.read(&mut buffer).unwrap();
            got.extend_from_slice(&buffer[..count]);
            copies.flush(now);
        }
        assert_eq!(got, sent);
        assert_eq!(slow.read(&mut buffer).unwrap(), 0, "the end is seen");
    }

    #[test]
    fn who_takes_nothing_is_let_go_and_who_has_left_is_forgotten() {
        let mut copies = Copies::default();
        let deaf = reader(&mut copies, Stream::Stdout);
        let now = Instant::now();
        copies.write(Stream::Stdout, &vec![0; 1 << 20], now);
        assert_eq!(copies.deadline(), Some(now + PATIENCE));
        copies.flush(now + PATIENCE / 2);
        assert!(copies.are_behind(Stream::Stdout));
        copies.flush(now + PATIENCE);
        assert!(!copies.are_behind(Stream::Stdout) && copies.waits_for().next().is_none());
        drop(deaf);

        let left = reader(&mut copies, Stream::Stderr);
        copies.flush(now);
        assert_eq!(copies.waits_for().count(), 1);
        drop(left);
        copies.flush(now);
        assert_eq!(copies.waits_for().count(), 0, "seen although nothing was written");
    }

    #[test]
    fn readers_are_bounded() {
        let mut copies = Copies::default();
        let readers: Vec<File> = (0..MOST).map(|_| reader(&mut copies, Stream::Stdout)).collect();
        let (_read, write) = pipe2(OFlag::O_CLOEXEC).unwrap();
        assert!(copies.add(Stream::Stdout, write).is_err());
        drop(readers);
    }
}
