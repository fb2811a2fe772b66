//! What this process has used of the machine.

use nix::sys::resource::{UsageWho, getrusage};

/// CPU time of all threads so far, user and system, seconds.
pub fn cpu_seconds() -> f64 {
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6;
    getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| seconds(usage.user_time()) + seconds(usage.system_time()))
}

/// Most memory that was resident at a time, bytes.
pub fn peak_rss_bytes() -> u64 {
    // Linux counts in KiB, macOS in bytes.
    let unit = if cfg!(target_os = "macos") { 1 } else { 1024 };
    getrusage(UsageWho::RUSAGE_SELF).map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_and_memory_are_noticed() {
        let cpu = cpu_seconds();
        let touched = std::hint::black_box(vec![1u8; 64 << 20]);
        assert!(peak_rss_bytes() >= 64 << 20, "{}", peak_rss_bytes());
        while cpu_seconds() < cpu + 0.05 {
            std::hint::black_box(touched.iter().map(|byte| u64::from(*byte)).sum::<u64>());
        }
    }
}
