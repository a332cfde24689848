//! The system calls that no ordinary container needs and that reach deep into the kernel.
//!
//! A deny list, not an allow list: what a container may do is limited by its namespaces and capabilities; this only
//! closes doors that those leave ajar. Several filters, because refusals differ: most calls fail with EPERM; `clone3` with
//! ENOSYS, since its flags cannot be inspected and C libraries then fall back to `clone`; and where one call has two
//! numbers, those of the other ABI are refused altogether.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::sys;

const DENIED: [libc::c_long; 36] = [
    libc::SYS_acct,
    libc::SYS_add_key,
    libc::SYS_bpf,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_init_module,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_kexec_file_load,
    libc::SYS_kexec_load,
    libc::SYS_keyctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_perf_event_open,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_reboot,
    libc::SYS_request_key,
    libc::SYS_setns,
    libc::SYS_settimeofday,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    libc::SYS_userfaultfd,
];

/// What a service that starts no programs does not need either.
const DENIED_TO_SERVICES: [libc::c_long; 6] = [
    libc::SYS_chroot,
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
];

/// The filters of a container, to be compiled before the fork.
pub(super) fn programs() -> Result<Vec<BpfProgram>, String> {
    build(&[])
}

/// Filters the calls of this process, which is no container and executes nothing; it has to have given up privileges
/// that would lift the filter.
pub(crate) fn filter_service() -> io::Result<()> {
    install(&build(&DENIED_TO_SERVICES).map_err(io::Error::other)?)
}

fn build(more: &[libc::c_long]) -> Result<Vec<BpfProgram>, String> {
    let denied = DENIED.iter().chain(more).map(|call| (*call, Vec::new()));
    let new_user_namespace = SeccompRule::new(vec![
        SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            SeccompCmpOp::MaskedEq(libc::CLONE_NEWUSER as u64),
            libc::CLONE_NEWUSER as u64,
        )
        .map_err(|error| error.to_string())?,
    ])
    .map_err(|error| error.to_string())?;
    let rules = denied.chain([(libc::SYS_clone, vec![new_user_namespace])]).collect();
    let absent = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let mut programs = vec![compile(rules, libc::EPERM)?, compile(absent, libc::ENOSYS)?];
    programs.extend(second_numbers());
    Ok(programs)
}

/// The filter that leaves each call one number, where it has more.
pub(super) fn second_numbers() -> Option<BpfProgram> {
    cfg!(target_arch = "x86_64").then(|| refuse_from(X32))
}

/// On x86-64 every call has a second number from here on, of the x32 ABI (syscall(2)), which a kernel may serve.
const X32: u32 = 0x4000_0000;

/// A filter, which the crate has no rule for, that refuses all numbers from `first` on but the last: debuggers set -1 to
/// have a call skipped, and no kernel serves it.
fn refuse_from(first: u32) -> BpfProgram {
    let step = |code: u32, jt, jf, k| sock_filter { code: code as u16, jt, jf, k };
    let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let number = std::mem::offset_of!(libc::seccomp_data, nr) as u32;
    vec![
        step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, number),
        step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 2, 0, u32::MAX),
        step(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 0, 1, first),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, refuse),
        step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn compile(
    rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    errno: i32,
) -> Result<BpfProgram, String> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| error.to_string())?;
    let refuse = SeccompAction::Errno(errno.unsigned_abs());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch)
        .map_err(|error| error.to_string())?;
    filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())
}

/// Applies the filters to this process and what it executes.
pub(super) fn install(programs: &[BpfProgram]) -> io::Result<()> {
    programs.iter().try_for_each(|program| sys::install_filter(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters hold for the thread that installs them, so each test has one of its own.
    #[test]
    #[cfg(target_arch = "x86_64")]
    #[allow(
        unsafe_code,
        reason = "no safe wrapper calls by a number that the C library does not have"
    )]
    fn a_call_has_no_second_number() {
        let seen = std::thread::spawn(|| {
            nix::sys::prctl::set_no_new_privs().unwrap();
            install(&programs().unwrap()).unwrap();
            // SAFETY: getpid has no arguments and no effect, under whichever number.
            let call = |number: i64| unsafe { libc::syscall(number) };
            let second = (call(libc::SYS_getpid | i64::from(X32)), nix::errno::Errno::last());
            let none = (call(i64::from(u32::MAX)), nix::errno::Errno::last());
            (call(libc::SYS_getpid) > 0, second, none)
        });
        // A kernel without the ABI would say ENOSYS.
        let refused = |error| (-1, error);
        let expected =
            (true, refused(nix::errno::Errno::EPERM), refused(nix::errno::Errno::ENOSYS));
        assert_eq!(seen.join().unwrap(), expected);
    }
}
