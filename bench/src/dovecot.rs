//! Debian's Dovecot beside us: LMTP in, IMAP out, on loopback, with a store of its own.

use crate::server::{Account, Place, blocks_below};
use std::io;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// How it keeps mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A file for each message, as it came.
    Maildir,
    /// A file for each message, in Dovecot's own format.
    Sdbox,
    /// The same with its zlib plugin: `zlib_save = gz` at its default level.
    SdboxZlib,
}

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Layout::Maildir => "Dovecot maildir",
            Layout::Sdbox => "Dovecot sdbox",
            Layout::SdboxZlib => "Dovecot sdbox, zlib",
        }
    }

    fn settings(self) -> &'static str {
        match self {
            Layout::Maildir => "mail_location = maildir:~/mail\n",
            Layout::Sdbox => "mail_location = sdbox:~/mail\n",
            Layout::SdboxZlib => {
                "mail_location = sdbox:~/mail\nmail_plugins = zlib\nplugin {\n  zlib_save = gz\n}\n"
            }
        }
    }
}

/// How long it may take to open its ports.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running Dovecot. Ends when dropped.
pub struct Dovecot {
    _child: Child,
    dir: tempfile::TempDir,
    pub lmtp: u16,
    pub imap: u16,
}

impl Dovecot {
    /// As Debian sets it up but for places and users; `mail_fsync = optimized`, its default: LMTP syncs each message
    /// before its 250.
    pub async fn start(place: &Place, layout: Layout) -> io::Result<Dovecot> {
        let dir = place.scratch()?;
        let home = dir.path();
        for name in ["run", "mail"] {
            std::fs::create_dir(home.join(name))?;
        }
        // It does not deliver as root.
        let is_root = run("id", &["-u"]).await?.trim() == "0";
        let (user, group) = if is_root {
            ("nobody".to_owned(), "nogroup".to_owned())
        } else {
            (run("id", &["-un"]).await?.trim().to_owned(), run("id", &["-gn"]).await?.trim().to_owned())
        };
        let (lmtp, imap) = (free_port()?, free_port()?);
        let config = include_str!("dovecot.conf")
            .replace("@HOME@", &home.to_string_lossy())
            .replace("@USER@", &user)
            .replace("@GROUP@", &group)
            .replace("@LMTP@", &lmtp.to_string())
            .replace("@IMAP@", &imap.to_string());
        let at = home.join("dovecot.conf");
        std::fs::write(&at, config + layout.settings())?;
        let mut command = if is_root {
            run("chown", &["-R", &format!("{user}:{group}"), &home.to_string_lossy()]).await?;
            let mut command = place.command("setpriv");
            command.args(["--reuid", &user, "--regid", &group, "--clear-groups", "dovecot"]);
            command
        } else {
            place.command("dovecot")
        };
        // Debian keeps it where only root looks.
        let path = format!("{}:/usr/sbin", std::env::var("PATH").unwrap_or_default());
        let log = std::fs::File::create(home.join("log"))?;
        let child = command
            .env("PATH", path)
            .args(["-F", "-c", &at.to_string_lossy()])
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()?;
        let dovecot = Dovecot { _child: child, dir, lmtp, imap };
        let began = Instant::now();
        for port in [lmtp, imap] {
            while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                if began.elapsed() > PATIENCE {
                    return Err(io::Error::other(format!(
                        "Dovecot does not start (Debian: apt install dovecot-imapd dovecot-lmtpd): {}",
                        dovecot.log()
                    )));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(dovecot)
    }

    /// Any name is a user, with this password.
    pub fn account(&self, number: usize) -> Account {
        Account { user: format!("reader{number}"), pass: "password".to_owned() }
    }

    /// Bytes that mail takes on disk, with Dovecot's indexes.
    pub fn disk_bytes(&self) -> io::Result<u64> {
        blocks_below(&self.dir.path().join("mail"))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

/// As it names itself.
pub async fn version() -> io::Result<String> {
    let says = run("/usr/sbin/dovecot", &["--version"]).await.map_err(|e| {
        io::Error::new(e.kind(), format!("{e}; Debian: apt install dovecot-imapd dovecot-lmtpd"))
    })?;
    Ok(says.split_whitespace().next().unwrap_or_default().to_owned())
}

/// What a program says.
async fn run(program: &str, args: &[&str]) -> io::Result<String> {
    let output = Command::new(program).args(args).stderr(Stdio::inherit()).output().await?;
    if !output.status.success() {
        return Err(io::Error::other(format!("{program} {}: {}", args.join(" "), output.status)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
