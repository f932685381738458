//! Rows that are finished, kept beside the table until it is whole.
//!
//! `TABLE.part` begins with a line that names the extractor and how recordings are heard. Each record after it is
//! of one recording: a length (u32), that of the next part (u32), a line of JSON about the recording and its rows, the
//! features of the rows (f32) and eight bytes of the SHA-256 of all that, little-endian. A record goes to the file in
//! one write: whatever kills the process leaves at most one torn record at the end, which the next run cuts off.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use ser_features::{EXTRACTOR_VERSION, FEATURE_COUNT, FeatureSet};
use ser_runtime::quality::Quality;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ExtractionError;

const MAGIC: &str = "ser-edge extraction journal";

/// The features of a row in bytes, the check sum behind them, and the length before them.
const FEATURE_BYTES: usize = 4 * FEATURE_COUNT;
const CHECK_BYTES: usize = 8;
const LENGTH_BYTES: usize = 4;

/// A longer record is not one: a day of speech makes fewer rows.
const MAX_RECORD: usize = 1 << 28;

/// What tells a recording from a later version of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Key {
    /// The path as the corpus has it.
    pub path: String,
    pub bytes: u64,
    /// Time of the last change in nanoseconds since 1970; 0 where the file system has none.
    pub modified_ns: u64,
}

impl Key {
    pub fn of(name: &str, file: &Path) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let since = metadata
            .modified()
            .ok()
            .and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let modified_ns = since
            .and_then(|d| u64::try_from(d.as_nanos()).ok())
            .unwrap_or(0);
        Ok(Self {
            path: name.to_owned(),
            bytes: metadata.len(),
            modified_ns,
        })
    }
}

/// What extraction found in a recording.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub sample_rate: u32,
    pub rows: Vec<Row>,
    /// Why there is none, where there is none.
    pub nothing: Option<String>,
}

/// A row of the table to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Row {
    /// None for a whole recording.
    pub start_s: Option<f32>,
    pub duration_s: f32,
    pub copy: Option<u32>,
    pub quality: Quality,
    /// [`FEATURE_COUNT`] of them.
    #[serde(skip)]
    pub features: Vec<f32>,
}

#[derive(Serialize, Deserialize)]
struct About {
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    measured: Measured,
}

/// An open, locked journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Length of the file up to the last whole record.
    whole: u64,
}

/// The journal of a table.
pub(super) fn path_of(table: &Path) -> PathBuf {
    let mut name = table.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

fn header(set: FeatureSet, heard: &str) -> String {
    format!(
        "{MAGIC}; feature_set={}; extractor={EXTRACTOR_VERSION}; heard={heard}; ser-edge={}\n",
        set.id(),
        env!("CARGO_PKG_VERSION")
    )
}

impl Journal {
    /// Opens or begins the journal of `table` and returns the recordings in it, those of another extractor, or heard
    /// otherwise than `heard` says, left out.
    ///
    /// # Errors
    /// [`ExtractionError`]: another process works on the table, the file is no journal, or cannot be written.
    pub fn open(
        table: &Path,
        set: FeatureSet,
        heard: &str,
    ) -> Result<(Self, Vec<(Key, Measured)>), ExtractionError> {
        let path = path_of(table);
        let io = |source| ExtractionError::Journal {
            path: path.clone(),
            source,
        };
        if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(ExtractionError::Busy { path }),
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        let expected = header(set, heard);
        let mut reader = BufReader::new(&mut file);
        let mut first = Vec::new();
        reader
            .by_ref()
            .take(4096)
            .read_until(b'\n', &mut first)
            .map_err(io)?;
        let mut rows = Vec::new();
        let mut whole = 0;
        if first == expected.as_bytes() {
            whole = first.len() as u64;
            while let Some((length, key, row)) = read_record(&mut reader).map_err(io)? {
                whole += length;
                rows.push((key, row));
            }
        } else if first.starts_with(MAGIC.as_bytes()) || expected.as_bytes().starts_with(&first) {
            // Of another extractor, or killed within the first line: nothing in it can be used.
        } else {
            return Err(ExtractionError::NotAJournal { path });
        }
        let mut journal = Self {
            path: path.clone(),
            file,
            whole,
        };
        journal.cut().map_err(io)?;
        if whole == 0 {
            journal.append(expected.as_bytes())?;
        }
        Ok((journal, rows))
    }

    /// Adds a finished recording.
    ///
    /// # Errors
    /// [`ExtractionError::Journal`]; the rows before it are safe.
    pub fn add(&mut self, key: &Key, measured: &Measured) -> Result<(), ExtractionError> {
        let io = |source| ExtractionError::Journal {
            path: self.path.clone(),
            source,
        };
        let about = About {
            key: key.clone(),
            measured: measured.clone(),
        };
        let about = serde_json::to_vec(&about).map_err(|e| io(e.into()))?;
        let length = LENGTH_BYTES + about.len() + measured.rows.len() * FEATURE_BYTES + CHECK_BYTES;
        let lengths = u32::try_from(length)
            .ok()
            .zip(u32::try_from(about.len()).ok());
        let Some((length_field, about_field)) = lengths.filter(|_| length <= MAX_RECORD) else {
            return Err(io(io::Error::new(
                io::ErrorKind::InvalidData,
                "one recording has more speech than a day has",
            )));
        };
        let mut record = Vec::with_capacity(4 + length);
        record.extend_from_slice(&length_field.to_le_bytes());
        record.extend_from_slice(&about_field.to_le_bytes());
        record.extend_from_slice(&about);
        for value in measured.rows.iter().flat_map(|row| &row.features) {
            record.extend_from_slice(&value.to_le_bytes());
        }
        let check = check_sum(&record[4..]);
        record.extend_from_slice(&check);
        self.append(&record)
    }

    /// The table is written: the journal has done its work.
    pub fn remove(self) -> Result<(), ExtractionError> {
        std::fs::remove_file(&self.path).map_err(|source| ExtractionError::Journal {
            path: self.path.clone(),
            source,
        })
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), ExtractionError> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.whole += bytes.len() as u64;
                Ok(())
            }
            Err(source) => {
                // Best effort: a torn record that stays is cut off by the next run.
                let _ = self.cut();
                Err(ExtractionError::Journal {
                    path: self.path.clone(),
                    source,
                })
            }
        }
    }

    /// Ends the file after the last whole record.
    fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.whole)?;
        self.file.seek(SeekFrom::Start(self.whole)).map(|_| ())
    }
}

fn check_sum(bytes: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|i| digest[i])
}

/// The next whole record and its length in the file; none at the end or where the record is torn.
fn read_record(reader: &mut impl Read) -> io::Result<Option<(u64, Key, Measured)>> {
    let mut length = [0; 4];
    if !read_whole(reader, &mut length)? {
        return Ok(None);
    }
    let length = u32::from_le_bytes(length) as usize;
    if !(LENGTH_BYTES + CHECK_BYTES..=MAX_RECORD).contains(&length) {
        return Ok(None);
    }
    // Not set aside at once: the length of a torn record may be anything.
    let mut record = Vec::new();
    if reader.take(length as u64).read_to_end(&mut record)? < length {
        return Ok(None);
    }
    let (content, check) = record.split_at(length - CHECK_BYTES);
    if check != check_sum(content) {
        return Ok(None);
    }
    let parts = content.split_first_chunk::<LENGTH_BYTES>();
    let parts = parts.and_then(|(n, rest)| rest.split_at_checked(u32::from_le_bytes(*n) as usize));
    let Some((about, features)) = parts else {
        return Ok(None);
    };
    let Ok(About { key, mut measured }) = serde_json::from_slice::<About>(about) else {
        return Ok(None);
    };
    if features.len() != measured.rows.len() * FEATURE_BYTES {
        return Ok(None);
    }
    let (values, _) = features.as_chunks::<4>();
    for (row, values) in measured.rows.iter_mut().zip(values.chunks(FEATURE_COUNT)) {
        row.features = values.iter().map(|b| f32::from_le_bytes(*b)).collect();
    }
    Ok(Some((4 + length as u64, key, measured)))
}

/// Fills the buffer; false at the end of the file.
fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(e) => Err(e),
    }
}
