//! Recordings with and without oddities.

use ser_runtime::audio::{AudioError, AudioReader, AudioWarning, Pcm, ReadOptions, read_whole};

/// Reads a whole file from memory.
pub fn read(bytes: &[u8]) -> Result<(Pcm, Vec<AudioWarning>), AudioError> {
    read_whole(AudioReader::from_bytes(bytes, "test.wav")?)
}

/// Reads a file that has one oddity, which must be an error where reading is strict.
pub fn odd(bytes: &[u8]) -> (usize, AudioWarning) {
    let (pcm, warnings) = read(bytes).unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let strict = AudioReader::from_bytes(bytes, "test.wav")
        .and_then(|reader| reader.with_options(ReadOptions { strict: true }))
        .and_then(read_whole);
    match strict {
        Err(error @ AudioError::Strict { .. }) => {
            let text = error.to_string();
            assert!(text.starts_with("test.wav: ") && text.contains(&warnings[0].to_string()));
        }
        other => panic!("{warnings:?}: {other:?}"),
    }
    (pcm.samples.len(), warnings[0].clone())
}

/// Reads a file without oddities.
pub fn clean(bytes: &[u8]) -> Pcm {
    let (pcm, warnings) = read(bytes).unwrap();
    assert_eq!(warnings, []);
    pcm
}
