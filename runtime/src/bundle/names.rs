//! The hash that ties a bundle to the features, by name and order, that it was trained on.

use std::fmt::Display;
use std::io::Write;

use sha2::{Digest, Sha256};

/// SHA-256, in hexadecimal, of the names joined with `\n`, with a `\n` after the last one.
pub fn names_sha256<N: Display>(names: impl IntoIterator<Item = N>) -> String {
    let mut text = Vec::new();
    for name in names {
        // Writing to a Vec cannot fail.
        let _ = writeln!(text, "{name}");
    }
    sha256_hex(&text)
}

/// SHA-256 of `bytes` in hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Identity of a model: the first 16 hexadecimal digits of SHA-256 over the hexadecimal SHA-256 of the encoder followed by that of the
/// classifier.
pub fn bundle_id(encoder_sha256: &str, classifier_sha256: &str) -> String {
    let mut id = sha256_hex(format!("{encoder_sha256}{classifier_sha256}").as_bytes());
    id.truncate(16);
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hash_is_that_of_the_text() {
        // printf 'a\nb\n' | sha256sum
        assert_eq!(
            names_sha256(["a", "b"]),
            "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"
        );
        assert_ne!(names_sha256(["a", "b"]), names_sha256(["b", "a"]));
        assert_ne!(names_sha256(["ab"]), names_sha256(["a", "b"]));
    }
}
