//! Hashes of the built-in feature sets' names, as constants: a device has no use for SHA-256 itself.

use ser_features::FeatureSet;

/// SHA-256 of the names of `set`, each followed by a line feed.
pub(super) const fn names_sha256(set: FeatureSet) -> [u8; 32] {
    match set {
        FeatureSet::Emobase2010 => {
            hex(b"9f6782668b4cdf309d785f5bcdd2b4f3bdb17edcf219ea4b7354b73e7e8af9ae")
        }
        FeatureSet::Is10ParalingCompat => {
            hex(b"b33d13dd3484c5421dd5f80540546d5d00a56ede2c66f951d98c4801854e5275")
        }
    }
}

/// The bytes that 64 hexadecimal digits stand for.
const fn hex(digits: &[u8; 64]) -> [u8; 32] {
    const fn digit(c: u8) -> u8 {
        match c {
            b'a'..=b'f' => c - b'a' + 10,
            _ => c - b'0',
        }
    }
    let mut out = [0; 32];
    let mut i = 0;
    while i < out.len() {
        out[i] = digit(digits[2 * i]) << 4 | digit(digits[2 * i + 1]);
        i += 1;
    }
    out
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn constants_are_the_hashes_of_the_names() {
        for set in FeatureSet::ALL {
            let hex = names_sha256(set)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>();
            assert_eq!(
                hex,
                crate::bundle::names_sha256(ser_features::feature_names(set))
            );
        }
    }
}
