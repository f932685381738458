//! Reading Parquet of any writer.

use std::collections::BTreeMap;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use ::parquet::basic::Type as Physical;
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::reader::{FileReader, SerializedFileReader};
use ::parquet::schema::types::SchemaDescriptor;

use super::column::{self, Cells};
use super::{KEY_EXTRACTOR, KEY_FEATURE_SET, KEY_HEARING, KEY_SHA256};
use crate::data::text::Numbers;
use crate::table::cells::Cell;
use crate::table::columns::{Layout, Role};
use crate::table::rows::{Collected, PartialMeta, PartialTable};
use crate::table::{FeatureSetTag, MetaField, ReadOptions, TableError};

/// From this number on a time without a unit is one in nanoseconds: no recording lasts so many seconds.
const NO_SECONDS: f64 = 1e6;

/// The decoder is someone else's code fed with bytes from anywhere: a panic in it becomes an error.
pub fn read(path: &Path, options: &ReadOptions) -> Result<PartialTable, TableError> {
    catch_unwind(AssertUnwindSafe(|| read_columns(path, options))).unwrap_or_else(|_| {
        Err(TableError::Malformed {
            path: path.to_owned(),
            message: "a damaged Parquet file; make it again, or copy it again".to_owned(),
        })
    })
}

fn read_columns(path: &Path, options: &ReadOptions) -> Result<PartialTable, TableError> {
    let io = |source| TableError::Io {
        path: path.to_owned(),
        action: "read",
        source,
    };
    let malformed = |message: String| TableError::Malformed {
        path: path.to_owned(),
        message,
    };
    let damaged = |e: ParquetError| {
        malformed(format!(
            "not a readable Parquet file ({e}); if it was copied, was it copied whole?"
        ))
    };
    let file = File::open(path).map_err(io)?;
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let metadata = reader.metadata().file_metadata();
    let pairs = metadata.key_value_metadata();
    let stated = stated(pairs).map_err(|reason| {
        malformed(format!(
            "its metadata does not say how recordings were heard: {reason}"
        ))
    })?;
    let claimed = stated.clone().unwrap_or_else(FeatureSetTag::custom);
    let schema = metadata.schema_descr();
    let names: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
    let layout = Layout::new(path, names, options, claimed)?;
    let units = Units::new(pairs, schema);

    let mut rows = Rows {
        path,
        width: layout.features.len(),
        values: Vec::new(),
        meta: Vec::new(),
        broken: BTreeMap::new(),
    };
    for g in 0..reader.num_row_groups() {
        let group = reader.get_row_group(g).map_err(damaged)?;
        let first = rows.meta.len();
        let mut count: Option<usize> = None;
        for (c, role) in layout.roles.iter().enumerate() {
            if *role == Role::Ignored {
                continue;
            }
            let (name, descriptor) = (&layout.columns[c], schema.column(c));
            if descriptor.max_rep_level() > 0 {
                return Err(malformed(format!(
                    "column \"{name}\" holds lists; features must be one number a row"
                )));
            }
            let reader = group.get_column_reader(c).map_err(damaged)?;
            let cells = column::read(reader, &descriptor).map_err(|e| match e {
                ParquetError::NYI(what) => malformed(format!(
                    "column \"{name}\" holds {what}; leave it out with ser-train import --drop {name:?}"
                )),
                other => damaged(other),
            })?;
            let count = *count.get_or_insert_with(|| rows.grow(cells.len()));
            if cells.len() != count {
                return Err(malformed(format!(
                    "column \"{name}\" has {} rows, the columns before it have {count}",
                    cells.len()
                )));
            }
            let scale = match role {
                Role::End | Role::Meta(MetaField::StartS | MetaField::DurationS) => {
                    units.of(c, &cells)
                }
                _ => 1.0,
            };
            let named = layout.scale.get(&c).copied().unwrap_or(1.0);
            rows.column(first, name, *role, &cells, scale * named)?;
            if !options.skip_broken
                && let Some((_, error)) = rows.broken.pop_first()
            {
                return Err(error);
            }
        }
    }
    let sha256 = value_of(pairs, KEY_SHA256);
    rows.collected(layout)
        .finish(stated.map(|tag| (tag, sha256)))
}

/// The rows so far.
struct Rows<'a> {
    path: &'a Path,
    width: usize,
    values: Vec<f32>,
    meta: Vec<PartialMeta>,
    /// What is wrong with a row, the first thing that was found.
    broken: BTreeMap<usize, TableError>,
}

impl<'a> Rows<'a> {
    /// Makes room for `count` rows more.
    fn grow(&mut self, count: usize) -> usize {
        let rows = self.meta.len() + count;
        for row in self.meta.len()..rows {
            self.meta.push(PartialMeta {
                row: row + 1,
                ..PartialMeta::default()
            });
        }
        self.values.resize(rows * self.width, 0.0);
        count
    }

    /// Takes in a column of the rows from `first` on; `scale` is the seconds in one of its times.
    fn column(
        &mut self,
        first: usize,
        name: &str,
        role: Role,
        cells: &Cells,
        scale: f64,
    ) -> Result<(), TableError> {
        // No comma separates columns here.
        let mut numbers = Numbers::new(0);
        for i in 0..cells.len() {
            let row = first + i;
            let cell = Cell {
                path: self.path,
                row: row + 1,
                column: name,
                scale,
            };
            let line = row as u64 + 1;
            let done = match (role, cells) {
                (Role::Feature(at), Cells::Number(v)) => cell
                    .number(v[i])
                    .map(|value| self.values[row * self.width + at] = value),
                (Role::Feature(at), Cells::Text(v)) => cell
                    .feature(v[i].as_deref().unwrap_or_default(), line, &mut numbers)
                    .map(|value| self.values[row * self.width + at] = value),
                (role, cells) => {
                    let text = match cells {
                        Cells::Text(v) => v[i].clone(),
                        Cells::Number(v) => v[i].map(|n| n.to_string()),
                    };
                    let text = text.unwrap_or_default();
                    cell.describe(role, &text, line, &mut numbers, &mut self.meta[row])
                }
            };
            if let Err(error) = done {
                if !error.is_of_a_row() {
                    return Err(error);
                }
                self.broken.entry(row).or_insert(error);
            }
        }
        Ok(())
    }

    /// The rows that are whole.
    fn collected(self, layout: Layout) -> Collected<'a> {
        let whole = |row: &usize| !self.broken.contains_key(row);
        let kept: Vec<usize> = (0..self.meta.len()).filter(whole).collect();
        let row = |r: usize| &self.values[r * self.width..(r + 1) * self.width];
        Collected {
            path: self.path,
            layout,
            values: kept.iter().flat_map(|r| row(*r)).copied().collect(),
            meta: kept.iter().map(|r| self.meta[*r].clone()).collect(),
            broken: self.broken.values().map(TableError::of_left_out).collect(),
        }
    }
}

/// In which units columns of whole numbers hold times.
struct Units {
    /// Seconds in one, as pandas' metadata say; none where nothing is said.
    stated: Vec<Option<f64>>,
    whole: Vec<bool>,
}

impl Units {
    fn new(pairs: Option<&Vec<KeyValue>>, schema: &SchemaDescriptor) -> Self {
        let pandas: serde_json::Value = value_of(pairs, "pandas")
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default();
        let unit = |name: &str| {
            let column = pandas["columns"]
                .as_array()?
                .iter()
                .find(|c| c["field_name"] == *name)?;
            match column["numpy_type"].as_str()? {
                "timedelta64[s]" => Some(1.0),
                "timedelta64[ms]" => Some(1e-3),
                "timedelta64[us]" => Some(1e-6),
                "timedelta64[ns]" => Some(1e-9),
                _ => None,
            }
        };
        let columns = schema.columns();
        Self {
            stated: columns.iter().map(|c| unit(c.name())).collect(),
            whole: columns
                .iter()
                .map(|c| c.physical_type() == Physical::INT64)
                .collect(),
        }
    }

    /// Seconds in one of the column's numbers.
    fn of(&self, column: usize, cells: &Cells) -> f64 {
        let large = match cells {
            Cells::Number(v) => v.iter().flatten().any(|n| *n >= NO_SECONDS),
            Cells::Text(_) => false,
        };
        match self.stated[column] {
            Some(seconds) => seconds,
            None if self.whole[column] && large => 1e-9,
            None => 1.0,
        }
    }
}

/// What a table of our own says that it holds.
fn stated(pairs: Option<&Vec<KeyValue>>) -> Result<Option<FeatureSetTag>, String> {
    let Some(id) = value_of(pairs, KEY_FEATURE_SET) else {
        return Ok(None);
    };
    let hearing = value_of(pairs, KEY_HEARING);
    let hearing = hearing
        .map(|json| serde_json::from_str(&json).map_err(|e| e.to_string()))
        .transpose()?;
    Ok(Some(FeatureSetTag {
        id,
        extractor_version: value_of(pairs, KEY_EXTRACTOR),
        hearing,
    }))
}

fn value_of(pairs: Option<&Vec<KeyValue>>, key: &str) -> Option<String> {
    pairs?
        .iter()
        .find(|p| p.key == key)?
        .value
        .clone()
        .filter(|v| !v.is_empty())
}
