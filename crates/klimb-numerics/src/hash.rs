//! One small hash for names and fingerprints.

/// 64-bit FNV-1a (Fowler, Noll and Vo). It tells different things apart and finds damage; it is no protection against
/// forgery.
pub fn fnv1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// [`fnv1a`] as sixteen hexadecimal digits.
pub fn fingerprint(bytes: impl IntoIterator<Item = u8>) -> String {
    format!("{:016x}", fnv1a(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_come_out() {
        assert_eq!(fnv1a(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fingerprint(*b"a"), "af63dc4c8601ec8c");
        assert_eq!(fingerprint(*b"foobar"), "85944171f73967e8");
    }
}
