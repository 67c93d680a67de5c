//! How many files and sockets a process may have open.

/// Raises the limit as far as it goes: shells and containers start with 1024, which is fewer than the connections that
/// a server takes.
pub fn raise() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, getrlimit, setrlimit};
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            tracing::debug!(%error, "the limit of open files stays as it is");
        }
    }
}

/// What a server may have open, if there is a limit: the one that runs as `pid`, or else one started from here.
pub fn limit(pid: Option<u32>) -> Option<u64> {
    let running = pid.and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/limits")).ok());
    running.as_deref().map_or_else(own, of_proc)
}

#[cfg(unix)]
fn own() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum
}

#[cfg(not(unix))]
fn own() -> Option<u64> {
    None
}

/// The soft limit in a `/proc/PID/limits`.
fn of_proc(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_a_process_is_read() {
        let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                      Max open files            65536                65536                files     \n";
        assert_eq!(of_proc(limits), Some(65536));
        assert_eq!(of_proc(&limits.replace("65536", "unlimited")), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_raised_limit_is_what_the_process_then_has() {
        raise();
        assert_eq!(limit(Some(std::process::id())), limit(None));
    }
}
