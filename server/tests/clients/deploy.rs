//! What `deploy/` holds is good for the programs it is for, agrees with itself, and is what docs/operations.md names.
//! The drill (deploy/drill) is a program of its own and has its own test.

use crate::harness::{PATIENCE, Said, binary, run};
use gadwall::config::{Config, Settings};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the source tree")
}

fn deploy(file: &str) -> PathBuf {
    root().join("deploy").join(file)
}

fn text(file: &str) -> String {
    std::fs::read_to_string(deploy(file)).unwrap_or_else(|e| panic!("deploy/{file}: {e}"))
}

/// All files of `deploy/` but the drill's, as `haproxy/haproxy.cfg`.
fn files() -> BTreeSet<String> {
    fn walk(directory: &Path, below: &str, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
            let name = format!("{below}{}", entry.file_name().to_str().expect("a plain name"));
            if name == "drill.d" {
                continue;
            }
            if entry.path().is_dir() {
                walk(&entry.path(), &format!("{name}/"), found);
            } else {
                found.insert(name);
            }
        }
    }
    let mut found = BTreeSet::new();
    walk(&root().join("deploy"), "", &mut found);
    found
}

#[test]
fn the_guide_names_every_file_and_every_file_it_names_is_there() {
    let guide = std::fs::read_to_string(root().join("docs/operations.md")).expect("the guide");
    let is_of_path = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let named: BTreeSet<String> = guide
        .match_indices("deploy/")
        // Not the folder of another program that is called so too.
        .filter(|(at, _)| !guide[..*at].ends_with('/'))
        .map(|(at, prefix)| &guide[at + prefix.len()..])
        .map(|rest| rest.split(|c| !is_of_path(c)).next().unwrap_or_default())
        .map(|path| path.trim_end_matches(['.', '/']).to_owned())
        .filter(|path| !path.is_empty())
        .collect();
    let files = files();
    for path in &named {
        assert!(deploy(path).exists(), "docs/operations.md names deploy/{path}, which isn't there");
    }
    let unnamed: Vec<_> = files.iter().filter(|file| !named.contains(*file)).collect();
    assert!(unnamed.is_empty(), "docs/operations.md doesn't name {unnamed:?}");
}

/// The ports of the `server` lines of haproxy.cfg.
fn balanced_ports() -> BTreeSet<u16> {
    let config = text("haproxy/haproxy.cfg");
    let servers = config.lines().filter_map(|line| line.trim().strip_prefix("server "));
    servers.map(|line| line.rsplit(':').next().expect("a port").trim().parse().expect("a number")).collect()
}

#[test]
fn the_nodes_listen_where_haproxy_and_the_firewall_expect_them() {
    let settings = Settings::from_file(&deploy("cluster/gadwall.toml")).expect("known keys");
    let config = Config::resolve(settings).expect("a complete configuration");
    let listened: BTreeSet<u16> = config.doors.iter().map(|(_, addr)| addr.port()).collect();
    assert_eq!(balanced_ports(), listened);
    assert!(config.doors.iter().all(|(_, addr)| config.proxy_from.contains(addr.ip())), "its own HAProxy");
    assert!(config.redis.is_some());
    let firewall = text("nftables/nftables.conf");
    let private: String =
        firewall.lines().filter(|line| line.contains("ip saddr $MACHINES tcp dport")).collect();
    let public: String = firewall.lines().filter(|line| line.contains("} accept")).collect();
    for port in listened.iter().chain(&[27017, 6379, 26379]) {
        assert!(private.contains(&port.to_string()), "{port} is open among the machines");
    }
    for line in text("haproxy/haproxy.cfg").lines().filter_map(|line| line.trim().strip_prefix("bind :::")) {
        let port = line.split(' ').next().expect("a port");
        assert!(public.contains(&format!(" {port}")), "{port} is open to the world");
    }
    let stop: u64 = of_unit("TimeoutStopSec").parse().expect("seconds");
    assert!(stop > (config.drain + config.drain_delay).as_secs(), "systemd waits for the drain");
    let descriptors: usize = of_unit("LimitNOFILE").parse().expect("a number");
    assert!(descriptors > config.max_connections + 256);
}

fn of_unit(key: &str) -> String {
    let unit = text("systemd/gadwall.service");
    let value = unit.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    value.unwrap_or_else(|| panic!("no {key}")).to_owned()
}

fn parse(command: &mut Command) -> Said {
    let said = run(command, b"");
    assert!(said.status.success(), "{command:?}: {said:?}");
    said
}

#[test]
fn haproxy_nftables_keepalived_and_logrotate_read_their_files() {
    parse(Command::new("haproxy").arg("-c").arg("-f").arg(deploy("haproxy/haproxy.cfg")));
    parse(Command::new("/usr/sbin/nft").args(["-c", "-f"]).arg(deploy("nftables/nftables.conf")));
    let dir = tempfile::tempdir().expect("a directory");
    let said = run(
        Command::new("/usr/sbin/keepalived").args(["-t", "-f"]).arg(deploy("keepalived/keepalived.conf")),
        b"",
    );
    // It looks for the interfaces, which this machine may not have; of all else it has no complaint.
    let complaints = said.err.lines().filter(|line| !line.contains("eth") && !line.contains("interface"));
    assert_eq!(complaints.collect::<Vec<_>>(), Vec::<&str>::new());
    let logrotate = dir.path().join("mongod");
    // The user may not be there, and a file that others may write to is passed over.
    let config = text("logrotate/mongod").replace("mongodb mongodb", "root root");
    std::fs::write(&logrotate, config).expect("written");
    parse(Command::new("chmod").arg("644").arg(&logrotate));
    let said = parse(
        Command::new("/usr/sbin/logrotate").arg("-d").arg("-s").arg(dir.path().join("state")).arg(&logrotate),
    );
    assert!(said.err.contains("/var/log/mongodb/mongod.log") && !said.err.contains("error"), "{said:?}");
}

#[test]
fn systemd_knows_every_key_of_the_units_and_drop_ins() {
    let dir = tempfile::tempdir().expect("a directory");
    parse(Command::new("cp").arg("-r").arg(deploy("systemd/.")).arg(dir.path()));
    let mut units = Vec::new();
    for file in files().iter().filter_map(|file| file.strip_prefix("systemd/")) {
        let path = dir.path().join(file);
        let unit = std::fs::read_to_string(&path).expect("a unit");
        let own = unit.replace("/usr/local/bin/gadwall ", &format!("{} ", binary().display()));
        std::fs::write(&path, own.replace("/usr/local/sbin/gadwall-backup", "/bin/true")).expect("written");
        let name = file.split('/').next().unwrap_or_default();
        if let Some(name) = name.strip_suffix(".d") {
            // A unit for the drop-in to be over: Debian's own if it is installed.
            let debian = Path::new("/lib/systemd/system").join(name);
            let unit = std::fs::read_to_string(debian).unwrap_or("[Service]\nExecStart=/bin/true\n".into());
            std::fs::write(dir.path().join(name), unit).expect("written");
            units.push(dir.path().join(name));
        } else if file.ends_with(".service") || file.ends_with(".timer") {
            units.push(path);
        }
    }
    assert!(units.len() >= 7, "{units:?}");
    let said = parse(
        Command::new("systemd-analyze")
            .args(["verify", "--man=no"])
            .args(&units)
            .env("SYSTEMD_UNIT_PATH", format!("{}:", dir.path().display())),
    );
    let about_ours = said.err.lines().filter(|line| line.contains(&*dir.path().to_string_lossy()));
    assert_eq!(about_ours.collect::<Vec<_>>(), Vec::<&str>::new());
    // journald has no verifier: its keys are in its manual's list.
    let known = ["SystemMaxUse", "SystemKeepFree", "MaxRetentionSec", "RateLimitBurst"];
    let journald = text("systemd/journald.conf");
    let keys =
        journald.lines().filter(|line| !line.starts_with(['#', '['])).filter_map(|l| l.split_once('='));
    assert!(keys.map(|(key, _)| key).all(|key| known.contains(&key)), "{journald}");
}

#[test]
fn sysctl_knows_every_key() {
    for line in text("sysctl/60-gadwall.conf").lines().filter(|line| !line.starts_with('#')) {
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{line}"));
        let path = format!("/proc/sys/{}", key.replace('.', "/"));
        assert!(Path::new(&path).exists() && value.parse::<u64>().is_ok(), "{line}");
    }
}

/// A server of the test's own, killed with it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("an address").port()
}

fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// Starts Redis or Sentinel with a file of `deploy/redis`, on loopback.
fn redis(program: &str, file: &str, port: u16, master: u16, dir: &Path) -> Server {
    let mut config = String::new();
    for line in text(file).lines() {
        let line = match line.split(' ').next().unwrap_or_default() {
            "bind" => "bind 127.0.0.1".to_owned(),
            "port" => format!("port {port}"),
            "dir" => format!("dir {}", dir.display()),
            _ => line.replace("10.0.0.1 6379", &format!("127.0.0.1 {master}")),
        };
        config.push_str(&format!("{line}\n"));
    }
    let path = dir.join(format!("{port}.conf"));
    std::fs::write(&path, config).expect("written");
    Server(Command::new(program).arg(path).stdout(Stdio::null()).spawn().expect("it is installed"))
}

/// What a Redis answers to commands over one connection; `None` while it doesn't listen.
fn ask(port: u16, commands: &[&str]) -> Option<String> {
    let mut io = TcpStream::connect(("127.0.0.1", port)).ok()?;
    io.set_read_timeout(Some(std::time::Duration::from_secs(5))).ok()?;
    io.write_all(format!("{}\r\n", commands.join("\r\n")).as_bytes()).ok()?;
    // Sentinel knows no QUIT; either ends a connection whose other end has.
    io.shutdown(std::net::Shutdown::Write).ok()?;
    let mut answer = String::new();
    io.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn redis_and_sentinel_start_with_their_files_and_know_each_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let (master, sentinel) = (free_port(), free_port());
    let _master = redis("redis-server", "redis/redis.conf", master, master, dir.path());
    let _sentinel = redis("redis-sentinel", "redis/sentinel.conf", sentinel, master, dir.path());
    let refused = until("Redis", || ask(master, &["PING"]));
    assert!(refused.contains("NOAUTH"), "{refused}");
    let refused = until("Sentinel", || ask(sentinel, &["SENTINEL MASTERS"]));
    assert!(refused.contains("NOAUTH"), "{refused}");
    // It learns the master's run id once it has logged in there: its password is the right one.
    let info = until("the Sentinel to have asked the master", || {
        let info = ask(sentinel, &["AUTH CHANGE-ME-TOO", "SENTINEL MASTER gadwall"])?;
        info.contains("runid\r\n$40\r\n").then_some(info)
    });
    assert!(info.contains("down-after-milliseconds\r\n$4\r\n2000"), "{info}");
    // The master alone takes no writes, as the file says.
    let info = ask(master, &["AUTH CHANGE-ME", "SET a b EX 1"]).expect("it answers");
    assert!(info.contains("NOREPLICAS"), "{info}");
}

#[test]
fn the_yaml_files_are_yaml_and_the_composition_is_complete() {
    let script = crate::harness::scripts().join("compose_cases.py");
    // Debian's, which has python3-yaml.
    parse(Command::new("/usr/bin/python3").arg(script).arg(root().join("deploy")));
}

#[test]
fn the_image_is_built_with_the_compiler_that_the_source_asks_for_and_runs_as_nobody_special() {
    let image = text("Dockerfile");
    let cargo = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml");
    let wanted = cargo.lines().find_map(|line| line.strip_prefix("rust-version = \"")).expect("a version");
    assert!(image.contains(&format!("FROM rust:{}-bookworm", wanted.trim_end_matches('"'))), "{wanted}");
    let last = image.rsplit("\nFROM ").next().expect("a last stage");
    let user = last.lines().find_map(|line| line.strip_prefix("USER ")).expect("a user");
    assert!(user != "root" && last.contains(&format!(" {user} ")), "{user} is made");
    assert!(last.contains("HEALTHCHECK") && last.contains(r#"CMD ["gadwall", "readyz"]"#));
    for variable in last
        .split(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))
        .filter(|w| w.starts_with("GADWALL_"))
    {
        let key = variable["GADWALL_".len()..].to_lowercase();
        assert!(Settings::KEYS.contains(&&*key), "{variable} is a setting");
    }
}

#[test]
fn shell_scripts_are_sound() {
    for script in ["backup/gadwall-backup", "backup/gadwall-restore-test"] {
        parse(Command::new("bash").arg("-n").arg(deploy(script)));
        parse(Command::new("shellcheck").arg(deploy(script)));
    }
}

/// Runs the backup script with a `mongodump` that is `dump`.
fn back_up(dir: &Path, dump: &str, more: &[(&str, &str)]) -> Said {
    let bin = dir.join("bin");
    std::fs::create_dir_all(&bin).expect("made");
    std::fs::create_dir_all(dir.join("backups")).expect("made");
    std::fs::write(bin.join("mongodump"), format!("#!/bin/bash\n{dump}\n")).expect("written");
    parse(Command::new("chmod").arg("755").arg(bin.join("mongodump")));
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new(deploy("backup/gadwall-backup"));
    command.env("PATH", path).env("BACKUP_DIR", dir.join("backups")).envs(more.iter().copied());
    run(command.env("MONGODB_URI", "mongodb://backup:hunter2@a/?replicaSet=gadwall"), b"")
}

fn backups(dir: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir.join("backups")).expect("a directory").flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|name| name != "lock").collect()
}

/// A dump that says how it was called.
const DUMP: &str = r#"for a in "$@"; do case "$a" in --archive=*) to="${a#*=}";; --config=*) cat "${a#*=}" >"$0.config";; esac; done
echo "$@" >"$0.args"; echo mail | gzip >"$to""#;

#[test]
fn a_backup_is_there_as_a_whole_and_old_ones_go() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("backups")).expect("made");
    for day in 1..=3 {
        let old = dir.path().join(format!("backups/gadwall-2020010{day}T000000Z.archive.gz"));
        std::fs::write(old, "old").expect("written");
    }
    let after = ("BACKUP_AFTER", "gzip -dc");
    let said = back_up(dir.path(), DUMP, &[("BACKUP_KEEP", "2"), after]).ok();
    assert!(said.ends_with("mail\n"), "what comes after has the file: {said}");
    let left = backups(dir.path());
    assert!(left.len() == 2 && left.contains("gadwall-20200103T000000Z.archive.gz"), "{left:?}");
    let args = std::fs::read_to_string(dir.path().join("bin/mongodump.args")).expect("it ran");
    assert!(args.contains("--oplog") && args.contains("secondary") && !args.contains("hunter2"), "{args}");
    let config = std::fs::read_to_string(dir.path().join("bin/mongodump.config")).expect("it ran");
    assert_eq!(config, "uri: \"mongodb://backup:hunter2@a/?replicaSet=gadwall\"\n");
}

#[test]
fn a_backup_that_fails_or_is_no_archive_leaves_nothing_and_takes_nothing_away() {
    let dir = tempfile::tempdir().expect("a directory");
    back_up(dir.path(), DUMP, &[("BACKUP_KEEP", "1")]).ok();
    let before = backups(dir.path());
    let torn = r#"for a in "$@"; do case "$a" in --archive=*) echo torn >"${a#*=}";; esac; done"#;
    for dump in ["exit 1", torn, "true"] {
        let said = back_up(dir.path(), dump, &[("BACKUP_KEEP", "1")]);
        assert!(!said.status.success(), "{dump}: {said:?}");
        assert_eq!(backups(dir.path()), before, "{dump}");
    }
    assert_eq!(back_up(dir.path(), DUMP, &[("BACKUP_KEEP", "0")]).status.code(), Some(2));
}

#[test]
fn the_replica_set_script_makes_members_and_users_once() {
    parse(Command::new("node").arg("--check").arg(deploy("mongodb/replica-set.js")));
    let cases = crate::harness::scripts().join("replica-set-cases.js");
    let said = parse(Command::new("node").arg(cases).arg(deploy("mongodb/replica-set.js")));
    assert_eq!(said.out.lines().last(), Some("done"), "{said:?}");
}

#[test]
fn the_example_settings_and_the_cluster_agree_on_the_database() {
    let toml = text("cluster/gadwall.toml");
    let table: BTreeMap<String, toml::Value> = toml::from_str(&toml).expect("TOML");
    let uri = table["mongodb-uri"].as_str().expect("a text");
    assert!(
        uri.contains("replicaSet=gadwall") && text("mongodb/mongod.conf").contains("replSetName: gadwall")
    );
    assert!(text("mongodb/replica-set.js").contains("_id: 'gadwall'"));
    let redis = table["redis"].as_str().expect("a text");
    assert!(redis.contains("/gadwall?") && text("redis/sentinel.conf").contains("monitor gadwall "));
}
