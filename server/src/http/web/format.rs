//! Sizes and times for people.

use crate::time::Civil;
use gadwall_storage::Timestamp;

/// `12.3 KB`.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let (mut value, mut unit) = (n as f64 / 1000.0, 0);
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if value < 100.0 { format!("{value:.1} {}", UNITS[unit]) } else { format!("{value:.0} {}", UNITS[unit]) }
}

/// `1,234,567`.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1 message`, `2,000 messages`.
pub fn plural(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(n), if n == 1 { "" } else { "s" })
}

/// `24 Nov 2026, 14:20 UTC`.
pub fn moment(time: Timestamp) -> String {
    let c = Civil::of(time);
    format!("{} {} {}, {:02}:{:02} UTC", c.day, c.month_name(), c.year, c.hour, c.minute)
}

/// As short as the distance to `now` allows: `14:20` today, `24 Nov` this year.
pub fn short(time: Timestamp, now: Timestamp) -> String {
    let (c, today) = (Civil::of(time), Civil::of(now));
    if (c.year, c.month, c.day) == (today.year, today.month, today.day) {
        format!("{:02}:{:02}", c.hour, c.minute)
    } else if c.year == today.year {
        format!("{} {}", c.day, c.month_name())
    } else {
        format!("{} {} {}", c.day, c.month_name(), c.year)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        for (n, text) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (12_345, "12.3 KB"), (100_000_000, "100 MB")]
        {
            assert_eq!(bytes(n), text);
        }
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!((plural(1, "mail"), plural(2000, "mail")), ("1 mail".into(), "2,000 mails".into()));
        assert_eq!((count(7), count(1234567)), ("7".into(), "1,234,567".into()));
    }

    #[test]
    fn times_are_as_short_as_they_can_be() {
        let now = Timestamp::from_secs(1_795_514_400); // 2026-11-24T10:00:00Z
        assert_eq!(short(Timestamp::from_secs(1_795_514_400 - 3600), now), "09:00");
        assert_eq!(short(Timestamp::from_secs(1_795_514_400 - 86_400), now), "23 Nov");
        assert_eq!(short(Timestamp::from_secs(1_795_514_400 - 366 * 86_400), now), "23 Nov 2025");
        assert_eq!(moment(now), "24 Nov 2026, 10:00 UTC");
    }
}
