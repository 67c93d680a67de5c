//! The subcommands and their arguments.

use crate::config::{ByteSize, Settings, Span};
use crate::sendmail::SendmailArgs;
use clap::{Args, Parser, Subcommand};
use gadwall_storage::Address;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A mail server that catches everything: SMTP in; IMAP, POP3, web and REST out.
#[derive(Debug, Parser)]
#[command(name = "gadwall", version, about)]
pub struct Cli {
    /// Configuration file; see deploy/example.toml
    #[arg(long, global = true, env = "GADWALL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub settings: Settings,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve SMTP, IMAP, POP3 and HTTP (what happens without a subcommand)
    Serve,
    /// Make, list and delete accounts, beside a running server or without one
    #[command(subcommand)]
    Account(AccountCommand),
    /// Submit a message from standard input, as /usr/sbin/sendmail does
    Sendmail(SendmailArgs),
    /// Ask a server whether it is ready to serve
    Readyz(ReadyzArgs),
    /// Look at everything a node needs, and say what is wrong and how to mend it
    Doctor(DoctorArgs),
    /// Prepare and look at a database that several nodes share
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print the version
    Version,
}

#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account and print its credentials as JSON
    Create(NewAccountArgs),
    /// List accounts: address, bytes used, when it expires
    List,
    /// Delete an account and its mail
    Delete {
        /// Its address
        #[arg(value_parser = parse_address)]
        address: Address,
    },
}

#[derive(Debug, Args)]
pub struct NewAccountArgs {
    /// Its address; a random one when left out
    #[arg(value_parser = parse_address)]
    pub address: Option<Address>,
    /// Its password; a random one when left out
    #[arg(long, value_name = "PASSWORD", env = "GADWALL_ACCOUNT_PASSWORD", hide_env_values = true)]
    pub password: Option<String>,
    /// Display name
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// How long it lives, if not as long as --account-lifetime says
    #[arg(long, value_name = "SPAN")]
    pub lifetime: Option<Span>,
    /// Its quota, if not what --quota says
    #[arg(long = "account-quota", value_name = "SIZE")]
    pub quota_of_account: Option<ByteSize>,
}

fn parse_address(text: &str) -> Result<Address, String> {
    let address = Address::parse(text).map_err(|e| e.to_string())?;
    match address.without_detail() {
        Some(_) => Err("a +detail is not part of an account's address".into()),
        None => Ok(address),
    }
}

#[derive(Debug, Args)]
pub struct ReadyzArgs {
    /// Wait until it is ready, at most this long
    #[arg(long, value_name = "SPAN", num_args = 0..=1, default_missing_value = "60s")]
    pub wait: Option<Span>,
    /// Whom to ask, instead of the address that --http says
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
}

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ClusterCommand {
    /// Make collections, indexes and secrets that are missing; may be repeated
    Init,
    /// Show the members of the database, Redis, leases and nodes
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Read the configuration, say what follows from it, and exit with 2 if it can't be used
    Check,
}

/// Programs that call the binary by the name of `sendmail` (a link) get that subcommand.
pub fn default_subcommand(mut args: Vec<OsString>) -> Vec<OsString> {
    let called = args.first().map(|name| Path::new(name).file_stem().unwrap_or_default().to_owned());
    if called.as_deref() == Some("sendmail".as_ref()) {
        args.insert(1, "sendmail".into());
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_link_called_sendmail_is_sendmail() {
        let args = ["/usr/sbin/sendmail", "-t", "-oi"].map(OsString::from).to_vec();
        let cli = Cli::try_parse_from(default_subcommand(args)).unwrap();
        assert!(matches!(cli.command, Some(Command::Sendmail(args)) if args.read_recipients));
    }

    #[test]
    fn settings_may_stand_before_or_without_a_subcommand() {
        let cli = Cli::try_parse_from(["gadwall", "--smtp", "off"]).unwrap();
        assert!(cli.command.is_none() && cli.settings.smtp.is_some());
        let cli = Cli::try_parse_from(["gadwall", "--data", "/x", "account", "list"]).unwrap();
        assert!(matches!(cli.command, Some(Command::Account(AccountCommand::List))));
    }
}
