//! FLAC (RFC 9639), decoded frame by frame.
//!
//! A decoder of our own, because files in the wild must not lose samples over what does not matter:
//! a tag behind the last frame, a wrong number of samples in the header, damage in the middle.

mod bits;
mod frame;
mod md5;

use super::source::Source;
use super::{AudioError, AudioWarning, FRAMES_AT_ONCE, Warnings, check_channels, check_rate, tags};
use bits::Fault;
use frame::{FRAME_BYTES_MIN, HEADER_BYTES, Header};
use md5::Md5;

/// How far the first frame is searched for where the stream information is missing.
const SEARCHED_BYTES: usize = 1 << 16;

/// What the stream information says.
struct StreamInfo {
    block_size: usize,
    sample_rate: u32,
    channels: usize,
    bits: u32,
    total: Option<u64>,
    md5: Option<[u8; 16]>,
}

/// A FLAC file, from its first frame on.
pub(super) struct FlacReader {
    info: StreamInfo,
    md5: Md5,
    bytes: Vec<u8>,
    planes: Vec<Vec<i64>>,
    /// The planes hold a frame that was not given away.
    ready: bool,
    /// Samples of silence to give away before it.
    silence: u64,
    /// Where the next frame should start, in samples.
    expected: u64,
    /// Samples per channel given away.
    read: u64,
    /// Some of the samples are not those that were coded.
    damaged: bool,
    ended: bool,
}

impl FlacReader {
    /// Reads up to the first frame.
    pub(super) fn open(
        source: &mut Source<'_>,
        warnings: &mut Warnings,
    ) -> Result<Self, AudioError> {
        source.header::<4>()?;
        let mut info = None;
        loop {
            let [kind, size @ ..] = source.header::<4>()?;
            let size = size.iter().fold(0, |v, &byte| v << 8 | u64::from(byte));
            if kind & 0x7f == 0 && size >= 34 && info.is_none() {
                info = StreamInfo::parse(source.peek(34)?);
            }
            if source.skip(size)? < size {
                return Err(AudioError::TruncatedHeader {
                    file: source.file.clone(),
                });
            }
            if kind & 0x80 != 0 {
                break;
            }
        }
        let info = match info {
            Some(info) => info,
            None => {
                let info = StreamInfo::of_first_frame(source)?.ok_or_else(|| {
                    source.malformed("it has neither stream information nor a complete frame")
                })?;
                warnings.add(AudioWarning::NoStreamInfo)?;
                info
            }
        };
        check_rate(&source.file, info.sample_rate)?;
        check_channels(&source.file, info.channels)?;
        Ok(Self {
            info,
            md5: Md5::new(),
            bytes: Vec::new(),
            planes: Vec::new(),
            ready: false,
            silence: 0,
            expected: 0,
            read: 0,
            damaged: false,
            ended: false,
        })
    }

    pub(super) fn sample_rate(&self) -> u32 {
        self.info.sample_rate
    }

    pub(super) fn channels(&self) -> u16 {
        self.info.channels as u16
    }

    /// Bits of a sample.
    pub(super) fn bits(&self) -> u32 {
        self.info.bits
    }

    pub(super) fn declared(&self) -> Option<u64> {
        self.info.total
    }

    /// The value that becomes 1.
    pub(super) fn full_scale(&self) -> f32 {
        ((1_i64 << (self.info.bits - 1)) - 1) as f32
    }

    /// Appends the next frames to `values`, interleaved; `false` at the end.
    pub(super) fn read(
        &mut self,
        source: &mut Source<'_>,
        warnings: &mut Warnings,
        values: &mut Vec<f32>,
    ) -> Result<bool, AudioError> {
        if !self.ready && !self.ended && !self.next(source, warnings)? {
            self.ended = true;
            self.finish(warnings)?;
        }
        let left = self
            .info
            .total
            .map_or(u64::MAX, |total| total.saturating_sub(self.read));
        let silence = self.silence.min(left).min(FRAMES_AT_ONCE as u64);
        if silence > 0 {
            values.resize(silence as usize * self.info.channels, 0.0);
            self.silence -= silence;
            self.read += silence;
            return Ok(true);
        }
        if !self.ready {
            return Ok(false);
        }
        self.ready = false;
        let coded = self.planes.first().map_or(0, Vec::len);
        let frames = usize::try_from(left).map_or(coded, |left| coded.min(left));
        if frames < coded {
            self.ended = true;
            let declared = self.read + frames as u64;
            warnings.add(AudioWarning::MoreThanDeclared { declared })?;
        }
        if frames == 0 {
            return Ok(false);
        }
        self.read += frames as u64;
        let width = self.info.bits.div_ceil(8) as usize;
        self.bytes.clear();
        for index in 0..frames {
            for plane in &self.planes {
                values.push(plane[index] as f32);
                if self.info.md5.is_some() {
                    self.bytes
                        .extend_from_slice(&plane[index].to_le_bytes()[..width]);
                }
            }
        }
        self.md5.push(&self.bytes);
        Ok(true)
    }

    /// Decodes the next frame into the planes; `false` where there is none any more. What lies
    /// before it is skipped, and silence set for what that held.
    fn next(
        &mut self,
        source: &mut Source<'_>,
        warnings: &mut Warnings,
    ) -> Result<bool, AudioError> {
        let mut lost = 0;
        loop {
            let head = source.peek(HEADER_BYTES)?;
            if head.is_empty() {
                break;
            }
            if let Some(header) = Header::parse(head).filter(|header| self.info.fits(header)) {
                match header.decode(source, self.info.bits, &mut self.planes) {
                    Ok(length) => {
                        source.take(length);
                        self.arrived(&header, lost, warnings)?;
                        return Ok(true);
                    }
                    Err(Fault::Audio(error)) => return Err(error),
                    Err(Fault::NoFrame) => {}
                }
            }
            if lost == 0
                && let Some(what) = tags::behind(source)?
                && (what != tags::ZEROS || self.info.total == Some(self.expected))
            {
                let bytes = source.drain()?;
                warnings.add(AudioWarning::After { what, bytes })?;
                return Ok(false);
            }
            let head = source.buffered();
            let next = head.iter().skip(1).position(|&byte| byte == 0xff);
            let bytes = next.map_or(head.len(), |at| at + 1);
            source.take(bytes);
            lost += bytes as u64;
        }
        if lost > 0 && self.info.total.is_none_or(|total| self.expected >= total) {
            let what = "no frame of it";
            warnings.add(AudioWarning::After { what, bytes: lost })?;
        }
        Ok(false)
    }

    /// Takes note of the frame in the planes, which was found behind `lost` bytes that are none.
    fn arrived(
        &mut self,
        header: &Header,
        lost: u64,
        warnings: &mut Warnings,
    ) -> Result<(), AudioError> {
        let start = match header.variable {
            true => header.number,
            false => header.number * self.info.block_size as u64,
        };
        if lost > 0 {
            // No more silence than the frames can have held for which there was room.
            let room = (lost / FRAME_BYTES_MIN + 1) * self.info.block_size as u64;
            let gap = start.saturating_sub(self.expected);
            self.silence = if gap <= room { gap } else { 0 };
            self.damaged = true;
            warnings.add(AudioWarning::Damaged {
                after: self.read,
                bytes: lost,
                silence: self.silence,
            })?;
        }
        self.expected = start + header.block_size as u64;
        self.ready = true;
        Ok(())
    }

    /// Compares what was read with what was declared.
    fn finish(&mut self, warnings: &mut Warnings) -> Result<(), AudioError> {
        let found = self.read;
        match self.info.total {
            Some(declared) if found < declared => {
                warnings.add(AudioWarning::Truncated { declared, found })
            }
            _ => {
                let sum = std::mem::replace(&mut self.md5, Md5::new()).finish();
                if !self.damaged && self.info.md5.is_some_and(|declared| declared != sum) {
                    warnings.add(AudioWarning::Md5)?;
                }
                Ok(())
            }
        }
    }
}

impl StreamInfo {
    /// `None` where it cannot be true.
    fn parse(block: &[u8]) -> Option<Self> {
        let block = block.first_chunk::<34>()?;
        let number = |range: std::ops::Range<usize>| {
            block[range]
                .iter()
                .fold(0, |v, &byte| v << 8 | u64::from(byte))
        };
        let packed = number(10..18);
        let md5 = *block[18..].first_chunk::<16>()?;
        let info = Self {
            block_size: number(2..4) as usize,
            sample_rate: (packed >> 44) as u32,
            channels: (packed >> 41 & 7) as usize + 1,
            bits: (packed >> 36 & 31) as u32 + 1,
            total: Some(packed & 0xf_ffff_ffff).filter(|&total| total > 0),
            md5: Some(md5).filter(|&sum| sum != [0; 16]),
        };
        (info.sample_rate > 0 && info.bits >= 4).then_some(info)
    }

    /// What the first frame says, if that is enough.
    fn of_first_frame(source: &mut Source<'_>) -> Result<Option<Self>, AudioError> {
        let head = source.peek(SEARCHED_BYTES)?;
        let mut headers = (0..head.len()).filter_map(|at| Header::parse(&head[at..]));
        Ok(headers.find_map(|header| {
            Some(Self {
                block_size: header.block_size,
                sample_rate: header.sample_rate?,
                channels: header.channels,
                bits: header.bits?,
                total: None,
                md5: None,
            })
        }))
    }

    /// Whether a frame may belong to this stream.
    fn fits(&self, header: &Header) -> bool {
        header.channels == self.channels
            && header.bits.is_none_or(|bits| bits == self.bits)
            && header
                .sample_rate
                .is_none_or(|rate| rate == self.sample_rate)
    }
}
