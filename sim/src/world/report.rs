//! A report as JSON, for whoever runs many.

use super::run::Report;
use serde_json::{Map, Value, json};

impl Report {
    /// All but the history. Two runs of a plan have the same.
    pub fn to_json(&self) -> Value {
        let findings: Vec<Value> =
            self.findings.iter().map(|finding| json!([finding.promise, finding.text])).collect();
        let struck: Map<String, Value> =
            self.struck.iter().map(|(kind, count)| (format!("{kind:?}"), json!(count))).collect();
        let counts = &self.replication;
        json!({
            "findings": findings,
            "marks": self.marks,
            "struck": struck,
            "replication": {
                "dry runs": counts.dry_runs,
                "elections": counts.elections,
                "step-downs": counts.step_downs,
                "step-downs during a majority wait": counts.step_downs_while_waiting,
                "rollbacks": counts.rollbacks,
                "entries rolled back": counts.rolled_back_entries,
                "catch-ups": counts.catch_ups,
                "chained batches": counts.chained_batches,
            },
            "digest": self.digest,
            "elapsed": self.elapsed.as_secs_f64(),
        })
    }
}
