//! Figures with their conditions: a table for people, JSON for programs.

use crate::server::Place;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::Duration;

/// All figures of one run.
#[derive(Serialize)]
pub struct Report {
    /// Processors, memory and durability under which all of it was measured.
    conditions: String,
    figures: Vec<Figure>,
    /// How two figures of this run compare, by name: what machines differ in does not show in them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    ratios: BTreeMap<&'static str, f64>,
}

#[derive(Serialize)]
struct Figure {
    scenario: String,
    what: String,
    value: f64,
    unit: &'static str,
}

impl Report {
    pub fn new(place: &Place) -> io::Result<Report> {
        let cores = std::thread::available_parallelism()?;
        let fsyncs = place.syncs_per_second()?;
        let conditions = format!(
            "{cores} cores; 250/OK after fsync; on this disk a bare 4 KiB append + fdatasync, one after the other: \
             {fsyncs:.0}/s"
        );
        Ok(Report { conditions, figures: Vec::new(), ratios: BTreeMap::new() })
    }

    /// One more thing to know about all figures.
    pub fn condition(&mut self, what: &str) {
        self.conditions.push_str("; ");
        self.conditions.push_str(what);
    }

    pub fn add(&mut self, scenario: &str, what: impl Into<String>, value: f64, unit: &'static str) {
        let what = what.into();
        eprintln!("{scenario}: {what}: {value:.1} {unit}");
        self.figures.push(Figure { scenario: scenario.into(), what, value, unit });
    }

    pub fn ratio(&mut self, name: &'static str, value: f64) {
        self.ratios.insert(name, value);
    }

    /// The median, 99th and 99.9th percentile of latencies.
    pub fn add_latencies(&mut self, scenario: &str, what: &str, mut all: Vec<Duration>) {
        all.sort();
        for (name, part) in [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)] {
            let at = ((all.len() as f64 * part) as usize).min(all.len().saturating_sub(1));
            if let Some(value) = all.get(at) {
                self.add(scenario, format!("{what} {name}"), value.as_secs_f64() * 1e3, "ms");
            }
        }
    }

    pub fn print(&self) {
        println!("{}\n", self.conditions);
        println!("| scenario | figure | value |\n|---|---|---:|");
        for f in &self.figures {
            println!("| {} | {} | {:.1} {} |", f.scenario, f.what, f.value, f.unit);
        }
        if !self.ratios.is_empty() {
            println!("\n| ratio | value |\n|---|---:|");
        }
        for (name, value) in &self.ratios {
            println!("| {name} | {value:.2} |");
        }
    }

    pub fn write_json(&self, file: &Path) -> io::Result<()> {
        std::fs::write(file, serde_json::to_vec_pretty(self)?)
    }
}
