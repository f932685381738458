//! One FLAC frame (RFC 9639, section 9).

use super::super::source::Source;
use super::bits::{Bits, Fault};

/// Longest frame header: sync code and fields, number, block size, rate, checksum.
pub(super) const HEADER_BYTES: usize = 16;
/// Fewest bytes of a frame: a header, a constant, a checksum.
pub(super) const FRAME_BYTES_MIN: u64 = 10;

/// A frame header whose checksum fits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) block_size: usize,
    /// `None`: that of the stream information.
    pub(super) sample_rate: Option<u32>,
    pub(super) channels: usize,
    /// `None`: that of the stream information.
    pub(super) bits: Option<u32>,
    /// Where the frame starts: a sample if blocks vary in size, else a block.
    pub(super) number: u64,
    pub(super) variable: bool,
    stereo: Stereo,
    length: usize,
}

/// How two channels are coded.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Stereo {
    Independent,
    LeftSide,
    SideRight,
    MidSide,
}

impl Header {
    /// The header that `bytes` starts with.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let &[0xff, sync, sizes, kinds, ..] = bytes.first_chunk::<4>()? else {
            return None;
        };
        if sync & 0xfe != 0xf8 || kinds & 1 != 0 {
            return None;
        }
        let (number, mut at) = coded_number(bytes.get(4..)?)?;
        at += 4;
        let mut field = |count: usize| -> Option<u32> {
            let field = bytes.get(at..at + count)?;
            at += count;
            Some(field.iter().fold(0, |v, &byte| v << 8 | u32::from(byte)))
        };
        let block_size = match sizes >> 4 {
            1 => 192,
            code @ 2..=5 => 576 << (code - 2),
            6 => field(1)? + 1,
            7 => field(2)? + 1,
            code @ 8.. => 256 << (code - 8),
            _ => return None,
        };
        let sample_rate = match sizes & 15 {
            0 => None,
            code @ 1..=11 => Some(
                [
                    88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100,
                    48_000, 96_000,
                ][usize::from(code) - 1],
            ),
            12 => Some(field(1)? * 1_000),
            13 => Some(field(2)?),
            14 => Some(field(2)? * 10),
            _ => return None,
        };
        let (channels, stereo) = match kinds >> 4 {
            count @ 0..=7 => (usize::from(count) + 1, Stereo::Independent),
            8 => (2, Stereo::LeftSide),
            9 => (2, Stereo::SideRight),
            10 => (2, Stereo::MidSide),
            _ => return None,
        };
        let bits = match kinds >> 1 & 7 {
            0 => None,
            1 => Some(8),
            2 => Some(12),
            4 => Some(16),
            5 => Some(20),
            6 => Some(24),
            7 => Some(32),
            _ => return None,
        };
        (*bytes.get(at)? == crc8(&bytes[..at])).then_some(Self {
            block_size: block_size as usize,
            sample_rate,
            channels,
            bits,
            number,
            variable: sync & 1 != 0,
            stereo,
            length: at + 1,
        })
    }

    /// Decodes the frame that `source` stands at: `planes` holds the samples of each channel.
    /// Returns the frame's length in bytes, none of which is taken.
    pub(super) fn decode(
        &self,
        source: &mut Source<'_>,
        bits: u32,
        planes: &mut Vec<Vec<i64>>,
    ) -> Result<usize, Fault> {
        planes.resize_with(self.channels, Vec::new);
        let mut reader = Bits::new(source, self.length);
        for (index, plane) in planes.iter_mut().enumerate() {
            let side = match self.stereo {
                Stereo::Independent => false,
                Stereo::LeftSide | Stereo::MidSide => index == 1,
                Stereo::SideRight => index == 0,
            };
            plane.clear();
            plane.resize(self.block_size, 0);
            subframe(&mut reader, bits + u32::from(side), plane)?;
        }
        let end = reader.bytes();
        let bytes = source.peek(end + 2)?;
        let sum = bytes.get(end..end + 2).ok_or(Fault::NoFrame)?;
        if sum != crc16(&bytes[..end]).to_be_bytes() {
            return Err(Fault::NoFrame);
        }
        if let [first, second] = planes.as_mut_slice() {
            self.stereo.restore(first, second);
        }
        Ok(end + 2)
    }
}

impl Stereo {
    /// Turns what was coded into left and right.
    fn restore(self, first: &mut [i64], second: &mut [i64]) {
        for (a, b) in first.iter_mut().zip(second) {
            (*a, *b) = match self {
                Self::Independent => return,
                Self::LeftSide => (*a, a.wrapping_sub(*b)),
                Self::SideRight => (a.wrapping_add(*b), *b),
                Self::MidSide => {
                    let mid = a.wrapping_shl(1) | (*b & 1);
                    (mid.wrapping_add(*b) >> 1, mid.wrapping_sub(*b) >> 1)
                }
            };
        }
    }
}

/// A number of 36 bits at most, coded like a character in UTF-8, and its length in bytes.
fn coded_number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let length = match first.leading_ones() as usize {
        0 => return Some((u64::from(first), 1)),
        ones @ 2..=7 => ones,
        _ => return None,
    };
    let mut number = u64::from(first) & (0x7f >> length);
    for &byte in bytes.get(1..length)? {
        if byte & 0xc0 != 0x80 {
            return None;
        }
        number = number << 6 | u64::from(byte & 0x3f);
    }
    Some((number, length))
}

/// Decodes one channel of `bits` bits.
fn subframe(reader: &mut Bits<'_, '_>, bits: u32, samples: &mut [i64]) -> Result<(), Fault> {
    if reader.read(1)? != 0 {
        return Err(Fault::NoFrame);
    }
    let kind = reader.read(6)? as usize;
    let wasted = match reader.read(1)? {
        0 => 0,
        _ => reader.unary()? + 1,
    };
    let wasted = u32::try_from(wasted).map_err(|_| Fault::NoFrame)?;
    let bits = match bits.checked_sub(wasted) {
        Some(0) | None => return Err(Fault::NoFrame),
        Some(bits) => bits,
    };
    match kind {
        0 => samples.fill(reader.signed(bits)?),
        1 => {
            for sample in samples.iter_mut() {
                *sample = reader.signed(bits)?;
            }
        }
        8..=12 => fixed(reader, bits, kind - 8, samples)?,
        32.. => linear(reader, bits, kind - 31, samples)?,
        _ => return Err(Fault::NoFrame),
    }
    if wasted > 0 {
        samples.iter_mut().for_each(|v| *v = v.wrapping_shl(wasted));
    }
    Ok(())
}

/// The first `order` samples, as they are.
fn warm_up(
    reader: &mut Bits<'_, '_>,
    bits: u32,
    order: usize,
    samples: &mut [i64],
) -> Result<(), Fault> {
    for sample in samples.get_mut(..order).ok_or(Fault::NoFrame)? {
        *sample = reader.signed(bits)?;
    }
    Ok(())
}

/// A fixed predictor: differences of the `order`-th order.
fn fixed(
    reader: &mut Bits<'_, '_>,
    bits: u32,
    order: usize,
    samples: &mut [i64],
) -> Result<(), Fault> {
    const WEIGHTS: [&[i64]; 5] = [&[], &[1], &[-1, 2], &[1, -3, 3], &[-1, 4, -6, 4]];
    warm_up(reader, bits, order, samples)?;
    residual(reader, order, samples)?;
    predict(WEIGHTS[order], 0, samples);
    Ok(())
}

/// A linear predictor with its own weights.
fn linear(
    reader: &mut Bits<'_, '_>,
    bits: u32,
    order: usize,
    samples: &mut [i64],
) -> Result<(), Fault> {
    warm_up(reader, bits, order, samples)?;
    let precision = reader.read(4)? as u32 + 1;
    let shift = reader.signed(5)?;
    if precision == 16 || shift < 0 {
        return Err(Fault::NoFrame);
    }
    // The first weight is that of the sample before, the last that of the earliest one.
    let mut weights = [0; 32];
    for weight in weights[..order].iter_mut().rev() {
        *weight = reader.signed(precision)?;
    }
    residual(reader, order, samples)?;
    predict(&weights[..order], shift as u32, samples);
    Ok(())
}

/// Adds to every residual what the samples before it predict.
fn predict(weights: &[i64], shift: u32, samples: &mut [i64]) {
    for at in weights.len()..samples.len() {
        let past = &samples[at - weights.len()..at];
        let sum = past
            .iter()
            .zip(weights)
            .fold(0_i64, |sum, (v, w)| sum.wrapping_add(v.wrapping_mul(*w)));
        samples[at] = samples[at].wrapping_add(sum >> shift);
    }
}

/// Rice-coded residuals for all samples from `order` on.
fn residual(reader: &mut Bits<'_, '_>, order: usize, samples: &mut [i64]) -> Result<(), Fault> {
    let width = match reader.read(2)? {
        0 => 4,
        1 => 5,
        _ => return Err(Fault::NoFrame),
    };
    let partitions = 1 << reader.read(4)?;
    let size = samples.len() / partitions;
    if size * partitions != samples.len() || size < order {
        return Err(Fault::NoFrame);
    }
    for (index, partition) in samples.chunks_exact_mut(size).enumerate() {
        let partition = &mut partition[if index == 0 { order } else { 0 }..];
        let parameter = reader.read(width)? as u32;
        if parameter == (1 << width) - 1 {
            let bits = reader.read(5)? as u32;
            for sample in partition {
                *sample = if bits == 0 { 0 } else { reader.signed(bits)? };
            }
            continue;
        }
        for sample in partition {
            let high = reader.unary()?;
            if high >= 1 << 32 {
                return Err(Fault::NoFrame);
            }
            let folded = high << parameter | reader.read(parameter)?;
            *sample = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        }
    }
    Ok(())
}

/// The checksum of a header: polynomial x^8 + x^2 + x + 1.
fn crc8(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, &byte| {
        (0..8).fold(sum ^ byte, |sum, _| {
            sum << 1 ^ if sum & 0x80 == 0 { 0 } else { 0x07 }
        })
    })
}

/// The checksum of a frame: polynomial x^16 + x^15 + x^2 + 1.
fn crc16(bytes: &[u8]) -> u16 {
    const TABLE: [u16; 256] = {
        let mut table = [0; 256];
        let mut index = 0;
        while index < 256 {
            let (mut sum, mut bit) = ((index as u16) << 8, 0);
            while bit < 8 {
                sum = sum << 1 ^ if sum & 0x8000 == 0 { 0 } else { 0x8005 };
                bit += 1;
            }
            table[index] = sum;
            index += 1;
        }
        table
    };
    bytes.iter().fold(0, |sum, &byte| {
        sum << 8 ^ TABLE[usize::from((sum >> 8) as u8 ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_and_numbers_of_the_standard() {
        // The check values of CRC-8 (SMBUS) and CRC-16 (UMTS), which have these polynomials.
        assert_eq!(crc8(b"123456789"), 0xf4);
        assert_eq!(crc16(b"123456789"), 0xfee8);
        assert_eq!(coded_number("€".as_bytes()), Some((0x20ac, 3)));
        assert_eq!(
            coded_number(&[0xfe, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81]),
            Some((1, 7))
        );
        assert_eq!(coded_number(&[0x80]), None);
        assert_eq!(coded_number(&[0xc3]), None);
    }
}
