//! Decoding: every sample format, and every bad recording of the list in issue 2.

mod common;

use std::fs;
use std::io::Write as _;
use std::path::Path;

use common::Random;
use common::wav::{Wav, vowel};
use ser_runtime::audio::{
    AudioError, AudioReader, AudioWarning, Pcm, RawEncoding, RawFormat, decode_audio, read_audio,
    read_stream, read_whole,
};

fn decode(bytes: &[u8]) -> Result<Pcm, AudioError> {
    decode_audio(bytes, "test.wav")
}

fn message(bytes: &[u8]) -> String {
    decode(bytes).unwrap_err().to_string()
}

/// Extremes, zero and something in between.
const VALUES: [f64; 6] = [0.0, 1.0, -1.0, 0.5, -0.25, 0.125];

#[test]
fn integers_are_divided_by_their_largest_value() {
    for (format, full_scale) in [
        (Wav::U8, 127.0_f32),
        (Wav::S16, 32_767.0),
        (Wav::S24, 8_388_607.0),
        (Wav::S32, 2_147_483_647.0),
    ] {
        let pcm = decode(&format.file(16_000, 1, &VALUES)).unwrap();
        let expected: Vec<f32> = VALUES
            .iter()
            .map(|v| (v * f64::from(full_scale)).round() as f32 / full_scale)
            .collect();
        assert_eq!(
            (pcm.sample_rate, pcm.channels, &pcm.samples),
            (16_000, 1, &expected),
            "{format:?}"
        );
    }
    // The most negative integer goes a little below -1.
    let pcm = decode(&Wav::S16.file_of(8_000, 1, &i16::MIN.to_le_bytes())).unwrap();
    assert_eq!(pcm.samples, [-32_768.0_f32 / 32_767.0]);
    let pcm = decode(&Wav::S24.file_of(8_000, 1, &[0, 0, 0x80])).unwrap();
    assert_eq!(pcm.samples, [-8_388_608.0_f32 / 8_388_607.0]);
}

#[test]
fn floats_are_taken_as_they_are() {
    let values = [0.0, 0.1, -0.7, 1.5];
    for format in [Wav::F32, Wav::F64] {
        let pcm = decode(&format.file(44_100, 1, &values)).unwrap();
        assert_eq!(pcm.samples, values.map(|v| v as f32), "{format:?}");
    }
}

#[test]
fn g711_expands_to_16_bit() {
    // ITU-T G.711: the largest A-law magnitude is 32256, the largest µ-law magnitude 32124 on the
    // 16-bit scale; µ-law 0xff is +0.
    let pcm = decode(&Wav::Alaw.file_of(8_000, 1, &[0xaa, 0x2a, 0xd5])).unwrap();
    assert_eq!(
        pcm.samples,
        [32_256.0, -32_256.0, 8.0].map(|v: f32| v / 32_767.0)
    );
    let pcm = decode(&Wav::Ulaw.file_of(8_000, 1, &[0x80, 0x00, 0xff])).unwrap();
    assert_eq!(
        pcm.samples,
        [32_124.0, -32_124.0, 0.0].map(|v: f32| v / 32_767.0)
    );
}

#[test]
fn channels_are_averaged_in_f32() {
    let pcm = decode(&Wav::S16.file(16_000, 2, &[0.5, -0.25, 1.0, 1.0])).unwrap();
    let half = (0.5_f64 * 32_767.0).round() as f32 - (0.25_f64 * 32_767.0).round() as f32;
    assert_eq!(
        (pcm.channels, pcm.samples),
        (2, vec![half / 2.0 / 32_767.0, 1.0])
    );
    let pcm = decode(&Wav::F32.file(16_000, 3, &[0.3, 0.6, -0.3])).unwrap();
    assert_eq!(
        (pcm.channels, pcm.samples),
        (3, vec![(0.3_f32 + 0.6 - 0.3) / 3.0])
    );
}

#[test]
fn extensible_headers_and_other_chunks_are_understood() {
    let samples = [0.5, -0.5, 0.25, 1.0];
    let plain = Wav::S24.file(48_000, 2, &samples);
    // WAVE_FORMAT_EXTENSIBLE: size of the extension, valid bits, channel mask, the GUID of PCM.
    let mut extension = 22_u16.to_le_bytes().to_vec();
    extension.extend(24_u16.to_le_bytes());
    extension.extend(3_u32.to_le_bytes());
    extension.extend([
        1, 0, 0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71,
    ]);
    // A comment of odd length, padded, between format and data.
    let list = b"LIST\x0f\0\0\0INFOISFT\x03\0\0\0abc\0";
    let mut extended = plain[..36].to_vec();
    extended[16..20].copy_from_slice(&40_u32.to_le_bytes());
    extended[20..22].copy_from_slice(&0xfffe_u16.to_le_bytes());
    extended.extend(&extension);
    extended.extend(list);
    extended.extend(&plain[36..]);
    assert_eq!(
        decode(&extended).unwrap(),
        decode(&plain).unwrap(),
        "the RIFF size, now wrong, does not matter"
    );

    // RF64, as recorders write it that do not know the length before: the sizes are in a chunk of
    // their own.
    let mut rf64 = b"RF64\xff\xff\xff\xffWAVEds64\x1c\0\0\0".to_vec();
    let data = (plain.len() - 44) as u64;
    [data + 80, data, 4, 0]
        .iter()
        .for_each(|v| rf64.extend(v.to_le_bytes()));
    rf64.truncate(rf64.len() - 4);
    rf64.extend(&plain[12..40]);
    rf64.extend([0xff; 4]);
    rf64.extend(&plain[44..]);
    assert_eq!(decode(&rf64).unwrap(), decode(&plain).unwrap());
    assert_eq!(decode(&rf64[..rf64.len() - 1]).unwrap().samples.len(), 1);

    // G.711 with the short format chunk that only PCM should have.
    let law = Wav::Alaw.file_of(8_000, 1, &[0xaa, 0x2a, 0xd5]);
    let mut short = law.clone();
    short[16..20].copy_from_slice(&16_u32.to_le_bytes());
    short.drain(36..38);
    assert_eq!(decode(&short).unwrap(), decode(&law).unwrap());
}

#[test]
fn duration_is_samples_over_rate() {
    let pcm = decode(&Wav::S16.file(16_000, 2, &[0.0; 2 * 8_000])).unwrap();
    assert_eq!(pcm.duration_s(), 0.5);
}

#[test]
fn missing_files_and_folders_are_named() {
    let error = read_audio(Path::new("/no/such/take.wav")).unwrap_err();
    assert!(
        matches!(error, AudioError::Io { .. }) && error.to_string().contains("/no/such/take.wav"),
        "{error}"
    );
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(
        read_audio(folder.path()),
        Err(AudioError::Folder { .. })
    ));
}

#[test]
fn text_named_wav_is_not_audio() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes.wav");
    fs::write(&path, "Hello, this is not a recording. RIFF").unwrap();
    let error = read_audio(&path).unwrap_err();
    assert!(matches!(error, AudioError::NotAudio { .. }), "{error}");
    assert!(
        error.to_string().contains("notes.wav") && error.to_string().contains("Hello, this"),
        "{error}"
    );
    for text in ["RI", "R", "short"] {
        assert!(decode(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn empty_recordings_say_so() {
    assert!(matches!(decode(b""), Err(AudioError::Empty { .. })));
    assert!(matches!(
        decode(&Wav::S16.file(16_000, 1, &[])),
        Err(AudioError::Empty { .. })
    ));
}

#[test]
fn what_a_truncated_recording_has_is_read() {
    let whole = Wav::S16.file(16_000, 2, &vowel(16_000, 120.0, 0.2));
    assert!(decode(&whole).is_ok());
    for length in 0..48 {
        assert!(decode(&whole[..length]).is_err(), "{length}");
    }
    for length in [48, 60, 1_000, 5_001, whole.len() - 5, whole.len() - 1] {
        let frames = (length - 44) / 4;
        let reader = AudioReader::from_bytes(&whole[..length], "test.wav").unwrap();
        let (pcm, warnings) = read_whole(reader).unwrap();
        assert_eq!(pcm.samples, decode(&whole).unwrap().samples[..frames]);
        let (declared, found) = (1_600, frames as u64);
        assert_eq!(warnings, [AudioWarning::Truncated { declared, found }]);
    }
    assert!(message(&whole[..30]).contains("truncated"));
}

#[test]
fn a_placeholder_length_means_until_the_end() {
    for placeholder in [0x7fff_f000_u32, u32::MAX] {
        let mut streamed = Wav::S16.file(22_050, 1, &vowel(22_050, 100.0, 0.1));
        let riff = placeholder.saturating_add(36);
        streamed[4..8].copy_from_slice(&riff.to_le_bytes());
        streamed[40..44].copy_from_slice(&placeholder.to_le_bytes());
        assert_eq!(
            decode(&streamed).unwrap().samples.len(),
            2_205,
            "{placeholder:x}"
        );
    }
}

#[test]
fn nan_and_infinity_are_found() {
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for format in [Wav::F32, Wav::F64] {
            let error =
                decode(&format.file(16_000, 2, &[0.0, 0.1, 0.2, bad, 0.0, 0.0])).unwrap_err();
            assert!(
                matches!(error, AudioError::NonFinite { index: 1, .. }),
                "{error}"
            );
        }
    }
    // A double beyond the range of f32 is not finite either.
    assert!(matches!(
        decode(&Wav::F64.file(16_000, 1, &[1e300])),
        Err(AudioError::NonFinite { index: 0, .. })
    ));
}

#[test]
fn rates_outside_the_extractors_range_are_refused() {
    for rate in [0, 4_000, 7_999, 96_001, 192_000, u32::MAX] {
        let mut bytes = Wav::S16.file(16_000, 1, &VALUES);
        bytes[24..28].copy_from_slice(&rate.to_le_bytes());
        match decode(&bytes) {
            Err(error @ AudioError::SampleRate { rate: named, .. }) => {
                assert_eq!(named, rate);
                assert!(
                    error.to_string().contains(&format!("{rate} Hz"))
                        && error.to_string().contains("96000"),
                    "{error}"
                );
            }
            other => panic!("{rate}: {other:?}"),
        }
    }
    for rate in [
        8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000,
    ] {
        assert_eq!(
            decode(&Wav::S16.file(rate, 1, &VALUES))
                .unwrap()
                .sample_rate,
            rate
        );
    }
}

#[test]
fn unknown_codecs_are_refused() {
    let mut adpcm = Wav::S16.file(16_000, 1, &VALUES);
    adpcm[20..22].copy_from_slice(&0x55_u16.to_le_bytes());
    assert!(matches!(
        decode(&adpcm),
        Err(AudioError::Unsupported { .. })
    ));
    let mut crowd = Wav::S16.file(16_000, 1, &VALUES);
    crowd[22..24].copy_from_slice(&1_000_u16.to_le_bytes());
    assert!(decode(&crowd).is_err());
    // 24 bits in frames of 4 bytes: read as 3-byte frames it would be noise.
    let mut padded = Wav::S24.file(16_000, 1, &VALUES);
    padded[32..34].copy_from_slice(&4_u16.to_le_bytes());
    assert!(message(&padded).contains("frames of 32 bits"));
    let mut none = Wav::S16.file(16_000, 1, &VALUES);
    none[22..24].copy_from_slice(&[0; 2]);
    assert!(decode(&none).is_err());
}

#[test]
fn raw_pcm_equals_the_wav_around_it() {
    let samples = vowel(16_000, 140.0, 0.1);
    let pairs = [
        (Wav::U8, RawEncoding::U8),
        (Wav::S16, RawEncoding::S16le),
        (Wav::S24, RawEncoding::S24le),
        (Wav::S32, RawEncoding::S32le),
        (Wav::F32, RawEncoding::F32le),
        (Wav::F64, RawEncoding::F64le),
    ];
    for (wav, encoding) in pairs {
        for channels in [1, 2] {
            let file = wav.file(16_000, channels, &samples);
            let head = file.len() - samples.len() * usize::from(wav.bytes());
            let format = RawFormat {
                encoding,
                sample_rate: 16_000,
                channels,
            };
            assert_eq!(
                read_stream(&file[head..], Some(format), "-").unwrap(),
                decode(&file).unwrap(),
                "{wav:?}"
            );
        }
    }
    for (name, encoding) in RawEncoding::ALL {
        assert_eq!(name.parse(), Ok(encoding));
    }
    assert!(
        "s16be"
            .parse::<RawEncoding>()
            .unwrap_err()
            .to_string()
            .contains("s16le")
    );
}

#[test]
fn bad_raw_pcm_is_refused() {
    let format = RawFormat {
        encoding: RawEncoding::S16le,
        sample_rate: 16_000,
        channels: 2,
    };
    let read = |bytes: &[u8], format| read_stream(bytes, Some(format), "-").unwrap_err();
    assert!(matches!(read(&[0; 3], format), AudioError::Empty { .. }));
    assert!(matches!(read(&[], format), AudioError::Empty { .. }));
    assert!(matches!(
        read(
            &[0; 8],
            RawFormat {
                sample_rate: 192_000,
                ..format
            }
        ),
        AudioError::SampleRate { .. }
    ));
    assert!(matches!(
        read(
            &[0; 8],
            RawFormat {
                channels: 0,
                ..format
            }
        ),
        AudioError::ChannelCount { channels: 0, .. }
    ));
}

#[test]
fn hostile_bytes_never_panic() {
    let mut random = Random::new(0x9e37_79b9_7f4a_7c15);
    let seeds = [Wav::S16, Wav::S24, Wav::F32, Wav::Alaw].map(|w| w.file(16_000, 2, &[0.25; 64]));
    let mut accepted = 0;
    for round in 0..20_000_usize {
        let mut bytes = seeds[round % seeds.len()].clone();
        for _ in 0..=random.below(4) {
            let at = random.below(bytes.len().min(64));
            bytes[at] = random.below(256) as u8;
        }
        bytes.truncate(bytes.len() - random.below(8));
        accepted += usize::from(decode(&bytes).is_ok());
    }
    assert!(accepted > 0, "some changes, of a sample, must be harmless");
    for _ in 0..2_000 {
        let mut bytes: Vec<u8> = (0..random.below(600))
            .map(|_| random.below(256) as u8)
            .collect();
        let magic: &[u8] = if random.below(2) == 0 {
            b"fLaC\0\0\0\x22"
        } else {
            b"RIFF\x40\x02\0\0WAVE"
        };
        bytes.splice(0..0, magic.iter().copied());
        let _ = decode(&bytes);
    }
}

/// Real FLAC files: the project's shared recordings.
#[test]
fn flac_recordings_decode_and_damage_is_found() {
    let Some(data) = common::shared("data") else {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: FLAC decoding, since ../shared/data is not here"
        );
        return;
    };
    let manifest = fs::read_to_string(data.join("manifest.csv")).unwrap();
    let mut some = None;
    for row in manifest.lines().skip(1) {
        // path, corpus, speaker, gender, emotion, sample_rate, samples
        let cells: Vec<&str> = row.split(',').collect();
        let path = data.join(cells[0]);
        let pcm = read_audio(&path).unwrap();
        let found = (
            pcm.sample_rate.to_string(),
            pcm.channels,
            pcm.samples.len().to_string(),
        );
        assert_eq!(
            found,
            (cells[5].to_owned(), 1, cells[6].to_owned()),
            "{row}"
        );
        let sixteen_bit =
            |v: &f32| v.abs() <= 1.001 && (v * 32_767.0 - (v * 32_767.0).round()).abs() < 1e-3;
        assert!(pcm.samples.iter().all(sixteen_bit), "{row}");
        some = Some(path);
    }
    let bytes = fs::read(some.unwrap()).unwrap();
    let oddities = |bytes: &[u8]| {
        let read = AudioReader::from_bytes(bytes, "x").and_then(read_whole);
        read.map(|(_, warnings)| warnings.len())
    };
    assert_eq!(oddities(&bytes).unwrap(), 0);
    for length in [20, 60, bytes.len() / 2, bytes.len() - 1] {
        assert!(oddities(&bytes[..length]).is_err() || oddities(&bytes[..length]).unwrap() == 1);
    }
    // The first bytes hold lengths and rates, the rest samples: any change there must not go
    // unnoticed.
    let mut random = Random::new(5);
    for round in 0..200 {
        let mut damaged = bytes.clone();
        let at = if round % 2 == 0 {
            random.below(200)
        } else {
            bytes.len() - 1 - random.below(bytes.len() / 2)
        };
        damaged[at] ^= 1 << random.below(8);
        let result = oddities(&damaged);
        assert!(
            round % 2 == 0 || result.is_ok_and(|count| count > 0),
            "byte {at} of {}",
            bytes.len()
        );
    }
}
