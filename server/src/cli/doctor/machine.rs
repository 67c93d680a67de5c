//! The machine: directories, free space, descriptors, the clock.

use crate::Env;
use crate::cli::descriptors;
use crate::cli::runfile::RunFile;
use crate::config::{ByteSize, Certificate, Config, StoreKind};
use crate::time::rfc3339;
use gadwall_storage::Timestamp;
use gadwall_storage::operate::Finding;
use std::path::Path;

/// Free space below which mail will soon be refused.
const LITTLE_SPACE: u64 = 1 << 30;
/// Large messages that may be on their way at a time.
const SPOOLED: u64 = 4;
/// Descriptors a node needs besides those of its clients: listeners, files, database connections.
const OWN_DESCRIPTORS: u64 = 256;

pub fn examine(config: &Config, env: &Env) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.store == StoreKind::Sled || config.certificate == Certificate::SelfSigned {
        findings.push(data_directory(&config.data, config.limits.message_bytes));
    }
    findings.push(spool(&std::env::temp_dir(), config.limits.message_bytes));
    let limit = descriptors::limit(RunFile::of_running(&config.data).map(|run| run.pid));
    findings.push(descriptor_limit(limit, config.max_connections));
    findings.push(clock(env.clock.now(), built_at()));
    findings
}

fn data_directory(data: &Path, message_bytes: u64) -> Finding {
    const WHAT: &str = "data directory";
    let shown = data.display();
    let fail = |detail: String, fix: String| Finding::fail(WHAT, detail, fix);
    let there = match std::fs::metadata(data) {
        Ok(found) if !found.is_dir() => {
            return fail(format!("{shown} is no directory"), "name another one: --data DIR".into());
        }
        Ok(found) => Some(found),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => {
            return fail(format!("{shown}: {e}"), format!("let {} read it, or give --data DIR", whoami()));
        }
    };
    // One that is missing is made by the server, if it may.
    let Some(directory) = data.ancestors().find(|directory| directory.is_dir()) else {
        return fail(format!("{shown} is on no file system"), "name another one: --data DIR".into());
    };
    if let Err(e) = tempfile::tempfile_in(directory) {
        let owner = format!("chown -R {} {shown}", whoami());
        return fail(
            format!("{} cannot write to {}: {e}", whoami(), directory.display()),
            format!("{owner}, or run this as the user that serves, or give --data DIR"),
        );
    }
    if let Some(finding) = space(WHAT, directory, LITTLE_SPACE.max(2 * message_bytes)) {
        return finding;
    }
    match there {
        Some(found) if open_to_others(&found) => Finding::warn(
            WHAT,
            format!("other users of this machine can look into {shown}"),
            format!("chmod 700 {shown}"),
        ),
        Some(_) => Finding::ok(WHAT, format!("{shown}, {}", free_text(directory))),
        None => Finding::ok(WHAT, format!("{shown} will be made, {}", free_text(directory))),
    }
}

fn spool(directory: &Path, message_bytes: u64) -> Finding {
    const WHAT: &str = "spool";
    if let Err(e) = tempfile::tempfile_in(directory) {
        return Finding::fail(
            WHAT,
            format!(
                "large messages pass through {}, where {} cannot write: {e}",
                directory.display(),
                whoami()
            ),
            "make it writable, or set TMPDIR to a directory that is",
        );
    }
    space(WHAT, directory, SPOOLED * message_bytes)
        .unwrap_or_else(|| Finding::ok(WHAT, format!("{}, {}", directory.display(), free_text(directory))))
}

/// What is wrong with the space on a directory's file system, of which `wanted` should be free.
fn space(what: &str, directory: &Path, wanted: u64) -> Option<Finding> {
    let free = free_bytes(directory)?;
    let detail = || format!("only {} free for {}", short(free), directory.display());
    let fix =
        format!("free some: {} should be there, and the server refuses mail when none is", short(wanted));
    if free < wanted / 8 {
        Some(Finding::fail(what, detail(), fix))
    } else if free < wanted {
        Some(Finding::warn(what, detail(), fix))
    } else {
        None
    }
}

fn free_text(directory: &Path) -> String {
    free_bytes(directory).map_or("free space unknown".into(), |free| format!("{} free", short(free)))
}

fn short(bytes: u64) -> String {
    match bytes {
        n if n >= 1 << 30 => format!("{:.1} GiB", n as f64 / f64::from(1 << 30)),
        n => ByteSize(n >> 20 << 20).to_string(),
    }
}

#[cfg(unix)]
fn free_bytes(directory: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

#[cfg(not(unix))]
fn free_bytes(_directory: &Path) -> Option<u64> {
    None
}

#[cfg(unix)]
fn open_to_others(found: &std::fs::Metadata) -> bool {
    std::os::unix::fs::PermissionsExt::mode(&found.permissions()) & 0o077 != 0
}

#[cfg(not(unix))]
fn open_to_others(_found: &std::fs::Metadata) -> bool {
    false
}

/// The user this runs as.
fn whoami() -> String {
    #[cfg(unix)]
    {
        let uid = rustix::process::geteuid().as_raw();
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)? == uid.to_string()).then(|| name.to_owned())
        });
        name.unwrap_or_else(|| format!("uid {uid}"))
    }
    #[cfg(not(unix))]
    "this user".into()
}

fn descriptor_limit(limit: Option<u64>, connections: usize) -> Finding {
    const WHAT: &str = "descriptors";
    let wanted = connections as u64 + OWN_DESCRIPTORS;
    match limit {
        Some(limit) if limit < wanted => Finding::fail(
            WHAT,
            format!("{limit} open files are allowed, {connections} connections need {wanted}"),
            format!(
                "LimitNOFILE={wanted} in the systemd unit, or max-connections = {}",
                limit.saturating_sub(OWN_DESCRIPTORS)
            ),
        ),
        Some(limit) => Finding::ok(WHAT, format!("{limit} open files, for {connections} connections")),
        None => Finding::ok(WHAT, "no limit"),
    }
}

/// When the program was put here: no clock can rightly be before that.
fn built_at() -> Option<Timestamp> {
    let modified = std::env::current_exe().ok()?.metadata().ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_secs(since.as_secs() as i64))
}

fn clock(now: Timestamp, built: Option<Timestamp>) -> Finding {
    const WHAT: &str = "clock";
    match built {
        Some(built) if now.secs() + 60 < built.secs() => Finding::fail(
            WHAT,
            format!(
                "it says {}, which is before this program was installed ({})",
                rfc3339(now),
                rfc3339(built)
            ),
            "set it: timedatectl set-ntp true (systemd-timesyncd or chrony)",
        ),
        _ => Finding::ok(WHAT, rfc3339(now)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::operate::Level;

    #[test]
    fn a_data_directory_is_there_or_can_be_made() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("a/b");
        let finding = data_directory(&missing, 1);
        assert!(finding.detail.contains("will be made"), "{finding:?}");
        assert!(!missing.exists(), "looking makes nothing");
        let file = dir.path().join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(data_directory(&file, 1).level, Level::Fail);
    }

    #[cfg(unix)]
    #[test]
    fn a_data_directory_that_others_can_read_deserves_a_look() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        for (mode, level) in [(0o700, Level::Ok), (0o755, Level::Warn)] {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(mode)).unwrap();
            let finding = data_directory(dir.path(), 1);
            assert_eq!(finding.level, level, "{finding:?}");
        }
    }

    #[test]
    fn space_that_runs_out_is_said_before_it_has() {
        let dir = tempfile::tempdir().unwrap();
        let free = free_bytes(dir.path()).unwrap();
        assert_eq!(space("x", dir.path(), free / 2), None);
        assert_eq!(space("x", dir.path(), free.saturating_mul(2)).unwrap().level, Level::Warn);
        assert_eq!(space("x", dir.path(), free.saturating_mul(10)).unwrap().level, Level::Fail);
    }

    #[test]
    fn connections_need_descriptors() {
        let finding = descriptor_limit(Some(1024), 20_000);
        assert_eq!(finding.level, Level::Fail);
        assert!(finding.fix.contains("LimitNOFILE=20256") && finding.fix.contains("768"), "{finding:?}");
        assert_eq!(descriptor_limit(Some(1024), 768).level, Level::Ok);
        assert_eq!(descriptor_limit(None, 20_000).level, Level::Ok);
    }

    #[test]
    fn a_clock_before_the_program_is_wrong() {
        let built = Some(Timestamp::from_secs(1_800_000_000));
        assert_eq!(clock(Timestamp::from_secs(0), built).level, Level::Fail);
        assert_eq!(clock(Timestamp::from_secs(1_800_000_001), built).level, Level::Ok);
    }
}
