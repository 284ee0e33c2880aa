//! What a process costs: time, memory, and the core that it runs on.

use anyhow::{Result, bail};

/// Seconds of CPU of the median run, after one that warms up. Everything measured runs on one
/// thread, so this is its time on an idle machine, and nearly so on a busy one.
pub(crate) fn median_cpu_s(runs: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..runs.max(1))
        .map(|_| {
            let begin = cpu_s(libc::RUSAGE_SELF);
            run();
            cpu_s(libc::RUSAGE_SELF) - begin
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Seconds of CPU used so far by this process, or by those it started and that have ended.
pub(crate) fn cpu_s(whose: libc::c_int) -> f64 {
    // SAFETY: `rusage` is plain numbers, for which all zeroes is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a valid structure that lives through the call.
    let answer = unsafe { libc::getrusage(whose, &raw mut usage) };
    assert_eq!(answer, 0, "getrusage fails only for unknown processes");
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

/// Keeps this thread, and the threads and processes that it starts from now on, on one core.
pub(crate) fn pin(core: usize) -> Result<()> {
    // SAFETY: `cpu_set_t` is a plain bit set for which all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is a valid set; CPU_SET ignores cores beyond its size.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: the pointer is to a set of the size that is given, and lives through the call.
    let answer =
        unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) };
    if answer != 0 {
        bail!(
            "cannot run on core {core}: {}; choose another with --core",
            std::io::Error::last_os_error()
        );
    }
    Ok(())
}

/// Resident memory of this process by now, in MiB.
pub(crate) fn resident_mb() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap_or("");
    line.split_whitespace()
        .next()
        .and_then(|kilobytes| kilobytes.parse::<usize>().ok())
        .unwrap_or(0)
        / 1_024
}
