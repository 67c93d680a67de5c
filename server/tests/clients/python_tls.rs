//! The mail clients of Python's standard library with TLS.

use crate::harness::Gadwall;
use crate::python::case;
use std::fs;
use std::path::Path;

const TLS_DOORS: [&str; 4] = ["smtps", "imaps", "pop3s", "https"];

fn with_tls(certificate: &[&str]) -> Gadwall {
    let doors = ["--smtps", "0", "--imaps", "0", "--pop3s", "0", "--https", "0"];
    Gadwall::with(&[certificate, &doors].concat())
}

fn encrypted(name: &str) {
    let server = with_tls(&["--tls-self-signed"]);
    let certificate = server.dir().join("data/self-signed.crt");
    let env = [("CERTIFICATE", certificate.to_str().expect("a path in UTF-8"))];
    case(&server, "tls_cases.py", &format!("Encrypted.{name}"), &TLS_DOORS, &env);
}

#[test]
fn python_smtplib_encrypts() {
    encrypted("test_smtplib_encrypts_at_once_and_by_starttls");
}

#[test]
fn python_imaplib_encrypts() {
    encrypted("test_imaplib_encrypts_at_once_and_by_starttls");
}

#[test]
fn python_poplib_encrypts() {
    encrypted("test_poplib_encrypts_at_once_and_by_stls");
}

#[test]
fn python_http_client_encrypts() {
    encrypted("test_http_client_speaks_https");
}

#[test]
fn python_ssl_refuses_a_certificate_it_does_not_trust() {
    encrypted("test_a_certificate_nobody_vouches_for_is_refused_by_every_client");
}

#[test]
fn python_clients_commands_sent_along_with_starttls_are_forgotten() {
    encrypted("test_commands_sent_along_with_starttls_are_forgotten");
}

#[test]
fn python_clients_are_not_offered_tls_without_a_certificate() {
    case(&Gadwall::start(), "tls_cases.py", "Plain.test_no_protocol_offers_encryption", &[], &[]);
}

fn make_certificate(directory: &Path, name: &str) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let write = |kind: &str, pem: String| {
        fs::write(directory.join(format!("{name}.{kind}")), pem).expect("a file");
    };
    write("crt", made.cert.pem());
    write("key", made.signing_key.serialize_pem());
}

#[test]
fn python_clients_get_the_new_certificate_after_a_hang_up() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path();
    ["live", "next"].iter().for_each(|name| make_certificate(path, name));
    let file = |name: &str| path.join(name).to_str().expect("a path in UTF-8").to_owned();
    let server = with_tls(&["--tls-cert", &file("live.crt"), "--tls-key", &file("live.key")]);
    let running = fs::read(server.dir().join("data/running.json")).expect("it runs");
    let running: serde_json::Value = serde_json::from_slice(&running).expect("JSON");
    let env = [("CERTIFICATES", &*file("")), ("SERVER_PID", &running["pid"].to_string())];
    let name = "Reload.test_a_hang_up_brings_the_new_certificate_and_old_connections_live_on";
    case(&server, "tls_cases.py", name, &TLS_DOORS, &env);
}
