//! Recordings as arguments: files, folders, standard input; with a header or without.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;

use super::{CliError, note, warn};
use crate::audio::{
    self, AudioError, AudioReader, Explicit, Pcm, RawEncoding, RawFormat, ReadOptions, SNIFF_BYTES,
    Sniffed, sniff,
};

/// What stands for standard input in messages.
pub(super) const STANDARD_INPUT: &str = "standard input";

/// How to read recordings.
#[derive(Args)]
pub(super) struct InputArgs {
    /// Take input without a header as PCM in this encoding: u8, s16le, s24le, s32le, f32le, f64le,
    /// alaw or ulaw.
    #[arg(long, value_name = "ENCODING", requires = "rate")]
    raw: Option<RawEncoding>,
    /// Sampling rate of headerless PCM in Hz.
    #[arg(long, value_name = "HZ", requires = "raw", value_parser = hertz)]
    rate: Option<u32>,
    /// Interleaved channels of headerless PCM [default: 1]
    #[arg(long, value_name = "N", requires = "raw", value_parser = clap::value_parser!(u16).range(1..))]
    channels: Option<u16>,
    /// Refuse a recording about which anything is odd; without it that is a warning.
    #[arg(long)]
    strict: bool,
}

fn hertz(text: &str) -> Result<u32, &'static str> {
    text.parse().map_err(|_| {
        "a number of Hz, the rate of headerless input; the rate at which `features` are taken is \
         --at"
    })
}

impl InputArgs {
    /// Opens a recording; `-` is standard input.
    pub(super) fn open(&self, path: &Path) -> Result<AudioReader<'static>, AudioError> {
        let from_stdin = path == Path::new("-");
        let raw = self.raw.zip(self.rate);
        let reader = match raw {
            None if from_stdin => AudioReader::from_stream(io::stdin(), STANDARD_INPUT),
            None => AudioReader::open(path),
            Some((encoding, sample_rate)) => {
                let format = RawFormat {
                    encoding,
                    sample_rate,
                    channels: self.channels.unwrap_or(1),
                };
                let given = Explicit {
                    sample_rate: Some(sample_rate),
                    channels: self.channels,
                    encoding: Some(encoding),
                };
                if from_stdin {
                    AudioReader::detect(io::stdin(), format, given, STANDARD_INPUT)
                } else {
                    let name = path.display().to_string();
                    AudioReader::detect(open_file(path)?, format, given, &name)
                }
            }
        }?;
        reader.with_options(ReadOptions {
            strict: self.strict,
        })
    }

    /// Reads a whole recording, mixed to one channel.
    pub(super) fn read(&self, path: &Path) -> Result<Pcm, AudioError> {
        Ok(audio::read_whole(self.open(path)?)?.0)
    }

    /// `paths` with every folder replaced by the recordings below it, in the order of their paths.
    /// A recording is what is WAV or FLAC by its content, or claims to be by its name; without a
    /// header (`--raw`) every file is one. Hidden files are left out.
    pub(super) fn expand(&self, paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
        let mut all = Vec::new();
        for path in paths {
            if path == Path::new("-") || !path.is_dir() {
                all.push(path.clone());
                continue;
            }
            let mut walk = Walk {
                every_file: self.raw.is_some(),
                ..Walk::default()
            };
            walk.folder(path).map_err(|source| CliError::Folder {
                folder: path.display().to_string(),
                source,
            })?;
            walk.tell_left_out(path);
            if walk.found.is_empty() {
                return Err(CliError::EmptyFolder {
                    folder: path.display().to_string(),
                });
            }
            walk.found.sort();
            all.append(&mut walk.found);
        }
        Ok(all)
    }
}

/// Opens a file for reading; a folder is refused.
pub(super) fn open_file(path: &Path) -> Result<File, AudioError> {
    let file = path.display().to_string();
    let opened = File::open(path).and_then(|f| Ok((f.metadata()?.is_dir(), f)));
    match opened {
        Ok((true, _)) => Err(AudioError::Folder { file }),
        Ok((false, opened)) => Ok(opened),
        Err(source) => Err(AudioError::Io { file, source }),
    }
}

/// What is below a folder.
#[derive(Default)]
struct Walk {
    every_file: bool,
    found: Vec<PathBuf>,
    /// Files that are something else: how many, and one of them with what it is.
    left_out: usize,
    example: Option<(PathBuf, &'static str)>,
    /// Folders that were entered, by their real paths: links may lead in circles.
    entered: BTreeSet<PathBuf>,
}

impl Walk {
    fn folder(&mut self, folder: &Path) -> io::Result<()> {
        if !self.entered.insert(folder.canonicalize()?) {
            return Ok(());
        }
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            if path.is_dir() {
                // One that cannot be read hides no other.
                if let Err(error) = self.folder(&path) {
                    warn(&format!("{}: left out: {error}", path.display()));
                }
            } else if path.is_file() {
                self.file(path);
            }
        }
        Ok(())
    }

    fn file(&mut self, path: PathBuf) {
        let named = |name: &str| {
            path.extension()
                .is_some_and(|e| e.eq_ignore_ascii_case(name))
        };
        // What cannot be read but has the name is found, too: it is reported when its turn comes.
        if self.every_file || ["wav", "wave", "flac"].into_iter().any(named) {
            return self.found.push(path);
        }
        let what = match first_bytes(&path).as_deref().map(sniff) {
            Ok(Sniffed::Wav | Sniffed::Flac) => return self.found.push(path),
            Ok(Sniffed::Known(foreign)) => foreign.name,
            Ok(Sniffed::Raw) | Err(_) => "unknown",
        };
        self.left_out += 1;
        // Other audio is what is most likely to be missed.
        let telling = !matches!(what, "text" | "unknown" | "empty");
        if self.example.is_none() || telling {
            self.example = Some((path, what));
        }
    }

    fn tell_left_out(&self, folder: &Path) {
        if let Some((path, what)) = &self.example {
            note(&format!(
                "{}: files left out that are neither WAV nor FLAC: {}, such as {} ({what})",
                folder.display(),
                self.left_out,
                path.display()
            ));
        }
    }
}

fn first_bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    File::open(path)?
        .take(SNIFF_BYTES as u64)
        .read_to_end(&mut head)?;
    Ok(head)
}
