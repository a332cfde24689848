//! The system calls that no ordinary container needs and that reach deep into the kernel.
//!
//! A deny list, not an allow list: what a container may do is limited by its namespaces and capabilities; this only
//! closes doors that those leave ajar. Two filters, because the two refusals differ: most calls fail with EPERM;
//! `clone3` with ENOSYS, since its flags cannot be inspected and C libraries then fall back to `clone`.

use std::collections::BTreeMap;
use std::io;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
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
    Ok(vec![compile(rules, libc::EPERM)?, compile(absent, libc::ENOSYS)?])
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
