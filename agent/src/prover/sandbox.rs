//! What the process that strangers talk to can do: compute, and use the sockets that it was given.
//!
//! It has no capabilities and cannot get any; it opens no file, socket or program; and it cannot look into, or
//! send signals to, other processes. Where a system call is none of those below, it fails with EPERM.

use std::{collections::BTreeMap, io};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    Scope,
};
use nix::libc;
use rustix::{
    process::{DumpableBehavior, Signal, set_dumpable_behavior, set_parent_process_death_signal},
    thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs},
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads,
};
use thiserror::Error;

/// Why the process cannot be confined; it does not serve then.
#[derive(Debug, Error)]
pub enum SandboxError {
    /// The kernel refuses something.
    #[error("cannot {operation}: {source}")]
    Kernel {
        /// What was tried.
        operation: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// Landlock cannot be set up, though the kernel has it.
    #[error("cannot take the file system away: {0}")]
    Landlock(#[from] landlock::RulesetError),
    /// The filter cannot be built or loaded.
    #[error("cannot filter system calls: {0}")]
    Filter(#[from] seccompiler::Error),
    /// The filter cannot be built.
    #[error("cannot build the filter of system calls: {0}")]
    Backend(#[from] seccompiler::BackendError),
}

/// Confines this process for good. To be called while it has a single thread: Landlock and capabilities are
/// those of a thread, and are handed on to those that it starts.
///
/// # Errors
///
/// [`SandboxError`]. A kernel without Landlock (before 5.13) is none.
pub fn enter() -> Result<(), SandboxError> {
    let failed = |operation| {
        move |error: rustix::io::Errno| SandboxError::Kernel {
            operation,
            source: error.into(),
        }
    };
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(failed("follow the agent"))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(failed("hide its memory"))?;
    set_no_new_privs(true).map_err(failed("give up new privileges"))?;
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(failed("give up capabilities"))?;
    without_files()?;
    let target = std::env::consts::ARCH.try_into()?;
    for filter in [only_threads(), allowed()?] {
        let program: BpfProgram =
            SeccompFilter::new(filter.calls, filter.otherwise, filter.listed, target)?
                .try_into()?;
        apply_filter_all_threads(&program)?;
    }
    Ok(())
}

/// No rule allows anything of what Landlock handles. What the kernel's version of it does not know is left to
/// the filter.
fn without_files() -> Result<(), SandboxError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .restrict_self()?;
    Ok(())
}

/// System calls, and what happens to them.
struct Filter {
    calls: BTreeMap<i64, Vec<SeccompRule>>,
    listed: SeccompAction,
    otherwise: SeccompAction,
}

/// Threads are started by `clone3`, whose flags lie in memory that a filter cannot read; without it the C library
/// takes `clone`, whose flags it can.
fn only_threads() -> Filter {
    Filter {
        calls: BTreeMap::from([(libc::SYS_clone3, Vec::new())]),
        listed: SeccompAction::Errno(libc::ENOSYS as u32),
        otherwise: SeccompAction::Allow,
    }
}

/// What a process needs that has its sockets and files already.
const CALLS: &[i64] = &[
    // Sockets and pipes that it has.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_recvmsg,
    libc::SYS_recvmmsg,
    libc::SYS_sendto,
    libc::SYS_sendmsg,
    libc::SYS_sendmmsg,
    libc::SYS_getsockname,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_shutdown,
    libc::SYS_close,
    libc::SYS_fcntl,
    // Waiting.
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_futex,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_restart_syscall,
    // Time and random numbers.
    libc::SYS_clock_gettime,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads and signals of its own; `clone3` fails by the other filter.
    libc::SYS_clone3,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_getaffinity,
];

fn allowed() -> Result<Filter, SandboxError> {
    let mut calls: BTreeMap<i64, Vec<SeccompRule>> =
        CALLS.iter().map(|&call| (call, Vec::new())).collect();
    let when =
        |argument, operation, value| -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
            let length = SeccompCmpArgLen::Qword;
            let condition = SeccompCondition::new(argument, length, operation, value)?;
            Ok(vec![SeccompRule::new(vec![condition])?])
        };
    let executable = libc::PROT_EXEC as u64;
    let not_executable = || SeccompCmpOp::MaskedEq(executable);
    calls.insert(libc::SYS_mmap, when(2, not_executable(), 0)?);
    calls.insert(libc::SYS_mprotect, when(2, not_executable(), 0)?);
    let thread = libc::CLONE_THREAD as u64;
    calls.insert(
        libc::SYS_clone,
        when(0, SeccompCmpOp::MaskedEq(thread), thread)?,
    );
    let own = u64::from(std::process::id());
    calls.insert(libc::SYS_tgkill, when(0, SeccompCmpOp::Eq, own)?);
    let name = libc::PR_SET_NAME as u64;
    calls.insert(libc::SYS_prctl, when(0, SeccompCmpOp::Eq, name)?);
    Ok(Filter {
        calls,
        listed: SeccompAction::Allow,
        otherwise: SeccompAction::Errno(libc::EPERM as u32),
    })
}
