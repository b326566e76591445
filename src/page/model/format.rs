//! Numbers as people read them. Minus signs are real ones, and what is not finite says so.

use klimb_text::words::{decimal, say};

/// `decimals` digits after the point.
pub fn fixed(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return say("not finite").into();
    }
    let text = format!("{value:.decimals$}");
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.' | '-'));
    decimal(if is_zero { text.replace('-', "") } else { text.replace('-', "−") })
}

/// Like [`fixed`], with a plus sign for positive values.
pub fn signed(value: f64, decimals: usize) -> String {
    let text = fixed(value, decimals);
    let positive = text.chars().any(|c| c.is_ascii_digit() && c != '0') && value > 0.0;
    if positive { format!("+{text}") } else { text }
}

/// Four significant digits, as far as six decimals go.
pub fn significant(value: f64) -> String {
    let size = if value.abs() < 5e-7 || !value.is_finite() { 0.0 } else { value.abs().log10().floor() };
    fixed(value, (3.0 - size).clamp(0.0, 6.0) as usize)
}

/// β with two or three significant digits: 0.010, 0.30, 5.0.
pub fn beta(value: f64) -> String {
    fixed(
        value,
        if value < 0.0995 {
            3
        } else if value < 9.95 {
            2
        } else {
            1
        },
    )
}

/// A whole number with thin spaces between thousands.
pub fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && digits.len() > 4 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// The same words with a capital first.
pub fn capital(words: &str) -> String {
    let mut letters = words.chars();
    let first: String = letters.next().iter().map(char::to_ascii_uppercase).collect();
    format!("{first}{}", letters.as_str())
}

/// Remaining time, never more exact than it is known.
pub fn seconds_left(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => String::new(),
        s if s < 1.5 => say("about a second left").into(),
        s if s < 100.0 => say!("about {} s left", s.round()),
        s => say!("about {} min left", (s / 60.0).round()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (fixed(-0.5, 2), fixed(-0.001, 2), fixed(f64::NAN, 2)),
            ("−0.50".into(), "0.00".into(), "not finite".into())
        );
        assert_eq!((signed(0.5, 1), signed(-0.5, 1), signed(0.01, 1)), ("+0.5".into(), "−0.5".into(), "0.0".into()));
        assert_eq!((beta(0.01), beta(0.3), beta(5.0)), ("0.010".into(), "0.30".into(), "5.00".into()));
        assert_eq!((count(512), count(3072), count(30_016)), ("512".into(), "3072".into(), "30\u{202f}016".into()));
        assert_eq!([0.69312, 12.3456, -0.00012345, 0.0].map(significant), ["0.6931", "12.35", "−0.000123", "0.000"]);
        assert_eq!(seconds_left(f64::INFINITY), "");
    }
}
