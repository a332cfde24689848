//! What takes the cluster's ids and is asked for from outside: files of other ids are stored and removed by a process that
//! is in a namespace with the same ids.
//!
//! The process is this program again, `node inside`, with a socket as its standard input. It does one thing and answers.
//! Root needs none of this, and does it directly.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{enter, is_ordinary_user};
use crate::node::images::{self, Freed, Image, ImageError, LoadedImage};
use crate::node::wire::{Channel, Received};
use crate::{Error, files};

type Images = BTreeMap<String, Image>;

/// What is to be done.
#[derive(Debug, Serialize, Deserialize)]
enum Task {
    /// Store the archive that comes on the descriptor which comes along.
    Load { home: PathBuf },
    /// Remove images.
    Remove { home: PathBuf, references: Vec<String> },
    /// Remove what nothing needs, or tell what that would be.
    Prune { home: PathBuf, unwanted: Vec<String>, dry: bool },
    /// Remove a directory and all in it.
    RemoveTree { path: PathBuf },
}

/// Inside → outside.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// Whether these names may be stored where there are those images. Answered by a `Result<(), String>`.
    Admit { names: BTreeSet<String>, there: Images },
    /// The last word.
    Done(Result<Answer, Why>),
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Loaded(Vec<LoadedImage>),
    Freed(Freed),
    Removed,
}

/// Why not: the errors that are told apart outside, and all others in words.
#[derive(Debug, Serialize, Deserialize)]
enum Why {
    Absent { reference: String },
    Held { reference: String },
    Refused { why: String },
    Other { why: String },
}

impl From<ImageError> for Why {
    fn from(error: ImageError) -> Self {
        match error {
            ImageError::Absent { reference } => Self::Absent { reference },
            ImageError::Held { reference } => Self::Held { reference },
            ImageError::Refused { why } => Self::Refused { why },
            other => Self::Other { why: other.to_string() },
        }
    }
}

impl From<Why> for ImageError {
    fn from(why: Why) -> Self {
        match why {
            Why::Absent { reference } => Self::Absent { reference },
            Why::Held { reference } => Self::Held { reference },
            Why::Refused { why } => Self::Refused { why },
            Why::Other { why } => Self::Inside { why },
        }
    }
}

/// The images of a cluster, for whoever is outside of it.
#[derive(Debug, Clone, Copy)]
pub struct ImageStore<'a> {
    /// This program, or a copy that is the cluster's own.
    pub binary: &'a Path,
    /// The cluster's home.
    pub home: &'a Path,
}

impl ImageStore<'_> {
    /// As [`images::load_if`].
    ///
    /// # Errors
    /// Any [`ImageError`].
    pub fn load_if(
        &self,
        reader: &mut dyn Read,
        admit: impl FnOnce(&BTreeSet<String>, &Images) -> Result<(), String>,
    ) -> Result<Vec<LoadedImage>, ImageError> {
        if !is_ordinary_user() {
            return images::load_if(self.home, reader, admit);
        }
        let (theirs, ours) = io::pipe().map_err(not_asked)?;
        let task = Task::Load { home: self.home.to_owned() };
        let answer = ask(self.binary, &task, Some(theirs.into()), || send(reader, ours), admit)?;
        match answer {
            Answer::Loaded(loaded) => Ok(loaded),
            other => Err(not_asked(io::Error::other(format!("the answer was {other:?}")))),
        }
    }

    /// As [`images::remove`].
    ///
    /// # Errors
    /// Any [`ImageError`].
    pub fn remove(&self, references: &[String]) -> Result<Freed, ImageError> {
        if !is_ordinary_user() {
            return images::remove(self.home, references);
        }
        self.free(&Task::Remove { home: self.home.to_owned(), references: references.to_vec() })
    }

    /// As [`images::prune`].
    ///
    /// # Errors
    /// Any [`ImageError`].
    pub fn prune(&self, unwanted: &[String], dry: bool) -> Result<Freed, ImageError> {
        if !is_ordinary_user() {
            return images::prune(self.home, unwanted, dry);
        }
        self.free(&Task::Prune { home: self.home.to_owned(), unwanted: unwanted.to_vec(), dry })
    }

    fn free(&self, task: &Task) -> Result<Freed, ImageError> {
        match ask(self.binary, task, None, || Ok(()), |_, _| Ok(()))? {
            Answer::Freed(freed) => Ok(freed),
            other => Err(not_asked(io::Error::other(format!("the answer was {other:?}")))),
        }
    }
}

/// Removes a directory and all in it, whoever of the cluster's users owns what.
pub(in crate::node) fn remove_tree(binary: &Path, path: &Path) -> Result<(), Error> {
    let refused = match files::remove_tree(path) {
        Err(Error::File { source, .. })
            if is_ordinary_user() && source.kind() == io::ErrorKind::PermissionDenied =>
        {
            source
        }
        result => return result,
    };
    // After a crash, the cluster's own may be what is missing.
    let binary = if binary.is_file() { binary } else { Path::new("/proc/self/exe") };
    let task = Task::RemoveTree { path: path.to_owned() };
    ask(binary, &task, None, || Ok(()), |_, _| Ok(())).map(drop).map_err(|error| Error::File {
        action: "remove",
        path: path.to_owned(),
        source: io::Error::new(refused.kind(), error.to_string()),
    })
}

fn not_asked(error: io::Error) -> ImageError {
    ImageError::Inside {
        why: format!("cannot ask the process that has the cluster's ids: {error}"),
    }
}

/// All of an archive, as far as it is wanted.
fn send(reader: &mut dyn Read, mut to: io::PipeWriter) -> Result<(), ImageError> {
    let mut buffer = vec![0; 128 << 10];
    loop {
        let count = match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(ImageError::Read { source }),
        };
        match to.write_all(&buffer[..count]) {
            // It has what it wants, or says why it wants no more.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.map_err(not_asked)?,
        }
    }
}

/// Starts the process, has it do its task, and hears its answer. `meanwhile` is done once it has been told.
fn ask(
    binary: &Path,
    task: &Task,
    archive: Option<OwnedFd>,
    meanwhile: impl FnOnce() -> Result<(), ImageError>,
    admit: impl FnOnce(&BTreeSet<String>, &Images) -> Result<(), String>,
) -> Result<Answer, ImageError> {
    let (ours, theirs) = Channel::pair().map_err(not_asked)?;
    let mut child = Command::new(binary)
        .args(["node", "inside"])
        .stdin(Stdio::from(theirs.duplicate().map_err(not_asked)?))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .map_err(not_asked)?;
    drop(theirs);
    let talk = || {
        let fds: Vec<_> = archive.iter().map(OwnedFd::as_fd).collect();
        ours.send(task, &fds).map_err(not_asked)?;
        drop(fds);
        drop(archive);
        meanwhile()?;
        let mut admit = Some(admit);
        loop {
            match hear::<Word>(&ours).map_err(not_asked)?.0 {
                Word::Admit { names, there } => {
                    let again = || Err("it was asked before".to_owned());
                    let said = admit.take().map_or_else(again, |admit| admit(&names, &there));
                    ours.send(&said, &[]).map_err(not_asked)?;
                }
                Word::Done(result) => return result.map_err(ImageError::from),
            }
        }
    };
    let answer = talk();
    // Whoever is not heard out is of no more use, and without this end it does not go on.
    drop(ours);
    if answer.is_err() {
        let _ = child.kill();
    }
    let _ = child.wait();
    answer
}

/// Waits for the next message. The other end's end is an error.
fn hear<T: DeserializeOwned>(channel: &Channel) -> io::Result<(T, Vec<OwnedFd>)> {
    loop {
        match poll(&mut [PollFd::new(channel.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        match channel.receive()? {
            Received::Message(message, fds) => return Ok((message, fds)),
            Received::Nothing => {}
            Received::Closed => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has ended"));
            }
        }
    }
}

/// Is that process: enters a user namespace, does what the socket says that is its standard input, and answers there.
///
/// Must be called before the process has a second thread.
///
/// # Errors
/// When nobody is there to answer to.
pub fn run_inside() -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(Error::errno("tie the process to who started it"))?;
    let channel = Channel::inherited(0).map_err(Error::system("take over the socket"))?;
    let heard = hear::<Task>(&channel).map_err(Error::system("hear what is to be done"))?;
    let (task, fds) = heard;
    let done = match enter::user_namespace() {
        Ok(()) => carry_out(task, fds, &channel),
        Err(error) => Err(Why::Other { why: error.to_string() }),
    };
    channel.send(&Word::Done(done), &[]).map_err(Error::system("answer"))
}

fn carry_out(task: Task, fds: Vec<OwnedFd>, channel: &Channel) -> Result<Answer, Why> {
    match task {
        Task::Load { home } => {
            let none = || Why::Other { why: "no archive came along".to_owned() };
            let archive = fds.into_iter().next().map(File::from).ok_or_else(none)?;
            let loaded = images::load_if(&home, archive, |names, there| {
                let (names, there) = (names.clone(), there.clone());
                channel
                    .send(&Word::Admit { names, there }, &[])
                    .and_then(|()| hear::<Result<(), String>>(channel))
                    .map_err(|error| error.to_string())?
                    .0
            });
            Ok(Answer::Loaded(loaded?))
        }
        Task::Remove { home, references } => Ok(Answer::Freed(images::remove(&home, &references)?)),
        Task::Prune { home, unwanted, dry } => {
            Ok(Answer::Freed(images::prune(&home, &unwanted, dry)?))
        }
        Task::RemoveTree { path } => match files::remove_tree(&path) {
            Ok(()) => Ok(Answer::Removed),
            Err(error) => Err(Why::Other { why: error.to_string() }),
        },
    }
}
