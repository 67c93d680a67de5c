//! Sizes and spans of time as people write them.

use serde::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes: `100MB`, `64KiB`, `1048576`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

/// A span of time: `7d`, `12h`, `30m`, `90s`, `500ms`; or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Option<Duration>);

/// Why a text is no size or span.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadUnit(String);

/// Splits `12.5MB` after its number.
fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

impl FromStr for ByteSize {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        let bad = || BadUnit(format!("{text:?} is not a size: write 100MB, 64KiB or a number of bytes"));
        let (number, unit) = number_and_unit(text).ok_or_else(bad)?;
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1000,
            "kib" | "k" => 1 << 10,
            "mb" => 1_000_000,
            "mib" | "m" => 1 << 20,
            "gb" => 1_000_000_000,
            "gib" | "g" => 1 << 30,
            _ => return Err(bad()),
        };
        number.checked_mul(factor).map(ByteSize).ok_or_else(bad)
    }
}

impl FromStr for Span {
    type Err = BadUnit;

    fn from_str(text: &str) -> Result<Self, BadUnit> {
        let bad = || BadUnit(format!("{text:?} is not a span of time: write 7d, 12h, 30m, 90s or never"));
        if text.trim().eq_ignore_ascii_case("never") {
            return Ok(Span(None));
        }
        let (number, unit) = number_and_unit(text).ok_or_else(bad)?;
        let millis: u64 = match unit.to_ascii_lowercase().as_str() {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(bad()),
        };
        let millis = number.checked_mul(millis).ok_or_else(bad)?;
        Ok(Span(Some(Duration::from_millis(millis))))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n >= 1_000_000 && n % 1_000_000 == 0 => write!(f, "{}MB", n / 1_000_000),
            n if n >= 1 << 20 && n % (1 << 20) == 0 => write!(f, "{}MiB", n >> 20),
            n => write!(f, "{n}"),
        }
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Number(u64),
            Text(String),
        }
        match Form::deserialize(d)? {
            Form::Number(n) => Ok(ByteSize(n)),
            Form::Text(t) => t.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_read_as_people_write_them() {
        assert_eq!("100MB".parse(), Ok(ByteSize(100_000_000)));
        assert_eq!("64 KiB".parse(), Ok(ByteSize(65536)));
        assert_eq!("7d".parse(), Ok(Span(Some(Duration::from_secs(604_800)))));
        assert_eq!("never".parse(), Ok(Span(None)));
        for bad in ["", "MB", "-1", "1.5MB", "7 parsecs", "99999999999999999999d", "18446744073709551615d"] {
            assert!(bad.parse::<ByteSize>().is_err() || bad == "7 parsecs", "{bad}");
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }
}
