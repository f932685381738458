//! Recordings block by block: pipes, channels, and what a stream turns out to be.

mod common;

use std::io::{self, Read};

use common::Random;
use common::flac::Flac;
use common::riff::{Chunk, Format, ramp, riff};
use common::wav::{Wav, vowel};
use ser_runtime::audio::{
    AudioError, AudioReader, AudioWarning, Channels, Explicit, RawEncoding, RawFormat, Sniffed,
    decode_audio, read_whole, sniff,
};

/// Gives at most `at_once` bytes a read, and fails once it is asked for more than it has.
struct Live<'a> {
    bytes: &'a [u8],
    at_once: usize,
}

impl Read for Live<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.bytes.is_empty() {
            return Err(io::Error::other("it would have waited"));
        }
        let count = self.at_once.min(out.len()).min(self.bytes.len());
        out[..count].copy_from_slice(&self.bytes[..count]);
        self.bytes = &self.bytes[count..];
        Ok(count)
    }
}

/// As [`Live`], with an end.
struct Slow<'a>(&'a [u8], usize);

impl Read for Slow<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(out.len()).min(self.0.len());
        out[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

const RAW: RawFormat = RawFormat {
    encoding: RawEncoding::S16le,
    sample_rate: 16_000,
    channels: 2,
};
const NOTHING: Explicit = Explicit {
    sample_rate: None,
    channels: None,
    encoding: None,
};

fn interleaved(mut reader: AudioReader<'_>) -> Vec<f32> {
    let (mut all, mut block) = (Vec::new(), Vec::new());
    while reader.read(&mut block).unwrap() {
        assert!(!block.is_empty() && block.len() % usize::from(reader.info().channels) == 0);
        all.extend(&block);
    }
    assert!(
        !reader.read(&mut block).unwrap() && block.is_empty(),
        "the end stays the end"
    );
    all
}

#[test]
fn pieces_of_any_size_give_the_same_samples() {
    let values: Vec<i16> = (0..1_400).map(|i| (i * 37 % 3_001) as i16).collect();
    let wav = Wav::S24.file(22_050, 3, &vowel(22_050, 120.0, 0.05)[..900]);
    let flac = Flac {
        channels: 2,
        ..Flac::MONO
    }
    .file(&values);
    for file in [&wav, &flac] {
        let whole = interleaved(AudioReader::from_bytes(file, "x").unwrap());
        for at_once in [1, 2, 3, 7, 1_000] {
            let pieces = AudioReader::from_stream(Slow(file, at_once), "x").unwrap();
            assert_eq!(interleaved(pieces), whole);
            let detected = AudioReader::detect(Slow(file, at_once), RAW, NOTHING, "x").unwrap();
            assert_eq!(interleaved(detected), whole);
        }
    }
    let raw = ramp(1_000);
    let whole = interleaved(AudioReader::raw(&raw[..], RAW, "x").unwrap());
    for at_once in [1, 3, 5, 999] {
        for reader in [
            AudioReader::raw(Slow(&raw, at_once), RAW, "x").unwrap(),
            AudioReader::detect(Slow(&raw, at_once), RAW, NOTHING, "x").unwrap(),
        ] {
            assert_eq!(reader.info().container, "headerless PCM");
            assert_eq!(interleaved(reader), whole);
        }
    }
}

#[test]
fn a_live_stream_is_heard_at_once() {
    let bytes = ramp(6);
    let mut block = Vec::new();
    // One frame is enough.
    let mut reader = AudioReader::raw(
        Live {
            bytes: &bytes,
            at_once: 1,
        },
        RAW,
        "-",
    )
    .unwrap();
    for _ in 0..3 {
        assert!(reader.read(&mut block).unwrap());
        assert_eq!(block.len(), 2);
    }
    assert!(matches!(
        reader.read(&mut block),
        Err(AudioError::Io { .. })
    ));
    // Twelve bytes are enough to know that there is no header.
    let live = Live {
        bytes: &bytes,
        at_once: 4,
    };
    let mut reader = AudioReader::detect(live, RAW, NOTHING, "-").unwrap();
    assert!(reader.read(&mut block).unwrap());
    assert_eq!(block.len(), 6);
    // A WAV header is followed by its first frame.
    let wav = Wav::S16.file(8_000, 1, &[0.5, 0.25]);
    let live = Live {
        bytes: &wav[..46],
        at_once: 5,
    };
    let mut reader = AudioReader::detect(live, RAW, NOTHING, "-").unwrap();
    assert!(reader.read(&mut block).unwrap());
    assert_eq!(block.len(), 1);
}

#[test]
fn long_recordings_need_no_memory_in_proportion() {
    // Three hours of 8-kHz telephony, from a header that does not know its length.
    let mut header = Wav::Ulaw.file(8_000, 1, &[]);
    let at = header.len() - 4;
    header[at..].copy_from_slice(&[0xff; 4]);
    let samples = 3 * 3_600 * 8_000_u64;
    let stream = (&header[..]).chain(io::repeat(0x80).take(samples));
    let mut reader = AudioReader::from_stream(stream, "-").unwrap();
    let (mut block, mut heard) = (Vec::new(), 0);
    while reader.read(&mut block).unwrap() {
        heard += block.len() as u64;
        assert!(block.capacity() <= 8_192);
    }
    assert_eq!((heard, reader.warnings()), (samples, &[][..]));
}

#[test]
fn frames_before_a_bad_sample_are_given_away() {
    let mut values = vec![0.25_f64; 100];
    values[61] = f64::NAN;
    let file = Wav::F32.file(16_000, 2, &values);
    let mut reader = AudioReader::from_bytes(&file, "x").unwrap();
    let mut block = Vec::new();
    assert!(reader.read(&mut block).unwrap());
    assert_eq!(block, [0.25; 60]);
    for _ in 0..2 {
        let error = reader.read(&mut block).unwrap_err();
        assert!(
            matches!(error, AudioError::NonFinite { index: 30, .. }),
            "{error}"
        );
    }
    // The mean of two finite numbers may be none.
    let file = Wav::F32.file(16_000, 2, &[0.0, 0.0, 3e38, 3e38]);
    assert!(matches!(
        decode_audio(&file, "x"),
        Err(AudioError::NonFinite { index: 1, .. })
    ));
}

#[test]
fn channels_are_chosen_by_name_or_number() {
    for channels in [
        Channels::Mix,
        Channels::All,
        Channels::One(0),
        Channels::One(17),
    ] {
        assert_eq!(channels.to_string().parse(), Ok(channels));
    }
    for wrong in ["", "left", "-1", "70000", "Mix"] {
        let text = wrong.parse::<Channels>().unwrap_err().to_string();
        assert!(text.contains(wrong) && text.contains("`all`"), "{text}");
    }
    let values = [0.5, -0.25, 1.0, 0.125, 0.75, -1.0];
    let file = Wav::S16.file(16_000, 3, &values);
    let signals = |channels| {
        let mut signals = Vec::new();
        let mut reader = AudioReader::from_bytes(&file, "call.wav").unwrap();
        reader.read_signals(channels, &mut signals).map(|_| signals)
    };
    let all = interleaved(AudioReader::from_bytes(&file, "x").unwrap());
    let each: Vec<Vec<f32>> = (0..3).map(|k| vec![all[k], all[k + 3]]).collect();
    assert_eq!(signals(Channels::All).unwrap(), each);
    for channel in 0..3 {
        let one = signals(Channels::One(channel)).unwrap();
        assert_eq!(one, each[usize::from(channel)..][..1]);
    }
    let mixed = decode_audio(&file, "x").unwrap().samples;
    assert_eq!(signals(Channels::Mix).unwrap(), [mixed]);
    let text = signals(Channels::One(3)).unwrap_err().to_string();
    assert!(text.contains("call.wav") && text.contains("channel 3") && text.contains("has 3"));
    // Blocks from elsewhere, such as a microphone.
    let mut signals = Vec::new();
    Channels::All.split(&all, 3, &mut signals);
    assert_eq!(signals, each);
    Channels::One(1).split(&all, 3, &mut signals);
    assert_eq!(signals, each[1..2]);
}

#[test]
fn a_header_on_standard_input_is_followed() {
    let wav = Wav::Alaw.file_of(8_000, 1, &[0xaa, 0x2a, 0xd5]);
    let flac = Flac {
        channels: 2,
        ..Flac::MONO
    }
    .file(&[7; 400]);
    let agreeing = Explicit {
        sample_rate: Some(8_000),
        channels: Some(1),
        encoding: Some(RawEncoding::Alaw),
    };
    let reader = AudioReader::detect(&wav[..], RAW, agreeing, "-").unwrap();
    let info = reader.info().clone();
    assert_eq!(
        (info.sample_rate, info.channels, info.frames),
        (8_000, 1, Some(3))
    );
    assert_eq!((info.container, info.encoding.as_str()), ("WAV", "A-law"));
    assert_eq!(
        read_whole(reader).unwrap().0,
        decode_audio(&wav, "x").unwrap()
    );
    let tagged = [
        b"ID3\x04\0\0\0\0\x01\x00".to_vec(),
        vec![0; 128],
        flac.clone(),
    ]
    .concat();
    for file in [&flac, &tagged] {
        let reader = AudioReader::detect(Slow(file, 12), RAW, NOTHING, "-").unwrap();
        assert_eq!(
            (reader.info().container, reader.info().channels),
            ("FLAC", 2)
        );
        assert_eq!(read_whole(reader).unwrap().0.samples.len(), 200);
    }
    let rate = Explicit {
        sample_rate: Some(16_000),
        ..NOTHING
    };
    let channels = Explicit {
        channels: Some(2),
        ..NOTHING
    };
    let encoding = Explicit {
        encoding: Some(RawEncoding::S16le),
        ..NOTHING
    };
    for (explicit, words) in [
        (rate, ["16000 Hz", "8000 Hz"]),
        (channels, ["channels", "1"]),
        (encoding, ["16-bit PCM", "A-law"]),
    ] {
        let error = AudioReader::detect(&wav[..], RAW, explicit, "-")
            .err()
            .unwrap();
        let text = error.to_string();
        assert!(matches!(error, AudioError::Contradiction { .. }));
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
    let sixteen = Explicit {
        encoding: Some(RawEncoding::S16le),
        ..NOTHING
    };
    assert!(AudioReader::detect(&flac[..], RAW, sixteen, "-").is_ok());
    let law = Explicit {
        encoding: Some(RawEncoding::Ulaw),
        ..NOTHING
    };
    assert!(AudioReader::detect(&flac[..], RAW, law, "-").is_err());
    assert!(matches!(
        AudioReader::detect(&b""[..], RAW, NOTHING, "-"),
        Err(AudioError::Empty { .. })
    ));
}

/// An MPEG-1 layer 3 stream of 128 kbit/s at 44.1 kHz: frames of 417 bytes.
fn mp3() -> Vec<u8> {
    let frame = [vec![0xff, 0xfb, 0x90, 0x64], vec![0x55; 413]].concat();
    frame.repeat(4)
}

#[test]
fn other_formats_are_refused_by_name() {
    let adts = [vec![0xff, 0xf1, 0x50, 0x80, 0x0c, 0x9f, 0xfc], vec![3; 93]]
        .concat()
        .repeat(4);
    let ogg = |kind: &[u8]| [&b"OggS\0\x02"[..], &[0; 22], kind, &[0; 20]].concat();
    let aiff = |kind: &[u8]| [&b"FORM\0\0\x10\0"[..], kind, b"COMM"].concat();
    let mp4 = |brand: &[u8]| [&b"\0\0\0\x20ftyp"[..], brand, &[0; 16]].concat();
    let lines = "speaker,emotion\n".repeat(9).into_bytes();
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (mp3(), "MP3"),
        ([&b"ID3\x03\0\0\0\0\0\x04abcd"[..], &mp3()].concat(), "MP3"),
        (adts, "AAC"),
        (ogg(b"\x01vorbis"), "Ogg Vorbis"),
        (ogg(b"OpusHead"), "Ogg Opus"),
        (ogg(b"\x80theora"), "Ogg"),
        (mp4(b"M4A "), "M4A"),
        (mp4(b"isom"), "MP4"),
        (mp4(b"3gp4"), "3GP"),
        (mp4(b"qt  "), "QuickTime"),
        (aiff(b"AIFF"), "AIFF"),
        (aiff(b"AIFC"), "AIFF-C"),
        (b".snd\0\0\0\x18\0\0\0\0".to_vec(), "AU"),
        (b"caff\0\x01\0\0desc".to_vec(), "CAF"),
        (b"#!AMR\n\x3c\x48\xf5\x1f\x96\x66".to_vec(), "AMR"),
        (b"#!AMR-WB\nabcd".to_vec(), "AMR-WB"),
        (
            b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa".to_vec(),
            "WMA",
        ),
        (
            b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\xf7\x81".to_vec(),
            "WebM or Matroska",
        ),
        (
            b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\0\0".to_vec(),
            "Wave64",
        ),
        (b"NIST_1A\n   1024\n".to_vec(), "SPHERE"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03ab".to_vec(), "gzip"),
        (b"PK\x03\x04\x14\0\0\0\x08\0\0\0".to_vec(), "ZIP"),
        (b"RIFF\0\x10\0\0AVI LIST".to_vec(), "AVI"),
        (b"wvpk\0\0\0\0\x10\x04\0\0".to_vec(), "WavPack"),
        (lines, "text"),
        (
            "Überall wird geredet, und zwar laut. "
                .repeat(9)
                .into_bytes(),
            "text",
        ),
        (
            b"  <!DOCTYPE html><html lang=en><head><title>Not found</title> </head> ...".to_vec(),
            "HTML",
        ),
    ];
    for (bytes, name) in cases {
        let Sniffed::Known(foreign) = sniff(&bytes) else {
            panic!("{name}: {:?}", sniff(&bytes));
        };
        assert!(foreign.name.contains(name), "{name}: {}", foreign.name);
        for result in [
            AudioReader::detect(&bytes[..], RAW, NOTHING, "standard input"),
            AudioReader::from_stream(&bytes[..], "standard input"),
        ] {
            let error = result.err().unwrap();
            let text = error.to_string();
            assert!(matches!(error, AudioError::NotAudio { .. }), "{text}");
            assert!(
                text.starts_with("standard input") && text.contains(name),
                "{text}"
            );
        }
    }
    assert!(matches!(sniff(b""), Sniffed::Known(foreign) if foreign.name == "empty"));
    assert_eq!(sniff(b"RIFF\0\0\0\0WAVEfmt "), Sniffed::Wav);
    assert_eq!(sniff(b"fLaC\0\0\0\x22"), Sniffed::Flac);
}

#[test]
fn headerless_pcm_is_not_mistaken_for_anything() {
    let mut random = Random::new(31);
    for round in 0..20_000 {
        let bytes: Vec<u8> = (0..12 + random.below(600))
            .map(|_| random.below(256) as u8)
            .collect();
        assert_eq!(sniff(&bytes), Sniffed::Raw, "round {round}");
    }
    // Silence of every code, quiet noise on one side of zero (printable in A-law), small negative
    // samples.
    for code in 0..=255_u8 {
        for length in [12, 64, 160, 512, 4_096] {
            assert_eq!(sniff(&vec![code; length]), Sniffed::Raw, "{code:#x}");
        }
    }
    for (low, span) in [
        (0x50, 8),
        (0x40, 32),
        (0x70, 15),
        (0x60, 31),
        (0xf8, 8),
        (0x7c, 8),
    ] {
        let bytes: Vec<u8> = (0..600).map(|_| (low + random.below(span)) as u8).collect();
        assert_eq!(sniff(&bytes), Sniffed::Raw, "{low:#x}");
    }
    let negative: Vec<u8> = (0..600)
        .flat_map(|i| (-1 - i % 1_100_i16).to_le_bytes())
        .collect();
    for start in (0..1_000).step_by(2) {
        assert_eq!(sniff(&negative[start..]), Sniffed::Raw);
    }
    for format in [Wav::U8, Wav::S16, Wav::S24, Wav::S32, Wav::F32, Wav::F64] {
        for (offset, scale) in [(0.0, 1.0), (-0.4, 0.3), (0.4, 0.001), (-0.01, 0.001)] {
            let mut bytes = Vec::new();
            for value in vowel(8_000, 110.0, 0.3) {
                format.encode(value * scale + offset, &mut bytes);
            }
            for start in (0..1_000).step_by(usize::from(format.bytes())) {
                assert_eq!(sniff(&bytes[start..]), Sniffed::Raw, "{format:?} {offset}");
            }
        }
    }
}

#[test]
fn an_incomplete_frame_at_the_end_is_told() {
    let mut reader = AudioReader::raw(&[0; 6][..], RAW, "-").unwrap();
    let mut block = Vec::new();
    assert!(reader.read(&mut block).unwrap() && block.len() == 2);
    assert!(!reader.read(&mut block).unwrap());
    let expected = [AudioWarning::PartFrame { bytes: 2, frame: 4 }];
    assert_eq!(reader.warnings(), expected);
    let stereo = Format {
        channels: 2,
        block: 4,
        ..Format::MONO
    };
    let wav = riff(&[stereo.chunk(&[]), Chunk::new(b"data", &ramp(5))]);
    let (pcm, warnings) = read_whole(AudioReader::from_bytes(&wav, "x").unwrap()).unwrap();
    assert_eq!((pcm.samples.len(), &warnings[..]), (2, &expected[..]));
}
