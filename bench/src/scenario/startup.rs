//! Time from starting the process to all listeners serving.

use crate::report::Report;
use crate::server::Place;
use std::io;
use std::time::Duration;

#[derive(clap::Args)]
pub struct Args {
    /// How often to start it
    #[arg(long, default_value_t = 11)]
    pub times: usize,
}

impl Default for Args {
    fn default() -> Self {
        Args { times: 11 }
    }
}

pub async fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let (mut fresh, mut again) = (Vec::new(), Vec::new());
    for _ in 0..args.times.max(1) {
        let server = place.start().await?;
        fresh.push(server.ready);
        again.push(server.restart(place).await?.ready);
    }
    let median = |mut all: Vec<Duration>| {
        all.sort();
        all[all.len() / 2].as_secs_f64() * 1e3
    };
    report.add("startup", "fresh store, median", median(fresh), "ms");
    report.add("startup", "existing store, median", median(again), "ms");
    Ok(())
}
