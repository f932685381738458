//! Headers as they really are: what is read nevertheless, what is said about it, what is refused.

mod common;

use common::flac::Flac;
use common::odd::{clean, odd, read};
use common::riff::{Chunk, Format, ramp, riff, riff_of};
use proptest::prelude::*;
use ser_runtime::audio::{AudioError, AudioReader, AudioWarning, read_whole};

const PCM: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71];
const AMBISONIC: [u8; 14] = [
    0, 0, 0x21, 7, 0xd3, 0x11, 0x86, 0x44, 0xc8, 0xc1, 0xca, 0, 0, 0,
];

fn data(count: usize) -> Chunk {
    Chunk::new(b"data", &ramp(count))
}

fn samples(count: usize) -> Vec<f32> {
    (0..count)
        .map(|i| f32::from(i as i16 * 13 - 4_000) / 32_767.0)
        .collect()
}

#[test]
fn a_wrong_data_size_does_not_hide_what_is_there() {
    let list = || Chunk::new(b"LIST", b"INFOISFT\x04\0\0\0abcd");
    let unset = |found| AudioWarning::LengthUnset { found };
    // Size, frames read, what is said.
    let cases = [
        (
            2_100,
            1_000,
            AudioWarning::Truncated {
                declared: 1_050,
                found: 1_000,
            },
        ),
        (2_001, 1_000, AudioWarning::PartFrame { bytes: 1, frame: 2 }),
        (
            4_000_000,
            1_000,
            AudioWarning::Truncated {
                declared: 2_000_000,
                found: 1_000,
            },
        ),
        (
            1_900,
            950,
            AudioWarning::LengthTooShort {
                declared: 950,
                bytes: 100,
            },
        ),
        (
            1_000,
            500,
            AudioWarning::LengthTooShort {
                declared: 500,
                bytes: 1_000,
            },
        ),
        (0, 1_000, unset(1_000)),
        (u32::MAX, 1_000, unset(1_000)),
        (0x7fff_f000, 1_000, unset(1_000)),
        (0x8000_0000, 1_000, unset(1_000)),
    ];
    for (size, frames, warning) in cases {
        let bytes = riff(&[Format::MONO.chunk(&[]), data(1_000).declaring(size)]);
        assert_eq!(odd(&bytes), (frames, warning), "{size}");
        assert_eq!(read(&bytes).unwrap().0.samples, samples(frames));
    }
    // Half a sample too little: the whole ones.
    let bytes = riff(&[Format::MONO.chunk(&[]), data(1_000).declaring(1_999)]);
    assert_eq!(odd(&bytes).0, 999);
    // Nothing but a comment is no recording.
    for size in [0, 4] {
        let bytes = riff(&[Format::MONO.chunk(&[]), data(0).declaring(0), list()]);
        let bytes = &bytes[..bytes.len() - size];
        assert!(matches!(read(bytes), Err(AudioError::Empty { .. })));
    }
    assert!(
        clean(&riff(&[Format::MONO.chunk(&[]), data(9), list()]))
            .samples
            .len()
            == 9
    );
}

#[test]
fn a_placeholder_in_a_pipe_is_as_it_should_be() {
    for (data_size, size) in [
        (u32::MAX, u32::MAX),
        (0x7fff_f000, 0x7fff_f024),
        (0, u32::MAX),
    ] {
        let chunks = [Format::MONO.chunk(&[]), data(50).declaring(data_size)];
        let bytes = riff_of(&chunks, Some(size));
        let reader = AudioReader::from_stream(&bytes[..], "-").unwrap();
        assert_eq!(reader.info().frames, None);
        let (pcm, warnings) = read_whole(reader).unwrap();
        assert_eq!((pcm.samples, warnings), (samples(50), vec![]));
    }
}

#[test]
fn a_wrong_file_size_does_not_matter() {
    let chunks = [Format::MONO.chunk(&[]), data(100)];
    for size in [0, 4, 36, 1_000_000, u32::MAX] {
        let (frames, warning) = odd(&riff_of(&chunks, Some(size)));
        assert_eq!(frames, 100);
        assert_eq!(
            warning,
            AudioWarning::FileSize {
                declared: u64::from(size) + 8,
                found: 244
            }
        );
    }
}

#[test]
fn channels_and_bits_count_more_than_the_block_alignment() {
    for (channels, block) in [(1, 0), (1, 1), (1, 3), (1, 4), (2, 0), (2, 2), (2, 65_535)] {
        let format = Format {
            channels,
            block,
            ..Format::MONO
        };
        let (frames, warning) = odd(&riff(&[format.chunk(&[]), data(100)]));
        assert_eq!(frames, 100 / usize::from(channels));
        assert!(
            matches!(warning, AudioWarning::BlockAlign { declared, .. } if declared == block),
            "{warning}"
        );
    }
    // 12 bits in 16 and 20 in 24 lie in whole bytes, shifted up.
    for (bits, block) in [(12, 2), (14, 2), (20, 3), (18, 3)] {
        let format = Format {
            bits,
            block,
            ..Format::MONO
        };
        let bytes = riff(&[format.chunk(&[]), data(99)]);
        assert_eq!(clean(&bytes).samples.len(), 198 / usize::from(block));
        let reader = AudioReader::from_bytes(&bytes, "x").unwrap();
        let words = &reader.info().encoding;
        assert!(words.contains(&format!("{bits} bits")), "{words}");
    }
    let twelve = Format {
        bits: 12,
        ..Format::MONO
    };
    assert_eq!(
        clean(&riff(&[twelve.chunk(&[]), data(99)])).samples,
        samples(99)
    );
    for tag in [6, 7] {
        let law = Format {
            tag,
            bits: 0,
            block: 1,
            ..Format::MONO
        };
        let (frames, warning) = odd(&riff(&[law.chunk(&[0, 0]), data(50)]));
        assert!(frames == 100 && matches!(warning, AudioWarning::SampleBits { declared: 0, .. }));
    }
}

#[test]
fn extensible_formats_are_read_whatever_they_say_of_speakers() {
    for guid in [PCM, AMBISONIC] {
        for (valid, mask) in [(16, 4), (12, 0), (0, u32::MAX)] {
            let bytes = riff(&[Format::MONO.extensible(valid, mask, &guid), data(30)]);
            assert_eq!(clean(&bytes).samples, samples(30));
        }
    }
    let float = Format {
        tag: 3,
        bits: 32,
        block: 4,
        ..Format::MONO
    };
    let values = [0.5_f32, -1.5].map(f32::to_le_bytes).concat();
    let fact = Chunk::new(b"fact", &7_u32.to_le_bytes());
    for format in [float.chunk(&[0, 0]), float.extensible(32, 0, &AMBISONIC)] {
        let bytes = riff(&[format, fact.clone(), Chunk::new(b"data", &values)]);
        assert_eq!(clean(&bytes).samples, [0.5, -1.5], "floats are not clipped");
    }
    let unknown = riff(&[Format::MONO.extensible(16, 0, &[0x11; 14]), data(30)]);
    assert!(matches!(
        read(&unknown),
        Err(AudioError::Unsupported { .. })
    ));
}

#[test]
fn big_endian_and_long_files_are_read() {
    let mut rifx = b"RIFX\0\0\0\x2eWAVEfmt \0\0\0\x10\0\x01\0\x01".to_vec();
    rifx.extend(b"\0\0\x3e\x80\0\0\x7d\0\0\x02\0\x10data\0\0\0\x0a");
    rifx.extend(ramp(5).chunks(2).flat_map(|b| [b[1], b[0]]));
    assert_eq!(clean(&rifx).samples, samples(5));
    let long = |id: &[u8; 4], size: u64, declared: u32| {
        let mut sizes = 0_u64.to_le_bytes().to_vec();
        sizes.extend(size.to_le_bytes());
        sizes.extend([0; 12]);
        let chunks = [
            Chunk::new(b"ds64", &sizes),
            Format::MONO.chunk(&[]),
            data(40).declaring(declared),
        ];
        let mut bytes = riff_of(&chunks, Some(u32::MAX));
        let file = bytes.len() as u64 - 8;
        bytes[20..28].copy_from_slice(&file.to_le_bytes());
        bytes[..4].copy_from_slice(id);
        bytes
    };
    for id in [b"RF64", b"BW64"] {
        // In these files the long size counts.
        assert_eq!(clean(&long(id, 80, u32::MAX)).samples, samples(40));
        assert_eq!(clean(&long(id, 80, 20)).samples, samples(40));
        assert_eq!(
            odd(&long(id, 0, u32::MAX)),
            (40, AudioWarning::LengthUnset { found: 40 })
        );
        assert_eq!(
            odd(&long(id, u64::MAX, u32::MAX)),
            (40, AudioWarning::LengthUnset { found: 40 })
        );
    }
}

#[test]
fn chunks_may_stand_anywhere_padded_or_not() {
    let format = || Format::MONO.chunk(&[]);
    let big = Chunk::new(b"JUNK", &vec![7; 300_000]);
    let before = [
        big,
        Chunk::new(b"bext", &[0; 602]),
        format(),
        Chunk::new(b"PEAK", &[0; 16]),
        Chunk::new(b"cue ", &[0; 4]),
        Chunk::new(b"odd1", b"abc"),
        data(60),
        Chunk::new(b"id3 ", b"ID3"),
        Chunk::new(b"mine", b"12345"),
    ];
    assert_eq!(clean(&riff(&before)).samples, samples(60));
    for id in [b"JUNK", b"LIST"] {
        let bytes = riff(&[format(), Chunk::new(id, b"abc").unpadded(), data(60)]);
        let (frames, warning) = odd(&bytes);
        assert!(frames == 60 && matches!(warning, AudioWarning::Unpadded { .. }));
    }
    for (gap, id) in [(1, b"\0\0\0\0"), (3, b"\x01\0\0\0")] {
        let mut bytes = riff(&[format(), data(60)]);
        bytes.splice(36..36, id[..gap].iter().copied());
        let (frames, warning) = odd(&bytes);
        let between = AudioWarning::BetweenChunks {
            at: 36,
            bytes: gap as u64,
        };
        assert_eq!((frames, warning), (60, between));
    }
    // Odd data, with and without padding, before another chunk.
    let byte = Format {
        bits: 8,
        block: 1,
        ..Format::MONO
    };
    let odd_data = Chunk::new(b"data", &ramp(60)[..99]);
    let list = Chunk::new(b"LIST", b"INFO");
    let padded = riff(&[byte.chunk(&[]), odd_data.clone(), list.clone()]);
    assert_eq!(clean(&padded).samples.len(), 99);
    let bytes = riff(&[byte.chunk(&[]), odd_data.unpadded(), list]);
    assert!(matches!(odd(&bytes), (99, AudioWarning::Unpadded { .. })));
    // Twice the same chunk: the last format, the first data.
    let wrong = Format {
        rate: 8_000,
        ..Format::MONO
    }
    .chunk(&[]);
    let bytes = riff(&[wrong, format(), data(60)]);
    assert_eq!(odd(&bytes), (60, AudioWarning::SecondFormat));
    assert_eq!(read(&bytes).unwrap().0.sample_rate, 16_000);
    let bytes = riff(&[format(), data(60), Chunk::new(b"LIST", b"INFO"), data(30)]);
    assert_eq!(odd(&bytes), (60, AudioWarning::SecondData { bytes: 60 }));
    assert!(matches!(
        read(&riff(&[data(60), format()])),
        Err(AudioError::Malformed { .. })
    ));
}

#[test]
fn tags_before_and_after_are_not_audio() {
    let wav = riff(&[Format::MONO.chunk(&[]), data(60)]);
    let flac = Flac::MONO.file(&[5; 300]);
    let id3 = [b"ID3\x04\0\0\0\0\x01\x05".to_vec(), vec![0xff; 133]].concat();
    let footed = [b"ID3\x04\0\x10\0\0\0\x05".to_vec(), vec![0; 15]].concat();
    let behind = [
        ([b"TAG".to_vec(), vec![b'x'; 125]].concat(), "ID3v1"),
        ([b"APETAGEX".to_vec(), vec![b'x'; 64]].concat(), "APE"),
        (vec![0; 1_000], "zeros"),
    ];
    for (file, frames) in [(&wav, 60), (&flac, 300)] {
        for tag in [&id3, &footed] {
            let (found, warning) = odd(&[&tag[..], file].concat());
            let bytes = tag.len() as u64;
            assert_eq!(found, frames);
            assert_eq!(
                warning,
                AudioWarning::TagBefore {
                    tag: "ID3v2 tag",
                    bytes
                }
            );
        }
        for (tag, name) in &behind {
            let (found, warning) = odd(&[&file[..], tag].concat());
            assert!(
                found == frames && warning.to_string().contains(name),
                "{warning}"
            );
            let two = read(&[&id3[..], file, tag].concat()).unwrap();
            assert_eq!((two.0.samples.len(), two.1.len()), (frames, 2));
        }
    }
    // An ID3 tag before anything else is that of an MP3.
    let mp3 = [&id3[..], &[0xff, 0xfb, 0x90, 0x64]].concat();
    assert!(read(&mp3).unwrap_err().to_string().contains("MP3"));
}

#[test]
fn what_is_not_read_is_named() {
    let names = [
        (0x0002, "MS-ADPCM"),
        (0x0011, "IMA ADPCM"),
        (0x0031, "GSM 6.10"),
        (0x0055, "MP3"),
        (0x0045, "G.726"),
        (0x0022, "TrueSpeech"),
        (0x0040, "G.721"),
        (0x0042, "G.723.1"),
        (0x0083, "G.729"),
        (0x0161, "Windows Media Audio"),
        (0x00ff, "AAC"),
        (0x2000, "AC-3"),
        (0x1234, "0x1234"),
    ];
    for (tag, name) in names {
        let format = Format {
            tag,
            bits: 4,
            ..Format::MONO
        };
        let text = read(&riff(&[format.chunk(&[0, 0]), data(9)]))
            .unwrap_err()
            .to_string();
        assert!(text.contains(name) && text.contains("`ffmpeg -i"), "{text}");
    }
    for (tag, bits) in [(1, 0), (1, 33), (1, 64), (3, 16), (3, 0)] {
        let format = Format {
            tag,
            bits,
            ..Format::MONO
        };
        let text = read(&riff(&[format.chunk(&[]), data(9)]))
            .unwrap_err()
            .to_string();
        assert!(text.contains(&format!("{bits} bits")), "{text}");
    }
}

#[test]
fn warnings_are_limited_in_number() {
    let mut chunks = vec![Format::MONO.chunk(&[]), data(9)];
    chunks.resize(100, data(3));
    let (pcm, warnings) = read(&riff(&chunks)).unwrap();
    assert_eq!((pcm.samples.len(), warnings.len()), (9, 32));
    assert_eq!(warnings.last(), Some(&AudioWarning::More));
}

fn any_chunk() -> impl Strategy<Value = Chunk> {
    let ids = prop::sample::select(vec![
        *b"LIST", *b"JUNK", *b"bext", *b"cue ", *b"fact", *b"mine",
    ]);
    let body = prop::collection::vec(any::<u8>(), 0..40);
    (ids, body).prop_map(|(id, body)| Chunk::new(&id, &body))
}

fn any_size(truth: u32) -> impl Strategy<Value = u32> {
    prop_oneof![
        4 => Just(truth),
        2 => (0..200_u32).prop_map(move |off| truth.wrapping_add(off).wrapping_sub(100)),
        1 => prop::sample::select(vec![0, 1, u32::MAX, 0x7fff_f000, 0x8000_0000]),
        1 => any::<u32>(),
    ]
}

proptest! {
    /// Whatever the sizes, the chunks around and the tags say: what is read begins with what was
    /// written, and with right sizes it is exactly that.
    #[test]
    fn mutated_headers_never_change_a_sample(
        before in prop::collection::vec(any_chunk(), 0..4),
        after in prop::collection::vec(any_chunk(), 0..4),
        format_at in 0..4_usize,
        size in any_size(400),
        file_size in any_size(1_000),
        block in prop_oneof![3 => Just(2_u16), 1 => any::<u16>()],
        tagged in any::<bool>(),
        tail in prop_oneof![
            Just(vec![]),
            Just(b"TAG".repeat(43)),
            prop::collection::vec(any::<u8>(), 0..50),
        ],
        cut in prop_oneof![3 => Just(0_usize), 1 => 0..300_usize],
    ) {
        let mut chunks = before;
        let at = format_at.min(chunks.len());
        chunks.insert(at, Format { block, ..Format::MONO }.chunk(&[]));
        chunks.push(data(200).declaring(size));
        chunks.extend(after.clone());
        let mut bytes = riff_of(&chunks, Some(file_size));
        bytes.extend(&tail);
        if tagged {
            bytes.splice(0..0, *b"ID3\x03\0\0\0\0\0\x02ab");
        }
        bytes.truncate(bytes.len() - cut);
        let written = samples(200);
        let result = read(&bytes);
        let piped = AudioReader::from_stream(&bytes[..], "-").and_then(read_whole);
        match (&result, &piped) {
            (Ok((pcm, _)), Ok((same, _))) => {
                prop_assert_eq!(pcm, same);
                for (found, expected) in pcm.samples.iter().zip(&written) {
                    prop_assert_eq!(found, expected);
                }
                if size == 400 && cut == 0 {
                    prop_assert_eq!(pcm.samples.len(), 200);
                }
            }
            // No sample is left: cut off, or none declared.
            (Err(_), Err(_)) => prop_assert!(size < 2 || cut > 0, "{:?}", result),
            _ => prop_assert!(false, "{:?} but {:?}", result, piped),
        }
    }
}
