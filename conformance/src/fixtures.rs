//! Messages written for the cases: `cases/fixtures/NAME.eml`, sent with CRLF line ends.

const FILES: &[(&str, &str)] = &[
    ("nested", include_str!("../cases/fixtures/nested.eml")),
    ("plain", include_str!("../cases/fixtures/plain.eml")),
    ("words", include_str!("../cases/fixtures/words.eml")),
];

/// The bytes of a fixture.
pub fn fixture(name: &str) -> Option<Vec<u8>> {
    let (_, text) = FILES.iter().find(|(known, _)| *known == name)?;
    Some(text.replace('\n', "\r\n").into_bytes())
}
