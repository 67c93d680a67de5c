//! The server under measurement: its own process, its own store, free ports.

use crate::client::http_post;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Which binary, on which disk.
pub struct Place {
    pub binary: PathBuf,
    pub dir: Option<PathBuf>,
    /// The processors that servers are kept to, as taskset(1) names them; all, if none are named.
    pub cores: Option<String>,
    /// Those that this program keeps to, for [`Place::pin`].
    pub load_cores: Option<String>,
}

impl Place {
    /// Runs a program where servers run.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let Some(cores) = &self.cores else { return Command::new(program) };
        let mut command = Command::new("taskset");
        command.args(["-c", cores]).arg(program);
        command
    }

    /// Keeps servers to the first processor and this program to the others, where there are several.
    pub async fn pin(&mut self) -> io::Result<()> {
        let cores = std::thread::available_parallelism()?.get();
        if cores < 2 {
            return Ok(());
        }
        let others = if cores == 2 { "1".to_owned() } else { format!("1-{}", cores - 1) };
        let me = std::process::id().to_string();
        let status = Command::new("taskset")
            .args(["-a", "-c", "-p", &others, &me])
            .stdout(Stdio::null())
            .status()
            .await?;
        if !status.success() {
            return Err(io::Error::other(format!("taskset: {status}")));
        }
        (self.cores, self.load_cores) = (Some("0".to_owned()), Some(others));
        Ok(())
    }

    pub fn scratch(&self) -> io::Result<tempfile::TempDir> {
        match &self.dir {
            Some(dir) => tempfile::tempdir_in(dir),
            None => tempfile::tempdir(),
        }
    }

    /// What the disk itself gives: appends of 4 KiB, each followed by fdatasync, for about a second.
    pub fn syncs_per_second(&self) -> io::Result<f64> {
        let dir = self.scratch()?;
        let mut file = std::fs::File::create(dir.path().join("probe"))?;
        file.seek(io::SeekFrom::End(0))?;
        let (began, mut done) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(1) {
            file.write_all(&[0x55; 4096])?;
            file.sync_data()?;
            done += 1;
        }
        Ok(f64::from(done) / began.elapsed().as_secs_f64())
    }

    pub async fn start(&self) -> io::Result<Server> {
        self.start_with(&[]).await
    }

    /// With further command-line settings.
    pub async fn start_with(&self, args: &[&str]) -> io::Result<Server> {
        let dir = self.scratch()?;
        self.start_on(dir, args).await
    }

    async fn start_on(&self, dir: tempfile::TempDir, args: &[&str]) -> io::Result<Server> {
        let began = Instant::now();
        let mut child = self
            .command(&self.binary)
            .args(["--smtp", "0", "--imap", "0", "--pop3", "0", "--http", "0", "--quota", "1000GB"])
            .args(args)
            .arg("--data")
            .arg(dir.path().join("data"))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| {
                let hint = "build it with: cargo build --release -p gadwall";
                io::Error::new(e.kind(), format!("{}: {e}; {hint}", self.binary.display()))
            })?;
        let out = child.stdout.take().ok_or_else(|| io::Error::other("stdout is piped"))?;
        let mut lines = BufReader::new(out).lines();
        let mut ports = BTreeMap::new();
        let mut ready = None;
        while let Some(line) = lines.next_line().await? {
            if line.contains("accessible via") {
                ready = Some(began.elapsed());
            }
            if let Some((door, addr)) = line.trim().split_once(char::is_whitespace)
                && let Ok(addr) = addr.trim().parse::<std::net::SocketAddr>()
            {
                ports.insert(door.to_owned(), addr.port());
            }
            if line.contains("getTestMessageUrl") {
                break;
            }
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let ready = ready.ok_or_else(|| io::Error::other("the server ended before it served"))?;
        Ok(Server { child, dir, ports, ready })
    }
}

/// A running server.
pub struct Server {
    child: Child,
    dir: tempfile::TempDir,
    ports: BTreeMap<String, u16>,
    /// From starting the process to its listeners serving.
    pub ready: Duration,
}

/// A test account.
#[derive(Clone)]
pub struct Account {
    pub user: String,
    pub pass: String,
}

impl Server {
    pub fn port(&self, door: &str) -> u16 {
        self.ports.get(door).copied().unwrap_or(0)
    }

    /// An account, by the call that Nodemailer makes.
    pub async fn account(&self) -> io::Result<Account> {
        let answer = http_post(self.port("http"), "/user", "{}").await?;
        let json: serde_json::Value = serde_json::from_slice(&answer)?;
        let text = |key: &str| json[key].as_str().map(str::to_owned);
        match (text("user"), text("pass")) {
            (Some(user), Some(pass)) => Ok(Account { user, pass }),
            _ => Err(io::Error::other(format!("POST /user: {json}"))),
        }
    }

    /// Resident memory of the process, in MB (10^6 bytes).
    pub fn resident_mb(&self) -> io::Result<f64> {
        let pid = self.child.id().ok_or_else(|| io::Error::other("the server has ended"))?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let line = status.lines().find(|l| l.starts_with("VmRSS:"));
        let kib = line.and_then(|l| l.split_whitespace().nth(1)?.parse::<f64>().ok());
        kib.map(|k| k * 1024.0 / 1e6).ok_or_else(|| io::Error::other("no VmRSS"))
    }

    /// Bytes the store takes on disk.
    pub fn disk_bytes(&self) -> io::Result<u64> {
        blocks_below(self.dir.path())
    }

    /// Stops it cleanly and starts it again on the same store.
    pub async fn restart(mut self, place: &Place) -> io::Result<Server> {
        if let Some(pid) = self.child.id() {
            Command::new("kill").args(["-TERM", &pid.to_string()]).status().await?;
        }
        self.child.wait().await?;
        place.start_on(self.dir, &[]).await
    }
}

/// Bytes that files below a directory take on disk, in whole blocks.
pub fn blocks_below(dir: &Path) -> io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let meta = match entry.metadata() {
            // Renamed or removed since it was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        sum += if meta.is_dir() { blocks_below(&entry.path())? } else { meta.blocks() * 512 };
    }
    Ok(sum)
}
