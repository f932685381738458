//! The format chunk of a WAV file, and the names of what it can say.

use super::super::raw::{RawEncoding, RawFormat};
use super::super::source::Source;
use super::super::{AudioError, AudioWarning};

/// Most bytes of a format chunk that mean anything: `WAVEFORMATEXTENSIBLE`.
pub(super) const FORMAT_BYTES: usize = 40;
const EXTENSIBLE: u16 = 0xfffe;
/// The sub-format GUIDs of `WAVEFORMATEXTENSIBLE` are a format tag in two bytes and one of these:
/// Microsoft's, and that of Ambisonic B-format files.
const GUID_TAILS: [[u8; 14]; 2] = [
    [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71],
    [
        0, 0, 0x21, 7, 0xd3, 0x11, 0x86, 0x44, 0xc8, 0xc1, 0xca, 0, 0, 0,
    ],
];

/// What other format tags stand for (Microsoft's `mmreg.h`).
const TAGS: [(u16, &str); 52] = [
    (0x0002, "Microsoft ADPCM (MS-ADPCM)"),
    (0x0004, "Compaq VSELP"),
    (0x0005, "IBM CVSD"),
    (0x0008, "DTS"),
    (0x000a, "Windows Media voice"),
    (0x0010, "OKI ADPCM"),
    (0x0011, "IMA ADPCM (DVI ADPCM)"),
    (0x0012, "MediaSpace ADPCM"),
    (0x0013, "Sierra ADPCM"),
    (0x0014, "G.723 ADPCM"),
    (0x0015, "DIGISTD"),
    (0x0016, "DIGIFIX"),
    (0x0017, "Dialogic OKI ADPCM"),
    (0x0020, "Yamaha ADPCM"),
    (0x0021, "SONARC"),
    (0x0022, "DSP Group TrueSpeech"),
    (0x0028, "LRC"),
    (0x0030, "Dolby AC-2"),
    (0x0031, "GSM 6.10"),
    (0x0036, "VQLPC"),
    (0x003b, "Rockwell ADPCM"),
    (0x0040, "G.721 ADPCM"),
    (0x0041, "G.728 CELP"),
    (0x0042, "G.723.1"),
    (0x0045, "G.726 ADPCM"),
    (0x0050, "MPEG audio layer 1 or 2"),
    (0x0055, "MP3"),
    (0x0057, "AMR narrow-band"),
    (0x0058, "AMR wide-band"),
    (0x0061, "Duck DK4 ADPCM"),
    (0x0062, "Duck DK3 ADPCM"),
    (0x0064, "G.726 ADPCM"),
    (0x0065, "G.722 ADPCM"),
    (0x0069, "Xbox IMA ADPCM"),
    (0x0075, "Voxware MetaSound"),
    (0x0083, "G.729"),
    (0x0092, "Dolby AC-3"),
    (0x00ff, "AAC"),
    (0x0111, "Vivo G.723"),
    (0x0125, "Sanyo LD-ADPCM"),
    (0x0130, "Sipro Lab ACELP"),
    (0x0160, "Windows Media Audio 1"),
    (0x0161, "Windows Media Audio 2"),
    (0x0162, "Windows Media Audio Professional"),
    (0x0163, "Windows Media Audio Lossless"),
    (0x1610, "AAC"),
    (0x2000, "Dolby AC-3"),
    (0x2001, "DTS"),
    (0x566f, "Vorbis"),
    (0x704f, "Opus"),
    (0xa109, "Speex"),
    (0xf1ac, "FLAC"),
];

/// What a format chunk says.
pub(super) struct Parsed {
    pub(super) format: RawFormat,
    /// The encoding in words.
    pub(super) words: String,
    pub(super) warning: Option<AudioWarning>,
}

/// `PCMWAVEFORMAT`, `WAVEFORMATEX` or `WAVEFORMATEXTENSIBLE`; `big_endian` in RIFX.
pub(super) fn parse(
    source: &Source<'_>,
    body: &[u8],
    big_endian: bool,
) -> Result<Parsed, AudioError> {
    let word = |at: usize| {
        let bytes = [body[at], body[at + 1]];
        match big_endian {
            true => u16::from_be_bytes(bytes),
            false => u16::from_le_bytes(bytes),
        }
    };
    if body.len() < 16 {
        return Err(source.malformed("its format chunk is too short"));
    }
    let long = [body[4], body[5], body[6], body[7]];
    let sample_rate = match big_endian {
        true => u32::from_be_bytes(long),
        false => u32::from_le_bytes(long),
    };
    let (mut tag, channels, block, bits) = (word(0), word(2), word(12), word(14));
    let mut valid = bits;
    if tag == EXTENSIBLE {
        let Some(guid) = body.get(24..FORMAT_BYTES) else {
            return Err(source.malformed("its extensible format chunk is too short"));
        };
        if !GUID_TAILS.iter().any(|tail| guid[2..] == *tail) {
            return Err(source.unsupported(format!(
                "an extensible WAV format of unknown kind (GUID {})",
                hex(guid)
            )));
        }
        valid = word(18);
        tag = word(24);
    }
    // Sixteen bits may be called by any number from 9 to 16: the samples lie in whole bytes,
    // shifted up.
    let encoding = match (tag, bits) {
        (1, 24) if usize::from(block) == 4 * usize::from(channels) => {
            return Err(source.unsupported(
                "24-bit samples in frames of 32 bits, which programs read in different ways"
                    .to_owned(),
            ));
        }
        (1, 1..=8) => RawEncoding::U8,
        (1, 9..=16) => RawEncoding::S16le,
        (1, 17..=24) => RawEncoding::S24le,
        (1, 25..=32) => RawEncoding::S32le,
        (3, 25..=32) => RawEncoding::F32le,
        (3, 57..=64) => RawEncoding::F64le,
        (6, _) => RawEncoding::Alaw,
        (7, _) => RawEncoding::Ulaw,
        _ => return Err(source.unsupported(unread(tag, bits))),
    };
    let format = RawFormat {
        encoding,
        sample_rate,
        channels,
    };
    let width = 8 * encoding.bytes();
    let words = match (encoding.name_in_words(), tag) {
        (name, 1) if usize::from(valid) < width && valid > 0 => {
            format!("{name}, {valid} bits of it used")
        }
        (name, _) => name.to_owned(),
    };
    let warning = if usize::from(block) != format.frame_bytes() {
        Some(AudioWarning::BlockAlign {
            declared: block,
            used: format.frame_bytes(),
            channels,
            bits: width as u16,
        })
    } else if matches!(tag, 6 | 7) && bits != 8 {
        Some(AudioWarning::SampleBits {
            declared: bits,
            encoding: encoding.name_in_words(),
        })
    } else {
        None
    };
    Ok(Parsed {
        format,
        words,
        warning,
    })
}

/// A format that is not read, in words.
fn unread(tag: u16, bits: u16) -> String {
    match (tag, TAGS.iter().find(|(known, _)| *known == tag)) {
        (_, Some((_, name))) => format!("a WAV file that holds {name}, which is not read"),
        (1, _) => format!("a WAV file of integers of {bits} bits a sample, which are not read"),
        (3, _) => format!("a WAV file of floats of {bits} bits a sample, which are not read"),
        _ => format!("a WAV file of unknown format (tag {tag:#06x}, {bits} bits a sample)"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
