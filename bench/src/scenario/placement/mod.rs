//! Where message bodies live: as values of the database, or in append-only files beside it (docs/adr/0003). Measures the
//! libraries, not the server.

mod arrangement;

use crate::report::Report;
use crate::server::Place;
use arrangement::{Arrangement, Beside, Body, InDatabase, usage};
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

#[derive(clap::Args)]
pub struct Args {
    /// How long to write for each figure, in seconds
    #[arg(long, default_value_t = 3)]
    pub secs: u64,
    /// What stays live while eight times as much is written, in MiB
    #[arg(long, default_value_t = 128)]
    pub live: usize,
}

const SIZES: [usize; 3] = [4 << 10, 64 << 10, 1 << 20];
const GROUPS: [usize; 3] = [1, 16, 64];
const MIB: f64 = (1 << 20) as f64;

type Open = fn(&Path) -> io::Result<Box<dyn Arrangement>>;

pub fn run(place: &Place, args: &Args, report: &mut Report) -> io::Result<()> {
    let arrangements: [(&str, Open); 2] = [
        ("in sled", |dir| Ok(Box::new(InDatabase::open(dir)?))),
        ("segment files", |dir| Ok(Box::new(Beside::open(dir)?))),
    ];
    for size in SIZES {
        for (name, open) in arrangements {
            for group in GROUPS {
                let dir = place.scratch()?;
                let rate = rate(&mut *open(dir.path())?, size, group, Duration::from_secs(args.secs))?;
                let what = format!("{name}, {} KiB, groups of {group}", size >> 10);
                report.add("placement", &what, rate, "writes/s");
                report.add("placement", what, rate * size as f64 / MIB, "MiB/s");
            }
            let dir = place.scratch()?;
            churn(&mut *open(dir.path())?, size, args.live << 20)?;
            let (bytes, blobs) = usage(dir.path())?;
            let what = format!("{name}, {} KiB, after churn", size >> 10);
            report.add("placement", &what, bytes as f64 / (args.live << 20) as f64, "× live");
            report.add("placement", what, blobs as f64, "files never synced");
        }
    }
    Ok(())
}

/// Bodies written per second, in groups that become durable together.
fn rate(to: &mut dyn Arrangement, size: usize, group: usize, lasts: Duration) -> io::Result<f64> {
    let mut noise = Noise(1);
    let bodies: Vec<Vec<u8>> = (0..group).map(|_| noise.bytes(size)).collect();
    let (began, mut written) = (Instant::now(), 0);
    while began.elapsed() < lasts {
        let put: Vec<(Body, &[u8])> = (written..).zip(bodies.iter().map(Vec::as_slice)).collect();
        to.commit(&put, &[])?;
        written += group as u64;
    }
    Ok(written as f64 / began.elapsed().as_secs_f64())
}

/// Fills up to `live` bytes, then replaces bodies at random until eight times as much has been written.
fn churn(to: &mut dyn Arrangement, size: usize, live: usize) -> io::Result<()> {
    const GROUP: usize = 16;
    let mut noise = Noise(2);
    let bodies: Vec<Vec<u8>> = (0..GROUP).map(|_| noise.bytes(size)).collect();
    let (mut here, mut next): (Vec<Body>, Body) = (Vec::new(), 0);
    while (next as usize) * size < 8 * live {
        let full = (here.len() + GROUP).saturating_sub(live / size);
        let taken: Vec<Body> =
            (0..full).map(|_| here.swap_remove(noise.next() as usize % here.len())).collect();
        let put: Vec<(Body, &[u8])> = (next..).zip(bodies.iter().map(Vec::as_slice)).collect();
        here.extend(next..next + GROUP as u64);
        next += GROUP as u64;
        to.commit(&put, &taken)?;
        to.sweep()?;
    }
    Ok(())
}

/// Bytes that don't compress (xorshift64).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        bytes
            .chunks_mut(8)
            .for_each(|chunk| chunk.copy_from_slice(&self.next().to_le_bytes()[..chunk.len()]));
        bytes
    }
}
