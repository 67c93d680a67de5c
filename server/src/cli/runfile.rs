//! What a running server leaves in its data directory, so that `gadwall account` reaches it: where its API listens and
//! the token that opens it. Readable by its owner alone, taken away when the server ends.

use crate::tls::write_private;
use serde::{Deserialize, Serialize};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

#[derive(Debug, Serialize, Deserialize)]
pub struct RunFile {
    pub pid: u32,
    pub http: Option<SocketAddr>,
    pub token: String,
}

fn path(data: &Path) -> PathBuf {
    data.join("running.json")
}

impl RunFile {
    pub fn write(&self, data: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        // Never a moment with half of it, nor with an old file's wider permissions.
        let fresh = data.join("running.json.new");
        let _ = std::fs::remove_file(&fresh);
        write_private(&fresh, &text)?;
        std::fs::rename(fresh, path(data))
    }

    /// The file of the server that runs now, or of one that was killed.
    pub fn read(data: &Path) -> Option<RunFile> {
        serde_json::from_slice(&std::fs::read(path(data)).ok()?).ok()
    }

    /// The file of a server that runs now.
    #[cfg(unix)]
    pub fn of_running(data: &Path) -> Option<RunFile> {
        let alive = |run: &RunFile| {
            let pid = i32::try_from(run.pid).ok().and_then(rustix::process::Pid::from_raw);
            // A process of another user is there too.
            pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
        };
        Self::read(data).filter(alive)
    }

    #[cfg(not(unix))]
    pub fn of_running(data: &Path) -> Option<RunFile> {
        Self::read(data)
    }

    pub fn remove(data: &Path) {
        let _ = std::fs::remove_file(path(data));
    }
}
