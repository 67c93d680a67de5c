//! A server of a test's own, and client programs run against it with a deadline.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long one client program may take.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server on free loopback ports, with a store in a directory that goes with it.
pub struct Gadwall {
    child: Child,
    dir: tempfile::TempDir,
    ports: BTreeMap<String, u16>,
    /// Whether it expects balancers on this machine, so that whoever connects has to say for whom.
    proxied: bool,
    /// What it printed when it began to serve.
    pub banner: String,
}

/// An account made by the call that Nodemailer makes.
#[derive(Debug, Clone)]
pub struct Account {
    pub user: String,
    pub pass: String,
}

impl Gadwall {
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// With further command-line settings, which win over the harness's own.
    pub fn with(args: &[&str]) -> Self {
        Self::on(tempfile::tempdir().expect("a scratch directory"), args)
    }

    /// On a directory that a server before it may have used.
    pub fn on(dir: tempfile::TempDir, args: &[&str]) -> Self {
        let mut command = Command::new(binary());
        for door in ["smtp", "imap", "pop3", "http"] {
            if !args.contains(&format!("--{door}").as_str()) {
                command.args([&format!("--{door}"), "0"]);
            }
        }
        let log = File::create(dir.path().join("server.log")).expect("a log file");
        let mut child = command
            .args(args)
            .env("GADWALL_DATA", dir.path().join("data"))
            .env("GADWALL_LOG", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the gadwall binary starts");
        let mut out = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let (mut banner, mut ports) = (String::new(), BTreeMap::new());
        loop {
            let mut line = String::new();
            if out.read_line(&mut line).expect("the banner is text") == 0 {
                let log = std::fs::read_to_string(dir.path().join("server.log")).unwrap_or_default();
                panic!("gadwall ended before it served:\n{banner}\n{log}");
            }
            banner.push_str(&line);
            if let Some((door, addr)) = line.trim().split_once(char::is_whitespace)
                && let Ok(addr) = addr.trim().parse::<std::net::SocketAddr>()
            {
                ports.insert(door.to_owned(), addr.port());
            }
            if line.contains("getTestMessageUrl") {
                break;
            }
        }
        // Nothing is printed after that; the pipe stays open until the process ends.
        std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
        let proxied = args.windows(2).any(|pair| pair == ["--proxy-from", "127.0.0.1"]);
        Self { child, dir, ports, proxied, banner }
    }

    pub fn port(&self, door: &str) -> u16 {
        *self.ports.get(door).unwrap_or_else(|| panic!("no {door} listener in:\n{}", self.banner))
    }

    /// `http://127.0.0.1:PORT`
    pub fn web(&self) -> String {
        format!("http://127.0.0.1:{}", self.port("http"))
    }

    /// The server's scratch directory, for files of the clients too.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What the server logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir().join("server.log")).unwrap_or_default()
    }

    pub fn account(&self) -> Account {
        let body = self.http("POST", "/user", "{}");
        let json: serde_json::Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{e}: {body}"));
        let text = |key: &str| json[key].as_str().unwrap_or_else(|| panic!("no {key} in {body}")).to_owned();
        Account { user: text("user"), pass: text("pass") }
    }

    /// One request to the API, JSON in and out; the answer's body. Panics unless it is a 200.
    pub fn http(&self, method: &str, path: &str, body: &str) -> String {
        let (status, answer) = self.http_any(method, path, &[], body);
        assert_eq!(status, 200, "{method} {path}: {answer}");
        answer
    }

    /// One request with headers (`"Name: value"`): status and body.
    pub fn http_any(&self, method: &str, path: &str, headers: &[&str], body: &str) -> (u16, String) {
        let mut io = TcpStream::connect(("127.0.0.1", self.port("http"))).expect("http listens");
        io.set_read_timeout(Some(PATIENCE)).expect("a deadline");
        let mut head = format!("{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\n");
        headers.iter().for_each(|h| head.push_str(&format!("{h}\r\n")));
        if !body.is_empty() {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        if self.proxied {
            io.write_all(gadwall::proxy::LOCAL).expect("the header goes out");
        }
        io.write_all(format!("{head}\r\n{body}").as_bytes()).expect("the request goes out");
        let mut answer = Vec::new();
        io.read_to_end(&mut answer).expect("the answer comes in");
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        (head[9..12].parse().expect("a status"), body.to_owned())
    }

    /// Ends it as `kill -TERM` does; its exit status and directory.
    pub fn terminate(self) -> (ExitStatus, tempfile::TempDir) {
        self.ask_to_stop();
        self.stopped()
    }

    /// Sends SIGTERM.
    pub fn ask_to_stop(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        assert!(sent.expect("kill runs").success());
    }

    /// Its exit status and directory, once it has ended.
    pub fn stopped(mut self) -> (ExitStatus, tempfile::TempDir) {
        let status = wait(&mut self.child, PATIENCE).expect("gadwall stops when asked");
        (status, self.take_dir())
    }

    /// Ends it as `kill -9` does; its directory.
    pub fn kill(mut self) -> tempfile::TempDir {
        self.child.kill().expect("it was running");
        self.child.wait().expect("it is a child");
        self.take_dir()
    }

    fn take_dir(&mut self) -> tempfile::TempDir {
        std::mem::replace(&mut self.dir, tempfile::tempdir().expect("a scratch directory"))
    }
}

impl Drop for Gadwall {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the server's log:\n{}", self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn binary() -> PathBuf {
    env!("CARGO_BIN_EXE_gadwall").into()
}

/// The folder of the clients' scripts and node_modules.
pub fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// Runs one case of a script with node. The script names the case again when it was done, since node ends with success
/// too when nothing is left to wait for.
pub fn node(server: &Gadwall, script: &str, case: &str) {
    let mut command = Command::new("node");
    command.arg(scripts().join(script)).arg(case).current_dir(server.dir());
    command.envs(["WEB", "ETHEREAL_API", "ETHEREAL_WEB"].map(|name| (name, server.web())));
    let said = run(&mut command, b"");
    let done = said.out.lines().any(|line| line == format!("done: {case}"));
    assert!(done && said.status.success(), "{}\nstdout:\n{}\nstderr:\n{}", said.status, said.out, said.err);
}

/// What a program said before it ended.
#[derive(Debug)]
pub struct Said {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Panics, with everything it said, unless the program succeeded. Its standard output.
    pub fn ok(self) -> String {
        assert!(self.status.success(), "{}\nstdout:\n{}\nstderr:\n{}", self.status, self.out, self.err);
        self.out
    }
}

/// Runs a program to its end, with `input` on standard input. Killed, and the test failed, after [`PATIENCE`].
pub fn run(command: &mut Command, input: &[u8]) -> Said {
    // Files, not pipes: a program that says much before it reads its input can't block.
    let scratch = || tempfile::tempfile().expect("a scratch file");
    let (mut stdin, mut out, mut err) = (scratch(), scratch(), scratch());
    stdin.write_all(input).and_then(|()| stdin.rewind()).expect("the input is written");
    let clone = |file: &File| file.try_clone().expect("a descriptor");
    let mut child =
        command.stdin(stdin).stdout(clone(&out)).stderr(clone(&err)).spawn().unwrap_or_else(|e| {
            panic!("{:?} does not start: {e}. ./test installs what the tests need", command.get_program())
        });
    let status = wait(&mut child, PATIENCE);
    let text = |file: &mut File| {
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).expect("what it said");
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let (out, err) = (text(&mut out), text(&mut err));
    match status {
        Some(status) => Said { status, out, err },
        None => panic!("{command:?} took too long\nstdout:\n{out}\nstderr:\n{err}"),
    }
}

/// Waits for the end of a process, kills it after `limit`.
fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = child.try_wait().expect("it is a child") {
            return Some(status);
        }
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
