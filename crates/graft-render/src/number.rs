//! Formatting of numbers for readers.

/// Formats a count with thousands separators: `1,234,567`.
pub fn count(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if value < 0 {
        out.push('-');
    }
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Formats a number with `digits` decimals; see [`graft_spec::number::decimals`].
pub fn decimals(value: f64, digits: u8) -> String {
    graft_spec::number::decimals(value, usize::from(digits))
}

/// Formats a number with about `digits` significant digits: `1.93`, `0.00123`, `12,300`, `4.1e-9`.
pub fn significant(value: f64, digits: u8) -> String {
    if !value.is_finite() || value == 0.0 {
        return decimals(value, 0);
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-5..9).contains(&magnitude) {
        return format!("{value:.*e}", usize::from(digits.saturating_sub(1)));
    }
    let places = i32::from(digits) - 1 - magnitude;
    if places <= 0 {
        count(value.round() as i64)
    } else {
        decimals(value, u8::try_from(places).unwrap_or(u8::MAX))
    }
}

/// Formats a share in `[0, 1]` as a percentage: `12.34 %`.
pub fn percent(value: f64, digits: u8) -> String {
    format!("{} %", graft_spec::number::percent(value, usize::from(digits)))
}

/// Formats bytes with a binary unit: `13.2 MiB`.
pub fn bytes(value: u64) -> String {
    let mut scaled = value as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if scaled < 1024.0 {
            return if unit == "B" {
                format!("{value} B")
            } else {
                format!("{} {unit}", significant(scaled, 3))
            };
        }
        scaled /= 1024.0;
    }
    format!("{} TiB", significant(scaled, 3))
}

/// Formats a rate or a size with a decimal suffix: `950`, `12.3k`, `4.5M`.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 1e9 => format!("{}G", significant(value / 1e9, 3)),
        size if size >= 1e6 => format!("{}M", significant(value / 1e6, 3)),
        size if size >= 1e4 => format!("{}k", significant(value / 1e3, 3)),
        size if size >= 100.0 => count(value.round() as i64),
        _ => significant(value, 3),
    }
}

/// Formats seconds as a clock: `0:41`, `12:05`, `1:02:03`; less than ten seconds as `4.2 s`.
pub fn clock(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "?".to_owned();
    }
    let whole = seconds.round() as u64;
    let (hours, minutes, rest) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{rest:02}")
    } else {
        format!("{minutes}:{rest:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable_at_every_size() {
        assert_eq!([count(0), count(-1234), count(1_234_567)], ["0", "-1,234", "1,234,567"]);
        assert_eq!(
            [decimals(f64::NAN, 2), decimals(-0.001, 2), decimals(2.5, 1)],
            ["NaN", "0.00", "2.5"]
        );
        assert_eq!(
            [
                significant(1.9312, 3),
                significant(0.001234, 3),
                significant(12345.6, 3),
                significant(4.1e-9, 2)
            ],
            ["1.93", "0.00123", "12,346", "4.1e-9"]
        );
        assert_eq!(
            [decimals(1.5e300, 3), percent(1.5e300, 2), significant(1.5e300, 3)],
            ["1.50e300", "1.50e302 %", "1.50e300"]
        );
        assert_eq!(
            [bytes(12), bytes(13_841_203), percent(0.1234, 1)],
            ["12 B", "13.2 MiB", "12.3 %"]
        );
        assert_eq!([short(12_345.0), short(950.0), short(3.2)], ["12.3k", "950", "3.20"]);
        assert_eq!([clock(41.0), clock(3723.4), clock(f64::NAN)], ["0:41", "1:02:03", "?"]);
    }
}
