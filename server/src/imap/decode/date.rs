//! Dates.

use super::cursor::{Cursor, Parsed, expected};
use crate::imap::types::Day;
use crate::time::days_from_civil;
use gadwall_storage::Timestamp;

const MONTHS: [&[u8; 3]; 12] =
    [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];

/// `" 7-Feb-1994 21:52:25 -0800"` in quotes (RFC 3501 §9 date-time).
pub fn date_time(cursor: &mut Cursor) -> Parsed<Timestamp> {
    cursor.require(b'"', "expected a date in quotes")?;
    cursor.eat(b' ');
    let days = i64::from(day(cursor)?.0);
    cursor.space()?;
    let hour = two_digits(cursor, 23)?;
    cursor.require(b':', "expected a time")?;
    let minute = two_digits(cursor, 59)?;
    cursor.require(b':', "expected a time")?;
    // RFC 5322 §3.3 knows leap seconds.
    let second = two_digits(cursor, 60)?;
    cursor.space()?;
    let sign = match (cursor.eat(b'+'), cursor.eat(b'-')) {
        (true, _) => 1,
        (_, true) => -1,
        _ => return expected("expected a time zone"),
    };
    let zone = two_digits(cursor, 23)? * 3600 + two_digits(cursor, 59)? * 60;
    cursor.require(b'"', "expected a quote after the date")?;
    Ok(Timestamp::from_secs(days * 86_400 + hour * 3600 + minute * 60 + second - sign * zone))
}

/// A search date, in quotes or not.
pub fn date(cursor: &mut Cursor) -> Parsed<Day> {
    let quoted = cursor.eat(b'"');
    let day = day(cursor)?;
    if quoted {
        cursor.require(b'"', "expected a quote after the date")?;
    }
    Ok(day)
}

/// `7-Feb-1994`, a day that exists.
fn day(cursor: &mut Cursor) -> Parsed<Day> {
    let digits = cursor.take_while(|b| b.is_ascii_digit());
    if digits.is_empty() || digits.len() > 2 {
        return expected("expected a day of the month");
    }
    let day = digits.iter().fold(0, |n, d| n * 10 + u32::from(d - b'0'));
    cursor.require(b'-', "expected - in the date")?;
    let name = cursor.take_while(|b| b.is_ascii_alphabetic()).to_ascii_lowercase();
    let Some(month) = MONTHS.iter().position(|m| m[..] == name[..]) else {
        return expected("expected a month such as Feb");
    };
    cursor.require(b'-', "expected - in the date")?;
    let digits = cursor.take_while(|b| b.is_ascii_digit());
    if digits.len() != 4 {
        return expected("expected a year of four digits");
    }
    let year = digits.iter().fold(0, |n, d| n * 10 + i64::from(d - b'0'));
    let month = month as u32 + 1;
    if day == 0 || day > days_in(year, month) {
        return expected("a day that does not exist");
    }
    i32::try_from(days_from_civil(year, month, day)).map(Day).or_else(|_| expected("a date out of range"))
}

fn days_in(year: i64, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    }
}

fn two_digits(cursor: &mut Cursor, most: i64) -> Parsed<i64> {
    let mut number = 0;
    for _ in 0..2 {
        match cursor.peek().filter(u8::is_ascii_digit) {
            Some(digit) => {
                cursor.eat(digit);
                number = number * 10 + i64::from(digit - b'0');
            }
            None => return expected("expected two digits"),
        }
    }
    if number > most { expected("a time that does not exist") } else { Ok(number) }
}
