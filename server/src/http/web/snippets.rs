//! Ready-to-paste configurations for a new account.

use crate::http::{Endpoint, HttpConfig};

/// One configuration: what it is for, and its text.
pub struct Snippet {
    pub title: &'static str,
    pub text: String,
}

/// A text in a double-quoted literal of JavaScript, Python or the shell's environment files.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A text in single quotes of a POSIX shell.
fn shell(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub fn snippets(config: &HttpConfig, user: &str, password: &str) -> Vec<Snippet> {
    let Endpoint { host, port, secure } = &config.smtp;
    let (user_q, pass_q, host_q) = (quoted(user), quoted(password), quoted(host));
    let (user_s, pass_s) = (shell(user), shell(password));
    let python_class = if *secure { "SMTP_SSL" } else { "SMTP" };
    let scheme = if *secure { "smtps" } else { "smtp" };
    let swaks_tls = if *secure { " --tlsc" } else { "" };
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let web = &config.web;
    let snippet = |title, text| Snippet { title, text };
    vec![
        snippet(
            "Nodemailer",
            format!(
                "const transporter = nodemailer.createTransport({{\n  host: {host_q},\n  port: {port},\n  \
                 secure: {secure},\n  auth: {{ user: {user_q}, pass: {pass_q} }},\n}});"
            ),
        ),
        snippet(
            "Python",
            format!(
                "import smtplib\nfrom email.message import EmailMessage\n\nmail = EmailMessage()\n\
                 mail[\"From\"] = {user_q}\nmail[\"To\"] = \"someone@example.org\"\nmail[\"Subject\"] = \"Hello\"\n\
                 mail.set_content(\"Caught!\")\nwith smtplib.{python_class}({host_q}, {port}) as smtp:\n    \
                 smtp.login({user_q}, {pass_q})\n    smtp.send_message(mail)"
            ),
        ),
        snippet(
            "swaks",
            format!(
                "swaks --server {bracketed} --port {port}{swaks_tls} --auth PLAIN \\\n  --auth-user {user_s} \
                 --auth-password {pass_s} \\\n  --from {user_s} --to someone@example.org"
            ),
        ),
        snippet(
            "curl: send",
            format!(
                "printf 'Subject: Hello\\r\\n\\r\\nCaught!\\r\\n' | curl {scheme}://{bracketed}:{port} \\\n  \
                 --user {} --mail-from {user_s} \\\n  --mail-rcpt someone@example.org -T -",
                shell(&format!("{user}:{password}"))
            ),
        ),
        snippet(
            "curl: wait for the mail",
            format!(
                "curl --user {} \\\n  '{web}/users/me/wait?wait=30&q=subject:hello'",
                shell(&format!("{user}:{password}"))
            ),
        ),
        snippet(
            ".env",
            format!(
                "SMTP_HOST={host}\nSMTP_PORT={port}\nSMTP_SECURE={secure}\nSMTP_USER={user_q}\nSMTP_PASS={pass_q}"
            ),
        ),
    ]
}
