//! Numbers in what is printed: one that is not defined is a dash, and never "NaN".

/// A number with so many digits, or a dash for one that is not defined.
pub fn number(number: f64, digits: usize) -> String {
    if number.is_finite() { format!("{number:.digits$}") } else { "–".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_defined_is_a_dash() {
        assert_eq!(number(-0.25, 3), "-0.250");
        assert_eq!([f64::NAN, f64::INFINITY].map(|it| number(it, 3)), ["–", "–"]);
    }
}
