//! The options programs pass to sendmail.

use clap::Args;

/// Options of `sendmail`, those of the original as far as anybody uses them.
#[derive(Debug, Clone, Args)]
pub struct SendmailArgs {
    /// Take recipients from the To, Cc and Bcc fields
    #[arg(short = 't', long = "read-recipients")]
    pub read_recipients: bool,
    /// Envelope sender
    #[arg(short = 'f', long = "from", visible_short_alias = 'r', value_name = "ADDRESS")]
    pub from: Option<String>,
    /// Full name of the sender, used when the message has no From field
    #[arg(short = 'F', value_name = "NAME")]
    pub full_name: Option<String>,
    /// Where to submit
    #[arg(
        short = 'S',
        long = "smtp-addr",
        value_name = "HOST:PORT",
        env = "GADWALL_SENDMAIL_SMTP",
        default_value = "127.0.0.1:1025"
    )]
    pub server: String,
    /// Login, if the server wants one
    #[arg(short = 'u', long = "user", env = "GADWALL_SENDMAIL_USER", value_name = "LOGIN")]
    pub user: Option<String>,
    /// Its password
    #[arg(
        short = 'p',
        long = "password",
        env = "GADWALL_SENDMAIL_PASSWORD",
        value_name = "PASSWORD",
        hide_env_values = true
    )]
    pub password: Option<String>,
    /// Options of the original: -oi (a lone dot does not end the message) is always on, others change nothing
    #[arg(short = 'o', value_name = "OPTION")]
    pub options: Vec<String>,
    /// As -oi
    #[arg(short = 'i')]
    pub ignore_dots: bool,
    /// Modes and queue options of the original; only -bm, -bs's absence is understood
    #[arg(short = 'b', value_name = "MODE")]
    pub mode: Option<String>,
    /// Ignored
    #[arg(short = 'B', value_name = "TYPE")]
    pub body_type: Option<String>,
    /// DSN conditions
    #[arg(short = 'N', value_name = "DSN")]
    pub notify: Option<String>,
    /// Recipients
    #[arg(value_name = "RECIPIENT")]
    pub recipients: Vec<String>,
}
