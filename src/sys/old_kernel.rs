//! All tests of this crate once more, on the system calls of Linux 4.18 (EL 8): a filter answers ENOSYS to every newer one,
//! whoever makes it, the agent, a crate or the C library.
//!
//! What a newer kernel does differently behind an old call is not seen here. Of what the agent asks for by an old call,
//! nothing is newer than 4.18; `madvise`-like hints (PR_SET_THP_DISABLE, MLOCK_ONFAULT) may be refused.
#![allow(unsafe_code)] // prctl(2) with a filter, and what is done between fork and exec

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

use rustix::io::Errno;

/// rseq(2), the last call that x86_64 has in Linux 4.18 (arch/x86/entry/syscalls/syscall_64.tbl). Those that came later
/// have higher numbers without exception: 335 is that of uretprobe(2), of 6.11, and 424 of the first that 5.1 brought.
const LAST: u32 = 334;
/// Says to this program that it is the one behind the filter.
const BEHIND: &str = "DISKLESS_TEST_OLD_KERNEL";
/// The names of this file's own tests begin so.
const OURS: &str = "sys::old_kernel";

/// AUDIT_ARCH_X86_64 (linux/audit.h).
const X86_64: u32 = 0xc000_003e;
/// Where the call's number and the architecture are in seccomp_data (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// Whether this program is behind the filter: for tests of what is done without a newer call.
pub fn is_behind() -> bool {
    std::env::var_os(BEHIND).is_some()
}

const fn step(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

/// Classic BPF (seccomp(2)): a call of x86_64 with a higher number than [`LAST`] is ENOSYS, all else is allowed.
const FILTER: [libc::sock_filter; 6] = [
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, ARCHITECTURE),
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 2, X86_64),
    step(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, NUMBER),
    step(libc::BPF_JMP | libc::BPF_JGT | libc::BPF_K, 1, 0, LAST),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    step(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
];

/// Puts the calling process, and all that it starts, behind the filter.
fn forget_newer_calls() -> io::Result<()> {
    let program = libc::sock_fprog { len: FILTER.len() as u16, filter: FILTER.as_ptr().cast_mut() };
    let of_filter = libc::SECCOMP_MODE_FILTER as libc::c_ulong;
    // SAFETY: the first call takes numbers alone. The kernel copies `program` and the steps that it points to, which it
    // does not change; both are there until the call is over, and `len` is their number.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, of_filter, &raw const program) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Runs this test program with `args` behind the filter.
fn behind(args: &[&str]) -> Output {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(args).env(BEHIND, "1");
    // SAFETY: between fork and exec only two system calls are made, with data that is there; nothing is allocated but for
    // an error's sake, which takes no memory either (it is a number).
    unsafe { command.pre_exec(forget_newer_calls) };
    command.output().unwrap()
}

/// The last line of a test program that counts: how many passed, failed, and so on.
fn counts(output: &Output) -> BTreeMap<String, u32> {
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().rfind(|line| line.starts_with("test result:")).unwrap_or_default();
    let words: Vec<&str> = line.split([' ', ';', '.']).collect();
    let counts = words.windows(2).filter_map(|pair| Some((pair[1].to_owned(), pair[0].parse().ok()?)));
    counts.collect()
}

#[test]
fn every_other_test_passes_without_the_calls_that_linux_4_18_lacks() {
    if is_behind() {
        return;
    }
    let output = behind(&["--skip", OURS]);
    let counts = counts(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    let told: String = text.lines().filter(|line| !line.ends_with("... ok")).collect::<Vec<_>>().join("\n");
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(counts["passed"] > 500 && counts["failed"] == 0, "{told}");
}

/// The filter is there: without this the other test could pass for nothing.
#[test]
fn newer_calls_are_refused() {
    if !is_behind() {
        let output = behind(&["--exact", "sys::old_kernel::newer_calls_are_refused"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(counts(&output)["passed"], 1);
        return;
    }
    let newer = [
        libc::SYS_pidfd_send_signal,
        libc::SYS_open_tree,
        libc::SYS_move_mount,
        libc::SYS_fsopen,
        libc::SYS_fsmount,
        libc::SYS_pidfd_open,
        libc::SYS_clone3,
        libc::SYS_close_range,
        libc::SYS_openat2,
        libc::SYS_faccessat2,
        libc::SYS_epoll_pwait2,
        libc::SYS_mount_setattr,
    ];
    for call in newer {
        // SAFETY: behind the filter the kernel does not look at the arguments, and these are no addresses that could be
        // written to.
        let result = unsafe { libc::syscall(call, -1, 0, 0, 0, 0, 0) };
        let error = io::Error::last_os_error();
        assert_eq!((result, error.raw_os_error()), (-1, Some(Errno::NOSYS.raw_os_error())), "call {call}");
    }
    // Old ones are made as ever: statx(2) is of 4.11.
    assert!(std::fs::metadata("/proc/self").is_ok());
}
