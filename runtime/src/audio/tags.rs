//! Tags that programs put before and after a recording.

use super::source::Source;
use super::{AudioError, AudioWarning, Warnings, sniff::id3_length};

/// What bytes are called that fill up a block.
pub(super) const ZEROS: &str = "zeros";

/// Skips the ID3v2 tags at the start; `true` if there was one.
pub(super) fn skip_before(
    source: &mut Source<'_>,
    warnings: &mut Warnings,
) -> Result<bool, AudioError> {
    let mut any = false;
    while let Some(length) = id3_length(source.peek(10)?) {
        let bytes = source.skip(length)?;
        any = true;
        warnings.add(AudioWarning::TagBefore {
            tag: "ID3v2 tag",
            bytes,
        })?;
    }
    Ok(any)
}

/// What the bytes are that start where audio and chunks end, if that can be told.
pub(super) fn behind(source: &mut Source<'_>) -> Result<Option<&'static str>, AudioError> {
    let head = source.peek(256)?;
    let known: [(&[u8], &str); 5] = [
        (b"TAG", "an ID3v1 tag"),
        (b"APETAGEX", "an APE tag"),
        (b"ID3", "an ID3v2 tag"),
        (b"3DI", "an ID3v2 tag"),
        (b"LYRICSBEGIN", "a Lyrics3 tag"),
    ];
    let tag = known.iter().find(|(magic, _)| head.starts_with(magic));
    Ok(match tag {
        Some(&(_, name)) => Some(name),
        None if head.iter().all(|&byte| byte == 0) => Some(ZEROS),
        None => None,
    })
}
