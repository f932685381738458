//! Feature tables as Parquet, column by column: text columns that describe the row, then the features as
//! 32-bit floats. Feature set and extractor version stand in the file's key-value metadata.

use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{
    ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int32Type, Int64Type,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::file::writer::{
    SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter,
};
use ::parquet::schema::types::{ColumnPath, Type};

use super::columns::{Layout, Role};
use super::rows::{PartialMeta, PartialTable, ignored_columns, set_meta};
use super::{ColumnMap, FeatureSetTag, FeatureTable, MetaField, TableError};

const KEY_FEATURE_SET: &str = "ser-edge.feature_set";
const KEY_EXTRACTOR: &str = "ser-edge.extractor_version";
const KEY_HEARING: &str = "ser-edge.hearing";
const KEY_VERSION: &str = "ser-edge.version";
/// The table's own hash: pages have no check sums, and a flipped bit in a number looks like a number.
const KEY_SHA256: &str = "ser-edge.sha256";

/// Rows decoded at a time: memory grows with what the file really holds, not with what its header claims.
const READ_CHUNK: usize = 4096;

pub(super) fn write(table: &FeatureTable, path: &Path) -> Result<(), TableError> {
    let io = |source| TableError::Io {
        path: path.to_owned(),
        action: "write",
        source,
    };
    crate::atomic::write::<WriteError, _>(path, |file| Ok(write_to(table, file)?)).map_err(|e| {
        match e {
            WriteError::Io(source) => io(source),
            // The writer wraps the I/O errors of the file beneath: a full disk must still be told as such.
            WriteError::Parquet(ParquetError::External(inner)) => {
                match inner.downcast::<io::Error>() {
                    Ok(source) => io(*source),
                    Err(other) => io(io::Error::other(other)),
                }
            }
            WriteError::Parquet(other) => io(io::Error::other(other)),
        }
    })
}

#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Parquet(#[from] ParquetError),
}

fn write_to(table: &FeatureTable, file: impl io::Write + Send) -> Result<(), ParquetError> {
    let mut fields = Vec::with_capacity(MetaField::ALL.len() + table.names.len());
    for field in MetaField::ALL {
        let (physical, repetition) = match field {
            MetaField::Path | MetaField::Corpus | MetaField::Speaker | MetaField::Emotion => {
                (Physical::BYTE_ARRAY, Repetition::REQUIRED)
            }
            MetaField::Session | MetaField::Gender => (Physical::BYTE_ARRAY, Repetition::OPTIONAL),
            MetaField::SampleRate | MetaField::Copy => (Physical::INT32, Repetition::OPTIONAL),
            MetaField::StartS | MetaField::DurationS => (Physical::FLOAT, Repetition::OPTIONAL),
        };
        let mut builder =
            Type::primitive_type_builder(field.name(), physical).with_repetition(repetition);
        if physical == Physical::BYTE_ARRAY {
            builder = builder.with_converted_type(ConvertedType::UTF8);
        }
        fields.push(Arc::new(builder.build()?));
    }
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("ser-edge {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::SNAPPY)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_offset_index_disabled(true)
        .set_key_value_metadata(Some(vec![
            KeyValue::new(KEY_FEATURE_SET.to_owned(), table.feature_set.id.clone()),
            KeyValue::new(
                KEY_EXTRACTOR.to_owned(),
                table.feature_set.extractor_version.clone(),
            ),
            KeyValue::new(KEY_HEARING.to_owned(), table.feature_set.hearing_json()),
            KeyValue::new(KEY_VERSION.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            KeyValue::new(KEY_SHA256.to_owned(), table.sha256()),
        ]));
    for name in &table.names {
        let builder = Type::primitive_type_builder(name, Physical::FLOAT)
            .with_repetition(Repetition::REQUIRED);
        fields.push(Arc::new(builder.build()?));
        // Measured values hardly ever repeat: a dictionary would only be thrown away again.
        properties =
            properties.set_column_dictionary_enabled(ColumnPath::new(vec![name.clone()]), false);
    }
    let schema = Arc::new(
        Type::group_type_builder("features")
            .with_fields(fields)
            .build()?,
    );
    let mut writer = SerializedFileWriter::new(file, schema, Arc::new(properties.build()))?;
    let mut group = writer.next_row_group()?;

    for field in MetaField::ALL {
        let text = |get: fn(&super::RowMeta) -> Option<&String>| {
            table
                .meta
                .iter()
                .map(|m| get(m).map(|s| ByteArray::from(s.as_str())))
                .collect::<Vec<_>>()
        };
        match field {
            MetaField::Path => required(&mut group, text(|m| Some(&m.path)))?,
            MetaField::Corpus => required(&mut group, text(|m| Some(&m.corpus)))?,
            MetaField::Speaker => required(&mut group, text(|m| Some(&m.speaker)))?,
            MetaField::Emotion => required(&mut group, text(|m| Some(&m.emotion)))?,
            MetaField::Session => {
                optional::<ByteArrayType, _>(&mut group, text(|m| m.session.as_ref()))?
            }
            MetaField::Gender => {
                optional::<ByteArrayType, _>(&mut group, text(|m| m.gender.as_ref()))?
            }
            // Written as INT32: no recording has a rate above 2 GHz, nor so many copies.
            MetaField::SampleRate => whole_numbers(&mut group, table, |m| m.sample_rate)?,
            MetaField::Copy => whole_numbers(&mut group, table, |m| m.copy)?,
            MetaField::StartS | MetaField::DurationS => {
                let seconds = table.meta.iter().map(|m| {
                    if field == MetaField::StartS {
                        m.start_s
                    } else {
                        m.duration_s
                    }
                });
                optional::<FloatType, _>(&mut group, seconds.collect())?;
            }
        }
    }
    let width = table.names.len();
    let mut column = Vec::with_capacity(table.rows);
    for c in 0..width {
        column.clear();
        column.extend(table.values.iter().skip(c).step_by(width));
        let mut writer = next(&mut group)?;
        writer
            .typed::<FloatType>()
            .write_batch(&column, None, None)?;
        writer.close()?;
    }
    group.close()?;
    writer.close()?;
    Ok(())
}

fn next<'g, W: io::Write + Send>(
    group: &'g mut SerializedRowGroupWriter<'_, W>,
) -> Result<SerializedColumnWriter<'g>, ParquetError> {
    group
        .next_column()?
        .ok_or_else(|| ParquetError::General("the schema has too few columns".to_owned()))
}

fn required<W: io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: Vec<Option<ByteArray>>,
) -> Result<(), ParquetError> {
    let values: Vec<ByteArray> = values.into_iter().flatten().collect();
    let mut writer = next(group)?;
    writer
        .typed::<ByteArrayType>()
        .write_batch(&values, None, None)?;
    writer.close()
}

fn whole_numbers(
    group: &mut SerializedRowGroupWriter<'_, impl io::Write + Send>,
    table: &FeatureTable,
    get: fn(&super::RowMeta) -> Option<u32>,
) -> Result<(), ParquetError> {
    let numbers = table.meta.iter().map(|m| i32::try_from(get(m)?).ok());
    optional::<Int32Type, _>(group, numbers.collect())
}

fn optional<T: DataType<T = V>, V>(
    group: &mut SerializedRowGroupWriter<'_, impl io::Write + Send>,
    values: Vec<Option<V>>,
) -> Result<(), ParquetError> {
    let levels: Vec<i16> = values.iter().map(|v| i16::from(v.is_some())).collect();
    let values: Vec<V> = values.into_iter().flatten().collect();
    let mut writer = next(group)?;
    writer
        .typed::<T>()
        .write_batch(&values, Some(&levels), None)?;
    writer.close()
}

/// The decoder is someone else's code fed with bytes from anywhere: a panic in it becomes an error.
pub(super) fn read(path: &Path, map: &ColumnMap) -> Result<PartialTable, TableError> {
    catch_unwind(AssertUnwindSafe(|| read_columns(path, map))).unwrap_or_else(|_| {
        Err(TableError::Malformed {
            path: path.to_owned(),
            message: "a damaged Parquet file; make it again, or copy it again".to_owned(),
        })
    })
}

fn read_columns(path: &Path, map: &ColumnMap) -> Result<PartialTable, TableError> {
    let io = |source| TableError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.len() == 0 {
        return Err(TableError::Empty {
            path: path.to_owned(),
            what: "the file has 0 bytes",
        });
    }
    let damaged = |e: ParquetError| TableError::Malformed {
        path: path.to_owned(),
        message: format!(
            "not a readable Parquet file ({e}); if it was copied, was it copied whole?"
        ),
    };
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let metadata = reader.metadata().file_metadata();
    let pairs = metadata.key_value_metadata();
    let tag = tag_of(pairs).map_err(|reason| TableError::Malformed {
        path: path.to_owned(),
        message: format!("its metadata does not say how recordings were heard: {reason}"),
    })?;
    let sha256 = value_of(pairs, KEY_SHA256);
    let schema = metadata.schema_descr();
    let columns: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
    if let Some(c) = schema.columns().iter().find(|c| c.max_rep_level() > 0) {
        return Err(TableError::Malformed {
            path: path.to_owned(),
            message: format!(
                "column \"{}\" holds lists; features must be one number a row",
                c.path().string()
            ),
        });
    }
    let layout = Layout::new(path, columns, map)?;

    let width = layout.features.len();
    let mut values: Vec<f32> = Vec::new();
    let mut meta: Vec<PartialMeta> = Vec::new();
    for g in 0..reader.num_row_groups() {
        let group = reader.get_row_group(g).map_err(damaged)?;
        let first = meta.len();
        let mut rows: Option<usize> = None;
        for (c, role) in layout.roles.iter().enumerate() {
            if *role == Role::Ignored {
                continue;
            }
            let levels = schema.column(c).max_def_level();
            let cells = read_column(group.get_column_reader(c).map_err(damaged)?, levels)
                .map_err(damaged)?;
            let rows = *rows.get_or_insert_with(|| {
                meta.resize(first + cells.len(), PartialMeta::default());
                values.resize((first + cells.len()) * width, 0.0);
                cells.len()
            });
            if cells.len() != rows {
                return Err(TableError::Malformed {
                    path: path.to_owned(),
                    message: format!(
                        "column \"{}\" has {} rows, the columns before it have {rows}",
                        layout.columns[c],
                        cells.len()
                    ),
                });
            }
            let mut place = Place {
                path,
                column: &layout.columns[c],
                first,
                width,
            };
            match *role {
                Role::Ignored => {}
                Role::Meta(field) => place.meta(field, &cells, &mut meta)?,
                Role::Feature(index) => place.feature(index, &cells, &mut values)?,
            }
        }
    }
    if meta.is_empty() {
        return Err(TableError::Empty {
            path: path.to_owned(),
            what: "it has no rows",
        });
    }
    let ignored = ignored_columns(&layout);
    Ok(PartialTable {
        feature_set: tag,
        names: layout.features,
        values,
        meta,
        ignored,
        sha256,
    })
}

fn tag_of(pairs: Option<&Vec<KeyValue>>) -> Result<FeatureSetTag, String> {
    Ok(match value_of(pairs, KEY_FEATURE_SET) {
        Some(id) => FeatureSetTag {
            id,
            extractor_version: value_of(pairs, KEY_EXTRACTOR),
            hearing: match value_of(pairs, KEY_HEARING) {
                None => None,
                Some(json) => Some(serde_json::from_str(&json).map_err(|e| e.to_string())?),
            },
        },
        None => FeatureSetTag::custom(),
    })
}

fn value_of(pairs: Option<&Vec<KeyValue>>, key: &str) -> Option<String> {
    pairs?
        .iter()
        .find(|p| p.key == key)?
        .value
        .clone()
        .filter(|v| !v.is_empty())
}

/// The cells of one column of one row group.
enum Cells {
    Number(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
}

impl Cells {
    fn len(&self) -> usize {
        match self {
            Self::Number(v) => v.len(),
            Self::Text(v) => v.len(),
        }
    }
}

/// Where the cells of a column go.
struct Place<'a> {
    path: &'a Path,
    column: &'a str,
    first: usize,
    width: usize,
}

impl Place<'_> {
    fn meta(
        &mut self,
        field: MetaField,
        cells: &Cells,
        meta: &mut [PartialMeta],
    ) -> Result<(), TableError> {
        for i in 0..cells.len() {
            let text = match cells {
                Cells::Text(v) => v[i].clone(),
                Cells::Number(v) => v[i].map(|n| n.to_string()),
            };
            if let Some(text) = text {
                let row = self.first + i;
                set_meta(
                    self.path,
                    row + 1,
                    self.column,
                    &mut meta[row],
                    field,
                    text.trim(),
                )?;
            }
        }
        Ok(())
    }

    fn feature(
        &mut self,
        index: usize,
        cells: &Cells,
        values: &mut [f32],
    ) -> Result<(), TableError> {
        let not_finite = |i: usize, value: String| TableError::NotFinite {
            path: self.path.to_owned(),
            row: self.first + i + 1,
            column: self.column.to_owned(),
            value,
        };
        match cells {
            Cells::Text(v) => {
                let text = v.iter().flatten().next().cloned().unwrap_or_default();
                Err(TableError::NotANumber {
                    path: self.path.to_owned(),
                    row: self.first + 1,
                    column: self.column.to_owned(),
                    text: text.chars().take(40).collect(),
                })
            }
            Cells::Number(v) => {
                for (i, cell) in v.iter().enumerate() {
                    let value = cell.ok_or_else(|| not_finite(i, "missing".to_owned()))? as f32;
                    if !value.is_finite() {
                        return Err(not_finite(i, value.to_string()));
                    }
                    values[(self.first + i) * self.width + index] = value;
                }
                Ok(())
            }
        }
    }
}

fn read_column(reader: ColumnReader, max_level: i16) -> Result<Cells, ParquetError> {
    Ok(match reader {
        ColumnReader::FloatColumnReader(r) => {
            Cells::Number(read_typed(r, max_level, |v| Ok(f64::from(*v)))?)
        }
        ColumnReader::DoubleColumnReader(r) => {
            Cells::Number(read_typed::<DoubleType, _>(r, max_level, |v| Ok(*v))?)
        }
        ColumnReader::Int32ColumnReader(r) => {
            Cells::Number(read_typed(r, max_level, |v| Ok(f64::from(*v)))?)
        }
        ColumnReader::Int64ColumnReader(r) => {
            Cells::Number(read_typed::<Int64Type, _>(r, max_level, |v| Ok(*v as f64))?)
        }
        ColumnReader::BoolColumnReader(r) => {
            Cells::Number(read_typed(r, max_level, |v| Ok(f64::from(u8::from(*v))))?)
        }
        ColumnReader::ByteArrayColumnReader(r) => {
            Cells::Text(read_typed(r, max_level, |v: &ByteArray| {
                Ok(v.as_utf8()?.to_owned())
            })?)
        }
        _ => {
            return Err(ParquetError::NYI(
                "a column of type INT96 or FIXED_LEN_BYTE_ARRAY".to_owned(),
            ));
        }
    })
}

fn read_typed<T: DataType, V>(
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
