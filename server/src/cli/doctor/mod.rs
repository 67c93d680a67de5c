//! `gadwall doctor`: looks at everything a node needs, and says of each whether it is well, or why not and what to do.
//!
//! What the backends need is looked at by the function that `main.rs` hands in. Nothing here prints credentials.

mod certificate;
mod machine;
mod ports;
mod proxy;

use super::Backends;
use super::args::DoctorArgs;
use super::exit::Failure;
use super::runfile::RunFile;
use super::stdio::say;
use crate::Env;
use crate::config::Config;
use gadwall_storage::operate::{Finding, Level};
use serde_json::json;

/// Succeeds when nothing failed; what only deserves a look does not count.
pub async fn run(config: &Config, env: &Env, backends: &Backends, args: &DoctorArgs) -> Result<(), Failure> {
    let mut findings = machine::examine(config, env);
    findings.extend(ports::examine(config).await);
    findings.extend(proxy::examine(config));
    findings.extend(certificate::examine(config, env.clock.now()));
    findings.extend((backends.examine)(config, env).await);
    if args.json {
        say(&as_json(&findings).to_string());
    } else {
        findings.iter().for_each(|finding| say(&as_text(finding)));
    }
    match findings.iter().filter(|finding| finding.level == Level::Fail).count() {
        0 => Ok(()),
        failed => Err(Failure::failed(format!("{failed} of {} checks failed", findings.len()))),
    }
}

/// A store in the data directory, which another process may hold.
pub fn store_on_disk(config: &Config, held: std::io::Result<bool>) -> Finding {
    const WHAT: &str = "store";
    let shown = config.data.display();
    match (held, RunFile::of_running(&config.data)) {
        (Ok(false), _) => Finding::ok(WHAT, format!("{shown} is free to be opened")),
        (Ok(true), Some(run)) => {
            Finding::ok(WHAT, format!("{shown} is in use by the server that runs (process {})", run.pid))
        }
        (Ok(true), None) => Finding::fail(
            WHAT,
            format!("{shown} is in use by another process, which is no server"),
            format!("fuser -v {shown}/lock names it: wait for it or stop it, or give --data DIR"),
        ),
        (Err(e), _) => Finding::fail(WHAT, format!("{shown}: {e}"), "run this as the user that serves"),
    }
}

fn as_json(findings: &[Finding]) -> serde_json::Value {
    let one = |f: &Finding| json!({ "what": f.what, "level": f.level, "detail": f.detail, "fix": f.fix });
    let ok = findings.iter().all(|finding| finding.level != Level::Fail);
    json!({ "ok": ok, "findings": findings.iter().map(one).collect::<Vec<_>>() })
}

fn as_text(finding: &Finding) -> String {
    let level = match finding.level {
        Level::Ok => "ok",
        Level::Warn => "warn",
        Level::Fail => "FAIL",
    };
    let mut text = format!("{level:<5} {:<16} {}", finding.what, finding.detail);
    if !finding.fix.is_empty() {
        text.push_str(&format!("\n{:<23}-> {}", "", finding.fix));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_is_a_line_and_its_fix_another() {
        assert_eq!(as_text(&Finding::ok("clock", "fine")), "ok    clock            fine");
        let text = as_text(&Finding::fail("smtp", "taken", "free it"));
        assert_eq!(text, "FAIL  smtp             taken\n                       -> free it");
    }

    #[test]
    fn only_a_failure_makes_the_whole_not_ok() {
        let warn = Finding::warn("a", "b", "c");
        assert_eq!(as_json(std::slice::from_ref(&warn))["ok"], true);
        let json = as_json(&[warn, Finding::fail("d", "e", "f")]);
        assert_eq!(json["ok"], false);
        assert_eq!(json["findings"][1]["level"], "fail");
    }
}
