//! The certificate: readable, with its key, for the names that clients use, and not about to end.

use crate::config::{Certificate, Config, PublicDoor};
use crate::time::rfc3339;
use crate::tls::Tls;
use gadwall_storage::Timestamp;
use gadwall_storage::operate::Finding;
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::Path;
use x509_parser::parse_x509_certificate;

const WHAT: &str = "certificate";
const DAY: i64 = 86_400;
/// Renewal is due a month before the end; after this many days something is wrong with it.
const SOON_DAYS: i64 = 14;

pub fn examine(config: &Config, now: Timestamp) -> Option<Finding> {
    let is_public = config.doors.iter().any(|(_, addr)| !addr.ip().is_loopback());
    Some(match &config.certificate {
        Certificate::None if is_public => Finding::warn(
            WHAT,
            "none, and listeners that other machines reach: passwords are refused there",
            "give tls-cert and tls-key",
        ),
        Certificate::None => Finding::ok(WHAT, "none: STARTTLS is not offered"),
        Certificate::SelfSigned if is_public => Finding::warn(
            WHAT,
            "self-signed: clients that check certificates refuse it",
            "give tls-cert and tls-key of a certificate that they trust",
        ),
        Certificate::SelfSigned => Finding::ok(WHAT, "self-signed"),
        Certificate::Acme(acme) => ordered(&acme.domains, &names(config)),
        Certificate::Files { cert, key } => files(cert, key, &names(config), now),
    })
}

/// A certificate that the server orders itself: whether it is for the names that clients use.
fn ordered(domains: &[String], names: &[String]) -> Finding {
    match names.iter().find(|name| !domains.contains(name)) {
        Some(name) => Finding::fail(
            WHAT,
            format!(
                "ordered by ACME for {}, not for {name}, which clients are told to connect to",
                domains.join(", ")
            ),
            "add the name to acme-domains",
        ),
        None => Finding::ok(WHAT, format!("ordered by ACME for {}", domains.join(", "))),
    }
}

/// What clients are told to connect to.
fn names(config: &Config) -> Vec<String> {
    let doors = [&config.public_smtp, &config.public_imap, &config.public_pop3];
    let mut names: Vec<String> =
        doors.into_iter().flatten().map(|PublicDoor { host, .. }| host.clone()).collect();
    let url = config.web_url.as_deref().and_then(|url| url.strip_prefix("https://"));
    names.extend(url.and_then(|rest| rest.split(':').next()).map(str::to_owned));
    if names.is_empty() {
        names.push(config.hostname.clone());
    }
    names.sort();
    names.dedup();
    names
}

fn files(cert: &Path, key: &Path, names: &[String], now: Timestamp) -> Finding {
    if let Err(e) = Tls::from_files(cert, key) {
        return Finding::fail(
            WHAT,
            e.to_string(),
            "see that tls-cert and tls-key name the files and that the server's user may read them",
        );
    }
    let chain: Vec<CertificateDer> =
        CertificateDer::pem_file_iter(cert).and_then(Iterator::collect).unwrap_or_default();
    match look(&chain, names, now) {
        Some(finding) => finding,
        None => {
            Finding::fail(WHAT, format!("{} cannot be understood", cert.display()), "have it issued again")
        }
    }
}

/// `None` when the certificate is not one of X.509.
fn look(chain: &[CertificateDer], names: &[String], now: Timestamp) -> Option<Finding> {
    let leaf = chain.first()?;
    let (_, parsed) = parse_x509_certificate(leaf).ok()?;
    let span = [parsed.validity().not_before, parsed.validity().not_after].map(|at| at.timestamp());
    let [begins, ends] = span;
    let at = |secs| rfc3339(Timestamp::from_secs(secs));
    let renew = "renew it; the server reads the files again when they change";
    if now.secs() < begins {
        return Some(Finding::fail(
            WHAT,
            format!("not valid before {}", at(begins)),
            "see that the clock is right",
        ));
    }
    if now.secs() >= ends {
        return Some(Finding::fail(WHAT, format!("it ended on {}", at(ends)), renew));
    }
    let server = ParsedCertificate::try_from(leaf).ok()?;
    let covered = |name: &String| {
        ServerName::try_from(name.as_str()).is_ok_and(|name| verify_server_name(&server, &name).is_ok())
    };
    let missing: Vec<&str> = names.iter().filter(|name| !covered(name)).map(String::as_str).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        let fix =
            format!("have one issued that names {missing} too, or correct hostname, web-url and public-*");
        return Some(Finding::fail(WHAT, format!("it is not for {missing}"), fix));
    }
    let days = (ends - now.secs()) / DAY;
    if days < SOON_DAYS {
        return Some(Finding::warn(WHAT, format!("it ends in {days} days, on {}", at(ends)), renew));
    }
    if chain.len() == 1 && parsed.issuer() != parsed.subject() {
        return Some(Finding::warn(
            WHAT,
            "the file holds no intermediate certificate: many clients will not trust it",
            "give the whole chain, often called fullchain.pem, as tls-cert",
        ));
    }
    Some(Finding::ok(WHAT, format!("for {}, until {} ({days} days)", names.join(", "), at(ends))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gadwall_storage::operate::Level;

    fn made(name: &str) -> CertificateDer<'static> {
        let mut params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2026, 4, 1);
        params.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().into()
    }

    /// Seconds of a day of 2026, from 1 for the first of January.
    fn day(n: i64) -> Timestamp {
        Timestamp::from_secs(1_767_225_600 + (n - 1) * DAY)
    }

    #[test]
    fn a_certificate_is_for_its_names_and_its_time() {
        let chain = [made("mail.example.org")];
        let names = ["mail.example.org".to_owned()];
        let level = |names: &[String], now| look(&chain, names, now).unwrap().level;
        assert_eq!(level(&names, day(2)), Level::Ok);
        assert_eq!(level(&names, day(0)), Level::Fail, "not yet");
        assert_eq!(level(&names, day(80)), Level::Warn, "ten days left");
        assert_eq!(level(&names, day(92)), Level::Fail, "it has ended");
        let other = look(&chain, &["imap.example.org".into()], day(2)).unwrap();
        assert_eq!(other.level, Level::Fail);
        assert!(other.detail.contains("imap.example.org"), "{other:?}");
    }

    #[test]
    fn a_key_of_another_certificate_is_found_out() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] =
            ["a", "b"].map(|_| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap());
        let (cert, key) = (dir.path().join("cert"), dir.path().join("key"));
        std::fs::write(&cert, a.cert.pem()).unwrap();
        std::fs::write(&key, b.signing_key.serialize_pem()).unwrap();
        let finding = files(&cert, &key, &[], day(1));
        assert!(
            finding.level == Level::Fail && finding.detail.contains("do not fit together"),
            "{finding:?}"
        );
    }
}
