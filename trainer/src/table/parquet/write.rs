//! Writing feature tables as Parquet.

use std::io;
use std::path::Path;
use std::sync::Arc;

use ::parquet::basic::{Compression, ConvertedType, Repetition, Type as Physical};
use ::parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::{EnabledStatistics, WriterProperties};
use ::parquet::file::writer::{
    SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter,
};
use ::parquet::schema::types::{ColumnPath, Type};

use super::{KEY_EXTRACTOR, KEY_FEATURE_SET, KEY_HEARING, KEY_SHA256, KEY_VERSION};
use crate::table::{FeatureTable, MetaField, RowMeta, TableError};

pub fn write(table: &FeatureTable, path: &Path) -> Result<(), TableError> {
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
        let text = |get: fn(&RowMeta) -> Option<&String>| {
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
    get: fn(&RowMeta) -> Option<u32>,
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
