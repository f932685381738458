//! The cells of one column, whatever type the writer gave it.

use ::parquet::basic::{ConvertedType, LogicalType};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{ByteArray, DataType, DoubleType, FixedLenByteArray, Int64Type};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::ColumnDescriptor;

/// Rows decoded at a time: memory grows with what the file really holds, not with what its header claims.
const READ_CHUNK: usize = 4096;

/// The cells of one column of one row group.
pub enum Cells {
    /// Numbers; none where the cell is empty.
    Number(Vec<Option<f64>>),
    /// Texts.
    Text(Vec<Option<String>>),
}

impl Cells {
    pub fn len(&self) -> usize {
        match self {
            Self::Number(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }
}

/// Decodes a column.
pub fn read(reader: ColumnReader, column: &ColumnDescriptor) -> Result<Cells, ParquetError> {
    let level = column.max_def_level();
    let scale = decimal_scale(column);
    Ok(match reader {
        ColumnReader::FloatColumnReader(r) => {
            Cells::Number(typed(r, level, |v| Ok(f64::from(*v)))?)
        }
        ColumnReader::DoubleColumnReader(r) => {
            Cells::Number(typed::<DoubleType, _>(r, level, |v| Ok(*v))?)
        }
        ColumnReader::Int32ColumnReader(r) => {
            Cells::Number(typed(r, level, |v| Ok(f64::from(*v) / scale))?)
        }
        ColumnReader::Int64ColumnReader(r) => {
            Cells::Number(typed::<Int64Type, _>(r, level, |v| Ok(*v as f64 / scale))?)
        }
        ColumnReader::BoolColumnReader(r) => {
            Cells::Number(typed(r, level, |v| Ok(f64::from(u8::from(*v))))?)
        }
        ColumnReader::ByteArrayColumnReader(r) => Cells::Text(typed(r, level, |v: &ByteArray| {
            Ok(v.as_utf8()?.to_owned())
        })?),
        ColumnReader::FixedLenByteArrayColumnReader(r) => {
            let half = column.logical_type_ref() == Some(&LogicalType::Float16);
            if !half && !is_decimal(column) {
                return Err(other_type());
            }
            Cells::Number(typed(r, level, |v: &FixedLenByteArray| {
                Ok(match (half, v.data()) {
                    (true, &[low, high]) => half_precision(u16::from_le_bytes([low, high])),
                    (true, _) => return Err(other_type()),
                    (false, bytes) => big_endian(bytes) / scale,
                })
            })?)
        }
        ColumnReader::Int96ColumnReader(_) => return Err(other_type()),
    })
}

fn other_type() -> ParquetError {
    ParquetError::NYI("neither numbers nor text".to_owned())
}

fn is_decimal(column: &ColumnDescriptor) -> bool {
    matches!(column.logical_type_ref(), Some(LogicalType::Decimal(_)))
        || column.converted_type() == ConvertedType::DECIMAL
}

/// What a stored whole number is divided by.
fn decimal_scale(column: &ColumnDescriptor) -> f64 {
    if is_decimal(column) {
        10f64.powi(column.type_scale())
    } else {
        1.0
    }
}

/// A whole number in two's complement, the high byte first.
fn big_endian(bytes: &[u8]) -> f64 {
    let negative = bytes.first().is_some_and(|b| *b >= 0x80);
    let magnitude = bytes.iter().fold(0.0, |sum, b| {
        sum * 256.0 + f64::from(if negative { !*b } else { *b })
    });
    if negative {
        -magnitude - 1.0
    } else {
        magnitude
    }
}

/// IEEE 754 binary16.
fn half_precision(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    sign * match exponent {
        0 => fraction * 2f64.powi(-14),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction) * 2f64.powi(exponent - 15),
    }
}

fn typed<T: DataType, V>(
    mut reader: ColumnReaderImpl<T>,
    max_level: i16,
    convert: impl Fn(&T::T) -> Result<V, ParquetError>,
) -> Result<Vec<Option<V>>, ParquetError> {
    let mut cells = Vec::new();
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    loop {
        values.clear();
        levels.clear();
        let (records, read, _) =
            reader.read_records(READ_CHUNK, Some(&mut levels), None, &mut values)?;
        if records == 0 {
            return Ok(cells);
        }
        if max_level == 0 {
            for value in values.iter().take(read) {
                cells.push(Some(convert(value)?));
            }
        } else {
            let mut present = values.iter();
            for level in levels.iter().take(records) {
                let value = if *level == max_level {
                    present.next()
                } else {
                    None
                };
                cells.push(value.map(&convert).transpose()?);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusual_numbers() {
        for (bits, value) in [
            (0x3c00, 1.0),
            (0xc000, -2.0),
            (0x3555, 0.333_251_953_125),
            (0x0001, 5.960_464_477_539_063e-8),
            (0x7c00, f64::INFINITY),
        ] {
            assert_eq!(half_precision(bits), value);
        }
        assert!(half_precision(0x7e00).is_nan());
        assert_eq!(big_endian(&[0, 0, 1, 44]), 300.0);
        assert_eq!(big_endian(&[255, 255, 254, 212]), -300.0);
        assert_eq!(big_endian(&[]), 0.0);
    }
}
