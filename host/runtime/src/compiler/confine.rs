//! What a compiler gives up before it reads a component: descriptors, limits, and all system calls but a few.

use std::collections::BTreeMap;
use std::io;

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal, setpriority_process, setrlimit,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// Addresses of a compiler: the largest component takes some hundred MB, its own code and the allocator's reserve not
/// counted.
const ADDRESS_BYTES: u64 = 3 << 30;

/// Processor time of one compilation.
const CPU_SECONDS: u64 = 90;

/// Compiling gives way to calls.
const NICE: i32 = 10;

/// What a single-threaded compiler does: take memory, read its input, write its answer, end. No call among these
/// names a file, an address or another process.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_sched_yield,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Closes what was inherited, sets the limits, and hides the process from others of its user.
pub(super) fn let_go_of_everything() -> io::Result<()> {
    close_all_but_the_pipes()?;
    // A compiler without its host would only burn.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    setpriority_process(None, NICE)?;
    for (resource, most) in [
        (Resource::As, ADDRESS_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 0),
        (Resource::Nproc, 0),
        (Resource::Memlock, 0),
    ] {
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)?;
    }
    Ok(())
}

#[allow(
    unsafe_code,
    reason = "there is no safe way to close descriptors whose owners are not known"
)]
fn close_all_but_the_pipes() -> io::Result<()> {
    // SAFETY: called first in a process that was started to compile; nothing in it owns a descriptor but those of
    // standard input, output and error, which stay.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    if closed == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// From here on a system call that a compiler does not need fails, and no new privilege is ever gained.
pub(super) fn filter_system_calls() -> Result<(), seccompiler::Error> {
    let filter: BpfProgram = filter()?.try_into()?;
    seccompiler::apply_filter(&filter)
}

fn filter() -> Result<SeccompFilter, seccompiler::Error> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    // Memory never becomes code here: what is compiled goes out as bytes.
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        let executable = u64::from(libc::PROT_EXEC.unsigned_abs());
        let op = SeccompCmpOp::MaskedEq(executable);
        let no_code = SeccompCondition::new(2, SeccompCmpArgLen::Dword, op, 0)?;
        rules.insert(call, vec![SeccompRule::new(vec![no_code])?]);
    }
    Ok(SeccompFilter::new(
        rules,
        SeccompAction::Errno(libc::EPERM.unsigned_abs()),
        SeccompAction::Allow,
        TargetArch::try_from(std::env::consts::ARCH)?,
    )?)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::unix::net::UnixStream;
    use std::process::Command;

    use super::*;

    fn refused<T>(tried: io::Result<T>) -> bool {
        tried.is_err_and(|error| error.raw_os_error() == Some(libc::EPERM))
    }

    #[test]
    fn a_confined_compiler_opens_no_socket_no_file_and_no_process() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = std::env::current_exe().unwrap();
        // The filter is a thread's own, so that this test can tell what it saw.
        let seen = std::thread::spawn(move || {
            filter_system_calls().unwrap();
            [
                ("reads a file", refused(fs::read(&own))),
                (
                    "writes a file",
                    refused(fs::write("/tmp/vaxel-confined", "x")),
                ),
                ("lists a folder", refused(fs::read_dir("/"))),
                ("removes a file", refused(fs::remove_file(&own))),
                (
                    "reads its environment",
                    refused(fs::read("/proc/self/environ")),
                ),
                ("connects", refused(TcpStream::connect(address))),
                ("listens", refused(TcpListener::bind("127.0.0.1:0"))),
                ("sends datagrams", refused(UdpSocket::bind("127.0.0.1:0"))),
                ("has a pair of sockets", refused(UnixStream::pair())),
                (
                    "starts a program",
                    Command::new("/bin/true").spawn().is_err(),
                ),
                (
                    "starts a thread",
                    refused(std::thread::Builder::new().spawn(|| ())),
                ),
                (
                    "raises its limits",
                    setrlimit(
                        Resource::Nofile,
                        Rlimit {
                            current: Some(9),
                            maximum: Some(9),
                        },
                    )
                    .is_err(),
                ),
            ]
        });
        for (what, was_refused) in seen.join().unwrap() {
            assert!(was_refused, "a confined compiler {what}");
        }
    }

    #[test]
    fn a_confined_compiler_compiles() {
        let compiled = std::thread::spawn(|| {
            let engine = crate::engine::compiling(256 << 20).unwrap();
            filter_system_calls().unwrap();
            let good = engine.precompile_component(b"\0asm\x0d\0\x01\0");
            let bad = engine.precompile_component(b"\0asm\x0d\0\x01\0\x07\xff");
            (good.is_ok(), bad.is_err())
        });
        assert_eq!(compiled.join().unwrap(), (true, true));
    }
}
