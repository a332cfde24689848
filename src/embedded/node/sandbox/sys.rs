//! The system calls that have no safe wrapper.
//!
//! Everything unsafe of the sandbox is here, each with the reason why it holds.
#![allow(
    unsafe_code,
    reason = "clone3, capabilities, seccomp filters, terminals and received descriptors have no safe wrapper"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::Pid;

/// Which side of a [`clone3`] this is.
pub(crate) enum Forked {
    /// The new process.
    Child,
    /// The calling process.
    Parent {
        /// Id of the child as the caller sees it.
        pid: Pid,
        /// Refers to the child and to no later process with the same id.
        pidfd: OwnedFd,
    },
}

/// Forks with namespace `flags` (`CLONE_NEW…`, `CLONE_PARENT`).
///
/// The caller must be single-threaded: the child goes on to allocate, which is safe only when no other thread could
/// have held the allocator's lock at the fork.
pub(crate) fn clone3(flags: u64) -> io::Result<Forked> {
    let mut pidfd: RawFd = -1;
    // With CLONE_PARENT the kernel takes the exit signal from the caller's own and refuses another.
    let exit_signal = if flags & libc::CLONE_PARENT as u64 == 0 { libc::SIGCHLD as u64 } else { 0 };
    let args = libc::clone_args {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup: 0,
    };
    // SAFETY: `args` is fully initialised and outlives the call; without CLONE_VM and with no stack the child runs on
    // a copy of this one, like fork; `pidfd` is written by the kernel in the parent before the call returns.
    let result =
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<libc::clone_args>()) };
    match result {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent {
            pid: Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX)),
            pidfd: own(pidfd),
        }),
    }
}

/// Takes over a descriptor that the kernel has just handed to this process.
pub(crate) fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: callers pass descriptors that were just created for this process (clone3, SCM_RIGHTS, inherited across
    // execve under a number on the command line) and that nothing else owns.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// A stable reference to a process that exists now.
pub(crate) fn pidfd_open(pid: Pid) -> io::Result<OwnedFd> {
    // SAFETY: takes two integers; the result is a fresh descriptor.
    match unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) } {
        -1 => Err(io::Error::last_os_error()),
        fd => Ok(own(fd as RawFd)),
    }
}

/// Sends a signal to exactly the process behind `pidfd`.
pub(crate) fn pidfd_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is valid for the call; a null siginfo is allowed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Marks every descriptor from `first` on as close-on-exec.
pub(crate) fn close_on_exec_from(first: RawFd) -> io::Result<()> {
    // SAFETY: takes three integers and changes only descriptor flags.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Has the kernel drop a signal.
pub(crate) fn ignore(signal: Signal) -> nix::Result<()> {
    let ignore = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler runs in this process.
    unsafe { nix::sys::signal::sigaction(signal, &ignore) }.map(drop)
}

/// Puts all signals back to their defaults and unblocks them: the Rust runtime ignores SIGPIPE, and a shim blocks
/// what it reads from a signal descriptor; both would be inherited across execve.
pub(crate) fn reset_signals() -> nix::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator() {
        if signal != Signal::SIGKILL && signal != Signal::SIGSTOP {
            // SAFETY: installs the default action, no handler runs in this process.
            unsafe { nix::sys::signal::sigaction(signal, &default)? };
        }
    }
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)
}

/// Removes a capability from the bounding set; `false` if the kernel does not know it.
pub(crate) fn drop_bounding(capability: u32) -> io::Result<bool> {
    // SAFETY: takes integers only.
    let result =
        unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability as libc::c_ulong, 0, 0, 0) };
    match result {
        0 => Ok(true),
        _ => match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::EINVAL) => Ok(false),
            error => Err(error),
        },
    }
}

/// Empties the ambient set.
pub(crate) fn clear_ambient() -> io::Result<()> {
    // SAFETY: takes integers only.
    let result = unsafe {
        libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong, 0, 0, 0)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets the effective and permitted capabilities of this process to `mask`, the inheritable ones to none.
pub(crate) fn set_capabilities(mask: u64) -> io::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let half = |bits: u64| Data { effective: bits as u32, permitted: bits as u32, inheritable: 0 };
    let data = [half(mask), half(mask >> 32)];
    // SAFETY: version 3 of the interface takes this header and an array of two of these records.
    let result = unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Installs a system call filter. Unlike the wrapper that comes with seccompiler this leaves `no_new_privs` alone:
/// it is the pod's choice, and a process with CAP_SYS_ADMIN does not need it.
pub(crate) fn install_filter(program: &[seccompiler::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog {
        len: u16::try_from(program.len()).map_err(|_| io::ErrorKind::InvalidInput)?,
        filter: program.as_ptr().cast::<libc::sock_filter>().cast_mut(),
    };
    // SAFETY: `filter` points to `len` instructions laid out as the kernel's; the kernel copies and does not write.
    let result = unsafe {
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Sets an extended attribute of an open file or directory.
pub(crate) fn set_xattr(fd: BorrowedFd<'_>, name: &std::ffi::CStr, value: &[u8]) -> io::Result<()> {
    // SAFETY: name and value are valid for the call and their lengths are right.
    let result = unsafe {
        libc::fsetxattr(fd.as_raw_fd(), name.as_ptr(), value.as_ptr().cast(), value.len(), 0)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an extended attribute of an open file or directory into `buffer`.
pub(crate) fn get_xattr<'a>(
    fd: BorrowedFd<'_>,
    name: &std::ffi::CStr,
    buffer: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    // SAFETY: the name is valid for the call, and no more is written than the buffer has.
    let count = unsafe {
        libc::fgetxattr(fd.as_raw_fd(), name.as_ptr(), buffer.as_mut_ptr().cast(), buffer.len())
    };
    let count = usize::try_from(count).map_err(|_| io::Error::last_os_error())?;
    Ok(buffer.get(..count).unwrap_or_default())
}

/// Lets the runtime wait for something that owns a non-blocking descriptor.
pub(crate) fn async_fd<T: AsRawFd + OwnsFd>(
    owner: T,
    interest: tokio::io::Interest,
) -> io::Result<tokio::io::unix::AsyncFd<T>> {
    // SAFETY: `OwnsFd` types keep one open descriptor from their making to their end.
    unsafe { tokio::io::unix::AsyncFd::register_with_interest(owner, interest) }.map_err(Into::into)
}

/// Types whose descriptor is open, and the same one, for as long as they exist.
pub(crate) trait OwnsFd {}
impl OwnsFd for std::fs::File {}
impl OwnsFd for crate::node::wire::Channel {}

/// Tells when something in a directory is written or made.
pub(crate) struct FileWatch {
    events: tokio::io::unix::AsyncFd<std::fs::File>,
}

impl FileWatch {
    /// Watches `dir`; needs a runtime.
    pub(crate) fn new(dir: &std::path::Path) -> io::Result<Self> {
        use std::os::unix::ffi::OsStrExt as _;
        let path = std::ffi::CString::new(dir.as_os_str().as_bytes())?;
        // SAFETY: takes flags only; the result is a fresh descriptor or -1.
        let fd = match unsafe { libc::inotify_init1(libc::IN_CLOEXEC | libc::IN_NONBLOCK) } {
            -1 => return Err(io::Error::last_os_error()),
            fd => own(fd),
        };
        let mask = libc::IN_MODIFY | libc::IN_CREATE | libc::IN_MOVED_TO;
        // SAFETY: the descriptor is open and `path` ends with a zero byte; both outlive the call.
        if unsafe { libc::inotify_add_watch(fd.as_raw_fd(), path.as_ptr(), mask) } == -1 {
            return Err(io::Error::last_os_error());
        }
        let events = async_fd(std::fs::File::from(fd), tokio::io::Interest::READABLE)?;
        Ok(Self { events })
    }

    /// Waits until something has changed since the last call, or since the beginning.
    pub(crate) async fn changed(&self) -> io::Result<()> {
        use std::io::Read as _;
        let mut buffer = [0; 4096];
        loop {
            let mut guard = self.events.readable().await?;
            match guard.try_io(|file| file.get_ref().read(&mut buffer)) {
                Ok(result) => return result.map(|_| ()),
                Err(_would_block) => {}
            }
        }
    }
}

/// The terminal's own side, of which `controller` is the other, unlocked; whatever has happened to its name.
pub(crate) fn open_terminal_of(controller: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let unlocked: libc::c_int = 0;
    // SAFETY: the descriptor is open, and the kernel reads one int that outlives the call.
    let result =
        unsafe { libc::ioctl(controller.as_raw_fd(), libc::TIOCSPTLCK, &raw const unlocked) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes flags; the result is a fresh descriptor or -1.
    match unsafe { libc::ioctl(controller.as_raw_fd(), libc::TIOCGPTPEER, flags) } {
        -1 => Err(io::Error::last_os_error()),
        fd => Ok(own(fd)),
    }
}

/// Makes `terminal` the controlling terminal of this process' session.
pub(crate) fn control_terminal(terminal: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes an integer; 0 is not to steal it from another session.
    match unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Tells a terminal, and who runs in it, how large it is.
pub(crate) fn resize_terminal(
    controller: BorrowedFd<'_>,
    columns: u16,
    rows: u16,
) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the descriptor is open, and the kernel reads one winsize that outlives the call.
    match unsafe { libc::ioctl(controller.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Ends a forked child at once, without running the parent's exit handlers.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: never returns and touches no memory.
    unsafe { libc::_exit(code) }
}
