//! Quantities as people read them. Programs get exact numbers, as JSON.

use std::time::Duration;

/// A number with separated thousands: `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of bytes, in powers of 1000: `999 B`, `1.2 kB`, `34 MB`.
pub fn bytes(bytes: u64) -> String {
    scaled(bytes, "B")
}

/// Bits per second, in powers of 1000: `1.2 Mbit/s`.
pub fn bit_rate(bytes: u64, over: Duration) -> String {
    scaled(per_second(bytes.saturating_mul(8), over), "bit/s")
}

/// How many per second, rounded.
pub fn per_second(count: u64, over: Duration) -> u64 {
    let millis = over.as_millis().max(1);
    let rate = (u128::from(count) * 1000 + millis / 2) / millis;
    u64::try_from(rate).unwrap_or(u64::MAX)
}

/// Reads a time: `60s`, `5m`, `1h 30m`.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let time: jiff::SignedDuration = text
        .parse()
        .map_err(|_| "write a number and its unit, such as 60s or 5m".to_owned())?;
    Duration::try_from(time).map_err(|_| "a time cannot be negative".to_owned())
}

/// `1 packet`, `2 packets`, `2 entries`.
pub fn counted(count: usize, one: &str) -> String {
    let number = grouped(count as u64);
    match one.strip_suffix('y') {
        _ if count == 1 => format!("{number} {one}"),
        Some(stem) => format!("{number} {stem}ies"),
        None => format!("{number} {one}s"),
    }
}

/// A time in its two largest units: `12s`, `3m 20s`, `1h 2m`, `5d 4h`.
pub fn span(seconds: f64) -> String {
    let seconds = Duration::try_from_secs_f64(seconds)
        .unwrap_or_default()
        .as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {}m", minutes % 60),
        _ => format!("{days}d {}h", hours % 24),
    }
}

/// Two or three significant digits and a prefix.
fn scaled(number: u64, unit: &str) -> String {
    const PREFIXES: [&str; 7] = ["", "k", "M", "G", "T", "P", "E"];
    if number < 1000 {
        return format!("{number} {unit}");
    }
    let mut power = 1;
    let mut tenths = u128::from(number) * 10 / 1000;
    while tenths >= 10_000 {
        tenths /= 1000;
        power += 1;
    }
    let prefix = PREFIXES[power];
    match tenths {
        100.. => format!("{} {prefix}{unit}", tenths / 10),
        _ => format!("{}.{} {prefix}{unit}", tenths / 10, tenths % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_set_apart() {
        for (number, text) in [
            (0, "0"),
            (999, "999"),
            (1000, "1,000"),
            (123_456, "123,456"),
            (1_234_567, "1,234,567"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn bytes_have_two_or_three_digits() {
        for (number, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (9_999, "9.9 kB"),
            (10_000, "10 kB"),
            (999_999, "999 kB"),
            (1_000_000, "1.0 MB"),
            (1_234_567_890, "1.2 GB"),
            (u64::MAX, "18 EB"),
        ] {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn rates_are_per_second() {
        assert_eq!(per_second(10, Duration::from_secs(2)), 5);
        assert_eq!(per_second(1, Duration::from_millis(1500)), 1);
        assert_eq!(per_second(5, Duration::ZERO), 5000);
        assert_eq!(per_second(u64::MAX, Duration::from_millis(1)), u64::MAX);
        assert_eq!(bit_rate(125_000, Duration::from_secs(1)), "1.0 Mbit/s");
    }

    #[test]
    fn times_have_two_units() {
        for (seconds, text) in [
            (0.4, "0s"),
            (59.9, "59s"),
            (60.0, "1m 0s"),
            (3725.5, "1h 2m"),
            (446_400.0, "5d 4h"),
            (-1.0, "0s"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn one_is_singular() {
        assert_eq!(counted(1, "frame"), "1 frame");
        assert_eq!(counted(1200, "frame"), "1,200 frames");
        assert_eq!(counted(1, "entry"), "1 entry");
        assert_eq!(counted(0, "entry"), "0 entries");
    }

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(parse_time("60s"), Ok(Duration::from_mins(1)));
        assert_eq!(parse_time("5m"), Ok(Duration::from_mins(5)));
        assert_eq!(parse_time("1h 30m"), Ok(Duration::from_mins(90)));
        for wrong in ["", "60", "-5s", "soon"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
