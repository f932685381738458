//! What a stream of bytes is, from how it starts.

/// What the first bytes of a stream say that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sniffed {
    /// A WAV file: RIFF, RIFX, RF64 or BW64.
    Wav,
    /// A FLAC file.
    Flac,
    /// Something that is known and not read here.
    Known(Foreign),
    /// Nothing that is known: headerless PCM, perhaps.
    Raw,
}

/// A format that is known by its first bytes but not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    /// Its name in words, with an article: `an MP3 file`.
    pub name: &'static str,
    /// What to do, with a command where one helps.
    pub remedy: &'static str,
}

const CONVERT: &str = "convert it, for example with `ffmpeg -i INPUT output.wav`";
const UNPACK: &str = "unpack it first";
const NO_AUDIO: &str = "give a recording";
const TEXT: Foreign = Foreign {
    name: "text",
    remedy: NO_AUDIO,
};
const HTML: Foreign = Foreign {
    name: "a web page (HTML)",
    remedy: "download the recording itself",
};
pub(super) const MP3: Foreign = Foreign {
    name: "an MP3 file",
    remedy: CONVERT,
};
const AAC: Foreign = Foreign {
    name: "an AAC (ADTS) file",
    remedy: CONVERT,
};

/// First bytes, where they lie, and what they stand for. Four bytes at least, so that headerless
/// PCM is not taken for something else. The first that fits counts.
const MAGICS: [(usize, &[u8], &str, &str); 42] = [
    (28, b"\x01vorbis", "an Ogg Vorbis file", CONVERT),
    (28, b"OpusHead", "an Ogg Opus file", CONVERT),
    (28, b"Speex   ", "an Ogg Speex file", CONVERT),
    (28, b"\x7fFLAC", "a FLAC stream inside an Ogg file", CONVERT),
    (0, b"OggS\0", "an Ogg file (Vorbis or Opus)", CONVERT),
    (4, b"ftypM4A", "an M4A (AAC or ALAC) file", CONVERT),
    (4, b"ftyp3g", "a 3GP file", CONVERT),
    (4, b"ftypqt", "a QuickTime file", CONVERT),
    (4, b"ftyp", "an MP4 or M4A file", CONVERT),
    (8, b"AIFC", "an AIFF-C file", CONVERT),
    (8, b"AIFF", "an AIFF file", CONVERT),
    (0, b".snd", "an AU file", CONVERT),
    (0, b"dns.", "an AU file", CONVERT),
    (0, b"caff\0\x01", "a CAF (Core Audio) file", CONVERT),
    (0, b"#!AMR-WB", "an AMR-WB file", CONVERT),
    (0, b"#!AMR", "an AMR file", CONVERT),
    (0, b"#!SILK", "a SILK (voice message) file", CONVERT),
    (0, b"\x02#!SILK", "a SILK (voice message) file", CONVERT),
    (
        0,
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",
        "a WMA (ASF) file",
        CONVERT,
    ),
    (0, b"\x1a\x45\xdf\xa3", "a WebM or Matroska file", CONVERT),
    (
        0,
        b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb",
        "a Wave64 (W64) file",
        CONVERT,
    ),
    (
        0,
        b"NIST_1A",
        "a NIST SPHERE (SPH) file",
        "convert it, for example with `sox INPUT output.wav` or `sph2pipe -f wav`",
    ),
    (0, b"Creative Voice File", "a VOC file", CONVERT),
    (0, b"\x64\xa3\x01\0", "an IRCAM file", CONVERT),
    (0, b"wvpk", "a WavPack file", CONVERT),
    (0, b"MAC ", "a Monkey's Audio (APE) file", CONVERT),
    (0, b"TTA1", "a True Audio (TTA) file", CONVERT),
    (0, b"DSD ", "a DSF (DSD) file", CONVERT),
    (0, b"FRM8", "a DSDIFF (DSD) file", CONVERT),
    (0, b"MThd", "a MIDI file, notes without sound", NO_AUDIO),
    (0, b"FLV\x01", "a Flash video", CONVERT),
    (0, b"\0\0\x01\xba", "an MPEG video", CONVERT),
    (0, b"\xfd7zXZ\0", "an xz archive", UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", UNPACK),
    (0, b"\x28\xb5\x2f\xfd", "a zstd archive", UNPACK),
    (0, b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (0, b"PK\x03\x04", "a ZIP archive", UNPACK),
    (0, b"BZh91AY&SY", "a bzip2 archive", UNPACK),
    (0, b"\x93NUMPY", "a NumPy array", NO_AUDIO),
    (0, b"PAR1", "a Parquet table", NO_AUDIO),
    (0, b"%PDF-", "a PDF document", NO_AUDIO),
    (0, b"\x89PNG\r\n", "a picture", NO_AUDIO),
];

/// Kinds of RIFF files that are not WAV.
const RIFF_KINDS: [(&[u8; 4], &str); 3] = [
    (b"AVI ", "an AVI video"),
    (b"QLCM", "a QCP (telephone) file"),
    (b"WEBP", "a picture"),
];

/// Bytes at the start of a stream that tell what it is: enough for every header here. With fewer
/// the answer may be [`Sniffed::Raw`] where it would be another with more.
pub const SNIFF_BYTES: usize = 4096;
/// Bytes after which a stream may be called headerless PCM: the magic of a WAV file is as long.
pub(super) const MAGIC_BYTES: usize = 12;

/// Says what the stream that starts with `head` is. Headerless PCM is not mistaken for anything
/// else: formats without a magic of their own (MP3, AAC) must show several frames, and text must be
/// nothing but text. An `ID3` tag is looked behind if what lies there is within `head`.
pub fn sniff(head: &[u8]) -> Sniffed {
    let known = |name, remedy| Sniffed::Known(Foreign { name, remedy });
    if head.is_empty() {
        return known("empty", NO_AUDIO);
    }
    if let Some(length) = id3_length(head) {
        let behind = usize::try_from(length).ok().and_then(|at| head.get(at..));
        return match behind.map(sniff) {
            Some(found @ (Sniffed::Wav | Sniffed::Flac)) => found,
            _ => Sniffed::Known(MP3),
        };
    }
    match head {
        [b'R', b'I', b'F', b'F' | b'X', _, _, _, _, kind @ ..]
        | [b'R', b'F', b'6', b'4', _, _, _, _, kind @ ..]
        | [b'B', b'W', b'6', b'4', _, _, _, _, kind @ ..] => {
            if kind.starts_with(b"WAVE") {
                return Sniffed::Wav;
            }
            let other = RIFF_KINDS.iter().find(|(id, _)| kind.starts_with(*id));
            if let Some((_, name)) = other {
                return known(name, CONVERT);
            }
        }
        // The marker, then the first block: stream information, 34 bytes of it, or any other.
        [b'f', b'L', b'a', b'C', block, ..] if block & 0x7f < 7 => return Sniffed::Flac,
        [b'f', b'L', b'a', b'C'] => return Sniffed::Flac,
        // gzip: the method is always 8, three flags are reserved, the rest is at most 3 values.
        [0x1f, 0x8b, 8, flags, _, _, _, _, 0 | 2 | 4, _, ..] if flags & 0xe0 == 0 => {
            return known("a gzip archive", UNPACK);
        }
        _ => {}
    }
    let magic = MAGICS
        .iter()
        .find(|(at, magic, ..)| head.get(*at..).is_some_and(|rest| rest.starts_with(magic)));
    if let Some(&(at, _, name, remedy)) = magic {
        // A word further inside counts only in its container.
        let contained = match at {
            28 => head.starts_with(b"OggS"),
            8 => head.starts_with(b"FORM"),
            _ => true,
        };
        if contained {
            return known(name, remedy);
        }
    }
    if frames(head, mp3_frame) {
        return Sniffed::Known(MP3);
    }
    if frames(head, adts_frame) {
        return Sniffed::Known(AAC);
    }
    match text(head) {
        true if html(head) => Sniffed::Known(HTML),
        true => Sniffed::Known(TEXT),
        false => Sniffed::Raw,
    }
}

/// Bytes of the ID3v2 tag at the start of `head`, with its header and footer, if one is there.
pub(super) fn id3_length(head: &[u8]) -> Option<u64> {
    let &[b'I', b'D', b'3', version, revision, flags, a, b, c, d] = head.first_chunk::<10>()?
    else {
        return None;
    };
    let size = [a, b, c, d];
    if !(2..=4).contains(&version) || revision == 0xff || size.iter().any(|&byte| byte > 0x7f) {
        return None;
    }
    let size = size.iter().fold(0, |sum, &byte| sum << 7 | u64::from(byte));
    Some(10 + size + if flags & 0x10 == 0 { 0 } else { 10 })
}

/// Frames in a row after which a format without a magic is believed.
const FRAMES: usize = 3;

/// Whether `head` starts with at least [`FRAMES`] frames in a row of which `frame` tells the length
/// and what must be the same in all of them.
fn frames(head: &[u8], frame: fn(&[u8]) -> Option<(usize, u32)>) -> bool {
    let (mut at, mut same) = (0, None);
    for _ in 0..FRAMES {
        let Some((length, kind)) = head.get(at..).and_then(frame) else {
            return false;
        };
        if same.is_some_and(|same| same != kind) {
            return false;
        }
        same = Some(kind);
        at += length;
    }
    true
}

/// Length of the MPEG-1/2 layer 3 frame whose header `bytes` starts with.
fn mp3_frame(bytes: &[u8]) -> Option<(usize, u32)> {
    const V1: [usize; 14] = [
        32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ];
    const V2: [usize; 14] = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
    const RATES: [usize; 3] = [44_100, 48_000, 32_000];
    let header = u32::from_be_bytes(*bytes.first_chunk()?);
    let field = |shift: u32, bits: u32| (header >> shift & ((1 << bits) - 1)) as usize;
    let (version, layer) = (field(19, 2), field(17, 2));
    if field(21, 11) != 0x7ff || version == 1 || layer != 1 {
        return None;
    }
    let (rates, per_frame, slower) = match version {
        3 => (V1, 144, 1),
        2 => (V2, 72, 2),
        _ => (V2, 72, 4),
    };
    let kbits = *rates.get(field(12, 4).checked_sub(1)?)?;
    let rate = RATES.get(field(10, 2))? / slower;
    let length = per_frame * kbits * 1_000 / rate + field(9, 1);
    Some((length, header & 0xfffe_0c00))
}

/// Length of the ADTS frame whose header `bytes` starts with.
fn adts_frame(bytes: &[u8]) -> Option<(usize, u32)> {
    let &[a, b, c, d, e, f, ..] = bytes.first_chunk::<6>()?;
    let rate = c >> 2 & 15;
    let length = usize::from(d & 3) << 11 | usize::from(e) << 3 | usize::from(f >> 5);
    let kind = u32::from_be_bytes([a, b, c & 0xfd, d & 0xf0]);
    (a == 0xff && b & 0xf6 == 0xf0 && rate < 13 && length > 7).then_some((length, kind))
}

/// Fewest bytes that are called text.
const TEXT_BYTES: usize = 64;
/// Bytes that are looked at for text.
const TEXT_LOOK: usize = 512;

/// Whether the first bytes are surely text: only printable characters in UTF-8, at least three
/// letters, and blanks or ends of lines as often as in any writing. Quiet A-law is printable too
/// (`UTUVU...`), but blanks in it would be loud.
fn text(head: &[u8]) -> bool {
    let head = &head[..head.len().min(TEXT_LOOK)];
    let whole = match core::str::from_utf8(head) {
        Ok(text) => text,
        // A character may be cut at the end.
        Err(error) if error.error_len().is_none() => {
            core::str::from_utf8(&head[..error.valid_up_to()]).unwrap_or_default()
        }
        Err(_) => return false,
    };
    let whole = whole.trim_start_matches('\u{feff}');
    let printable = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    let blanks = whole.chars().filter(|c| c.is_whitespace()).count();
    let letters = whole.chars().filter(|c| c.is_alphanumeric()).count();
    // An end of line says as much as many blanks: tables have few of those.
    let lines = whole.contains('\n');
    whole.len() >= TEXT_BYTES
        && whole.chars().all(printable)
        && letters * 3 >= whole.chars().count()
        && (lines || blanks * 20 >= whole.chars().count())
}

fn html(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    [&b"<!doctype html"[..], b"<html", b"<head", b"<body"]
        .iter()
        .any(|tag| {
            text.get(..tag.len())
                .is_some_and(|t| t.eq_ignore_ascii_case(tag))
        })
}
