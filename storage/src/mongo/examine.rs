//! What `gadwall doctor` asks a database: is it reached, is it a replica set, does it write durably, is it prepared.

use super::db::{DbError, Update};
use super::operate::{MongoCluster, members};
use super::schema;
use crate::operate::{Finding, Member};
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;
use tokio::time::Instant;

const WHAT: &str = "MongoDB";
/// A durable write that takes longer makes every user wait.
const SLOW: Duration = Duration::from_secs(1);
/// A secondary that is further behind makes an election lose time.
const LAGGING_MS: u64 = 10_000;
/// Clocks apart by more than this make leases and expiry unequal.
const SKEW_MS: i64 = 1000;
const WRONG_SKEW_MS: i64 = 30_000;

impl MongoCluster {
    pub async fn examine(&self) -> Vec<Finding> {
        let hello = match self.db.hello().await {
            Ok(hello) => hello,
            Err(e) => return vec![unreached(&self.address, &e)],
        };
        let Ok(set) = hello.get_str("setName") else {
            let fix = "start mongod with --replSet (replSetName in mongod.conf) and run deploy/mongodb/replica-set.js";
            let detail = format!("{} is no replica set, which transactions need", self.address);
            return vec![Finding::fail(WHAT, detail, fix)];
        };
        let primary = hello.get_str("me").unwrap_or(&self.address);
        let mut findings = vec![Finding::ok(WHAT, format!("replica set {set}, the primary is {primary}"))];
        findings.push(self.examine_members().await);
        findings.push(self.examine_writing().await);
        findings.push(self.examine_schema().await);
        findings.extend(skew(&hello, self.clock.now().millis()));
        findings
    }

    async fn examine_members(&self) -> Finding {
        const WHAT: &str = "MongoDB members";
        match self.db.members().await {
            Ok(reply) => judge_members(&members(&reply)),
            Err(e) if e.is_code("CommandNotFound", 59) => Finding::ok(WHAT, "the server doesn't tell"),
            Err(e) => Finding::warn(
                WHAT,
                format!("not known: {e}"),
                "let the user ask: db.grantRolesToUser('gadwall', [{ role: 'clusterMonitor', db: 'admin' }])",
            ),
        }
    }

    /// The very promise that mail rests on: durable on a majority.
    async fn examine_writing(&self) -> Finding {
        const WHAT: &str = "MongoDB write";
        let change = doc! { "$set": { "at": super::doc::time(self.clock.now()) } };
        let began = Instant::now();
        let written = self
            .db
            .update(schema::META, vec![Update::one(Bson::String("doctor".into()), change).upsert()])
            .await;
        let took = began.elapsed();
        match written {
            Err(e) => Finding::fail(
                WHAT,
                format!("a write to a majority with j:true failed: {e}"),
                "a majority of the members must be up (gadwall cluster status), and the user needs readWrite",
            ),
            Ok(_) if took > SLOW => Finding::warn(
                WHAT,
                format!("a write to a majority took {} ms", took.as_millis()),
                "look at the disks (iostat -x 1) and at the members' lag",
            ),
            Ok(_) => Finding::ok(WHAT, format!("to a majority, journaled, in {} ms", took.as_millis())),
        }
    }

    async fn examine_schema(&self) -> Finding {
        const WHAT: &str = "MongoDB schema";
        let fix = "gadwall cluster init";
        let failed = |e: DbError| Finding::fail(WHAT, e.to_string(), "the user needs readWrite");
        let version = match self.version().await {
            Ok(Some(version)) => version,
            Ok(None) => {
                return Finding::ok(WHAT, "none yet: gadwall cluster init or the first node makes it");
            }
            Err(e) => return failed(e),
        };
        if version > schema::VERSION {
            let detail = format!("version {version}, this program knows up to {}", schema::VERSION);
            return Finding::fail(
                WHAT,
                detail,
                "a newer Gadwall has used this database: install that version",
            );
        }
        match self.missing_indexes().await {
            Err(e) => failed(e),
            Ok(missing) if missing.is_empty() => {
                Finding::ok(WHAT, format!("version {version}, all indexes are there"))
            }
            Ok(missing) => Finding::fail(WHAT, format!("indexes are missing: {}", missing.join(", ")), fix),
        }
    }
}

fn unreached(address: &str, e: &DbError) -> Finding {
    let text = e.to_string();
    let lower = text.to_lowercase();
    let fix = if lower.contains("auth") || lower.contains("scram") {
        "see that user and password in mongodb-uri are right (percent-encoded), with authSource=admin"
    } else {
        "see that mongod runs there (systemctl status mongod), that its bindIp and the firewall let this machine in, \
         and that replicaSet= has the set's name"
    };
    Finding::fail(WHAT, format!("{address}: {text}"), fix)
}

fn judge_members(all: &[Member]) -> Finding {
    const WHAT: &str = "MongoDB members";
    let shown = |m: &Member| format!("{} {}", m.name, m.state);
    let all_shown = all.iter().map(shown).collect::<Vec<_>>().join(", ");
    let gone: Vec<String> = all.iter().filter(|m| !m.healthy).map(shown).collect();
    if 2 * (all.len() - gone.len()) <= all.len() {
        let fix = "bring one of them back: until then no mail is taken";
        return Finding::fail(WHAT, format!("no majority: {}", gone.join(", ")), fix);
    }
    if !gone.is_empty() {
        let fix = "bring it back: another loss and no mail is taken (systemctl status mongod there)";
        return Finding::warn(WHAT, format!("not reached: {}", gone.join(", ")), fix);
    }
    if let Some(m) = all.iter().find(|m| m.lag_ms.is_some_and(|ms| ms > LAGGING_MS)) {
        let detail = format!("{} is {} s behind", m.name, m.lag_ms.unwrap_or_default() / 1000);
        return Finding::warn(WHAT, detail, "look at its disk and its network");
    }
    if all.len() < 3 {
        let fix = "add members with rs.add until there are three";
        return Finding::warn(WHAT, format!("{all_shown}: with fewer than three none may be lost"), fix);
    }
    Finding::ok(WHAT, all_shown)
}

fn skew(hello: &Document, now_ms: i64) -> Option<Finding> {
    const WHAT: &str = "MongoDB clock";
    let theirs = hello.get_datetime("localTime").ok()?.timestamp_millis();
    let apart = (now_ms - theirs).abs();
    let detail = format!("{} ms from this machine's", apart);
    let fix = "keep both by NTP: timedatectl set-ntp true";
    Some(match apart {
        ms if ms > WRONG_SKEW_MS => Finding::fail(WHAT, detail, fix),
        ms if ms > SKEW_MS => Finding::warn(WHAT, detail, fix),
        _ => Finding::ok(WHAT, detail),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operate::Level;
    use mongodb::bson::DateTime;

    fn member(healthy: bool, lag_ms: Option<u64>) -> Member {
        Member { name: "a:1".into(), state: "secondary".into(), healthy, lag_ms }
    }

    #[test]
    fn members_are_judged_by_what_may_still_be_lost() {
        let (up, down) = (member(true, Some(0)), member(false, None));
        for (all, level) in [
            (vec![up.clone(), up.clone(), up.clone()], Level::Ok),
            (vec![up.clone(), up.clone(), down.clone()], Level::Warn),
            (vec![up.clone(), down.clone(), down.clone()], Level::Fail),
            (vec![up.clone()], Level::Warn),
            (vec![up.clone(), up.clone(), member(true, Some(60_000))], Level::Warn),
            (vec![], Level::Fail),
        ] {
            assert_eq!(judge_members(&all).level, level, "{all:?}");
        }
    }

    #[test]
    fn clocks_apart_are_said_to_be() {
        let hello = doc! { "localTime": DateTime::from_millis(1_000_000) };
        for (now, level) in [(1_000_400, Level::Ok), (995_000, Level::Warn), (1_040_000, Level::Fail)] {
            assert_eq!(skew(&hello, now).unwrap().level, level);
        }
    }
}
