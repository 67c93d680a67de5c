//! The fail point `failCommand`, as drivers' tests know it.
//!
//! <https://github.com/mongodb/mongo/wiki/The-%22failCommand%22-fail-point>

use super::failure::Failure;
use super::fields;
use bson::{Bson, Document};
use std::time::Duration;

/// What befalls a command.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fault {
    /// Before anything else.
    pub delay: Option<Duration>,
    /// The connection is closed, and the command not run.
    pub hang_up: bool,
    /// The reply, in place of running the command.
    pub refusal: Option<Document>,
    /// Added to the reply of the command, which is run.
    pub write_concern_error: Option<Document>,
    /// In place of the labels that the error would bear.
    pub labels: Option<Vec<String>>,
}

#[derive(Debug, Default)]
pub struct FailPoint {
    commands: Vec<String>,
    mode: Mode,
    fault: Fault,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Mode {
    #[default]
    Off,
    On,
    Times(u64),
    Skip(u64),
}

impl FailPoint {
    pub fn configure(&mut self, command: &Document) -> Result<(), Failure> {
        fields::only(command, &["mode", "data"])?;
        let name = fields::text(command, "configureFailPoint")?;
        if name != "failCommand" {
            return Err(Failure::new(
                266,
                "FailPointSetFailed",
                format!("fail point {name} is not simulated"),
            ));
        }
        let mode = Mode::parse(command)?;
        if mode == Mode::Off {
            *self = FailPoint::default();
            return Ok(());
        }
        let data = fields::document(command, "data")?.ok_or_else(|| Failure::bad_value("data is missing"))?;
        let names =
            data.get_array("failCommands").map_err(|_| Failure::bad_value("failCommands is missing"))?;
        let commands = names.iter().filter_map(Bson::as_str).map(str::to_owned).collect();
        *self = FailPoint { commands, mode, fault: Fault::parse(data)? };
        Ok(())
    }

    pub fn strike(&mut self, command: &Document) -> Fault {
        let named = command.keys().next().is_some_and(|name| self.commands.contains(name));
        if named && self.mode.strikes() { self.fault.clone() } else { Fault::default() }
    }
}

impl Mode {
    fn parse(command: &Document) -> Result<Self, Failure> {
        let wrong = || Failure::bad_value("mode has to be off, alwaysOn, { times: N } or { skip: N }");
        match command.get("mode") {
            Some(Bson::String(mode)) if mode == "off" => Ok(Mode::Off),
            Some(Bson::String(mode)) if mode == "alwaysOn" => Ok(Mode::On),
            Some(Bson::Document(mode)) => {
                fields::only_in(mode, "mode", &["times", "skip"])?;
                let (times, skip) = (fields::number(mode, "times")?, fields::number(mode, "skip")?);
                let n = |n: i64| u64::try_from(n).map_err(|_| wrong());
                match (times, skip) {
                    (Some(times), None) => Ok(Mode::Times(n(times)?)),
                    (None, Some(skip)) => Ok(Mode::Skip(n(skip)?)),
                    _ => Err(wrong()),
                }
            }
            _ => Err(wrong()),
        }
    }

    fn strikes(&mut self) -> bool {
        match self {
            Mode::Off | Mode::Times(0) => false,
            Mode::On | Mode::Skip(0) => true,
            Mode::Times(left) => {
                *left -= 1;
                true
            }
            Mode::Skip(left) => {
                *left -= 1;
                false
            }
        }
    }
}

impl Fault {
    fn parse(data: &Document) -> Result<Self, Failure> {
        let known = [
            "failCommands",
            "errorCode",
            "errorLabels",
            "closeConnection",
            "blockConnection",
            "blockTimeMS",
            "writeConcernError",
        ];
        fields::only_in(data, "data", &known)?;
        let labels = match data.get_array("errorLabels") {
            Ok(all) => Some(all.iter().filter_map(Bson::as_str).map(str::to_owned).collect()),
            Err(_) => None,
        };
        let code = fields::number(data, "errorCode")?.and_then(|code| i32::try_from(code).ok());
        let blocks = fields::flag(data, "blockConnection")?;
        let time = fields::count(data, "blockTimeMS")?;
        Ok(Fault {
            delay: blocks.then(|| Duration::from_millis(time as u64)),
            hang_up: fields::flag(data, "closeConnection")?,
            refusal: code.map(|code| {
                Failure::new(code, name_of(code), "Failing command via 'failCommand' failpoint").reply()
            }),
            write_concern_error: fields::document(data, "writeConcernError")?.cloned(),
            labels,
        })
    }
}

fn name_of(code: i32) -> &'static str {
    match code {
        2 => "BadValue",
        6 => "HostUnreachable",
        7 => "HostNotFound",
        11 => "UserNotFound",
        24 => "LockTimeout",
        43 => "CursorNotFound",
        50 => "MaxTimeMSExpired",
        64 => "WriteConcernFailed",
        89 => "NetworkTimeout",
        91 => "ShutdownInProgress",
        100 => "UnsatisfiableWriteConcern",
        112 => "WriteConflict",
        134 => "ReadConcernMajorityNotAvailableYet",
        189 => "PrimarySteppedDown",
        239 => "SnapshotTooOld",
        246 => "SnapshotUnavailable",
        251 => "NoSuchTransaction",
        262 => "ExceededTimeLimit",
        267 => "PreparedTransactionInProgress",
        9001 => "SocketException",
        10107 => "NotWritablePrimary",
        11600 => "InterruptedAtShutdown",
        11601 => "Interrupted",
        11602 => "InterruptedDueToReplStateChange",
        13435 => "NotPrimaryNoSecondaryOk",
        13436 => "NotPrimaryOrSecondary",
        _ => "UnknownError",
    }
}
