//! Times as readers see them.

use std::time::{Duration, UNIX_EPOCH};

/// Milliseconds with three decimals and a space between thousands: `12 345.678`.
pub(crate) fn ms(ns: u64) -> String {
    let us = ns / 1_000;
    format!("{}.{:03}", grouped(us / 1_000), us % 1_000)
}

/// A span, in the unit that suits it.
pub(crate) fn span(ns: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
    let at = |unit: u64| ns as f64 / unit as f64;
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1_000),
        1_000_000..1_000_000_000 => format!("{:.1} ms", at(1_000_000)),
        1_000_000_000..120_000_000_000 => format!("{:.2} s", at(1_000_000_000)),
        _ => format!("{} min {} s", ns / 60_000_000_000, ns / 1_000_000_000 % 60),
    }
}

/// A whole number with a thin gap between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `2026-11-22 10:11:12 UTC`.
pub(crate) fn utc(unix_ns: u64) -> String {
    let time = UNIX_EPOCH + Duration::from_secs(unix_ns / 1_000_000_000);
    let text = humantime::format_rfc3339_seconds(time).to_string();
    format!("{} UTC", text.trim_end_matches('Z').replace('T', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_right_around_leap_days() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399_000_000_000), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_767_225_600_000_000_000), "2026-01-01 00:00:00 UTC");
    }

    #[test]
    fn spans_take_the_unit_that_suits() {
        assert_eq!(span(999_999), "999 µs");
        assert_eq!(span(1_250_000), "1.2 ms");
        assert_eq!(span(14_200_000_000), "14.20 s");
        assert_eq!(span(121_000_000_000), "2 min 1 s");
    }

    #[test]
    fn milliseconds_keep_the_microseconds() {
        assert_eq!(ms(12_345_678_901), "12\u{202f}345.678");
        assert_eq!(ms(7_000), "0.007");
    }
}
