//! `parity [--shared DIR] [--quick] [--verbose]`: our features beside openSMILE's, by group and file.
//!
//! Reads `DIR/is10/reference` and, without `--quick`, the recordings of `DIR/data` (default `../shared`, or `SER_SHARED`). Exit status 1 where a feature
//! differs by more than the rule of [`ser_features::parity`] allows.

mod audio;
mod wav;

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ser_features::parity::{Comparison, Group};
use ser_features::{Config, Extractor, FEATURE_COUNT, FeatureSet, Features, feature_name};

/// Extractors by sampling rate, their memory grown as needed.
#[derive(Default)]
struct Pool(BTreeMap<(u32, &'static str), Extractor<Vec<f32>>>);

impl Pool {
    fn features(
        &mut self,
        set: FeatureSet,
        rate: u32,
        samples: &[f32],
    ) -> Result<(Features, Duration), Box<dyn Error>> {
        let config = Config::for_samples(rate, samples.len(), set);
        let key = (rate, set.id());
        if self
            .0
            .get(&key)
            .is_none_or(|e| e.config().max_frames < config.max_frames)
        {
            self.0.insert(key, Extractor::owned(config)?);
        }
        let extractor = self.0.get_mut(&key).ok_or("no extractor")?;
        let start = Instant::now();
        extractor.reset();
        let mut features = Features::zeroed();
        extractor.push(samples)?;
        extractor.finish(&mut features)?;
        Ok((features, start.elapsed()))
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("parity: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, Box<dyn Error>> {
    let mut shared =
        std::env::var_os("SER_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    let (mut quick, mut verbose) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => quick = true,
            "--verbose" => verbose = true,
            "--shared" => shared = arguments.next().ok_or("--shared needs a folder")?.into(),
            other => {
                return Err(format!(
                    "unknown argument {other:?}; known: --shared DIR, --quick, --verbose"
                )
                .into());
            }
        }
    }
    let mut pool = Pool::default();
    let mut met = true;
    println!("{}", header());
    for set in FeatureSet::ALL {
        met &= reference(&shared.join("is10/reference"), set, &mut pool, verbose)?;
    }
    if !quick {
        met &= recordings(&shared.join("data"), &mut pool, verbose)?;
    }
    Ok(met)
}

fn header() -> String {
    let groups = Group::ALL.map(|g| format!("{:>9.9}", g.to_string()));
    format!(
        "{:<28}{} {:>9}",
        "agreeing features, %",
        groups.concat(),
        "all"
    )
}

fn line(name: &str, c: &Comparison) -> String {
    let groups = Group::ALL.map(|g| format!("{:>9.2}", c.percent(g)));
    format!(
        "{name:<28.28}{} {:>9.2}",
        groups.concat(),
        c.total_percent()
    )
}

fn print_misses(c: &Comparison) {
    for m in &c.misses {
        if let Some(name) = feature_name(FeatureSet::Emobase2010, m.index) {
            println!(
                "    {name}: reference {:e}, ours {:e}, {:.2} times the tolerance",
                m.reference, m.value, m.excess
            );
        }
    }
}

/// Whether every feature agrees.
fn meets(name: &str, c: &Comparison) -> bool {
    let mut met = true;
    for group in Group::ALL {
        if c.percent(group) < 100.0 {
            println!("MISSED {name}: {group} {:.4} % agree", c.percent(group));
            met = false;
        }
    }
    met
}

/// The synthetic files of the reference folder.
fn reference(
    folder: &Path,
    set: FeatureSet,
    pool: &mut Pool,
    verbose: bool,
) -> Result<bool, Box<dyn Error>> {
    let table = folder.join(match set {
        FeatureSet::Emobase2010 => "functionals_all.csv",
        FeatureSet::Is10ParalingCompat => "functionals_compat_all.csv",
    });
    let text = fs::read_to_string(&table)
        .map_err(|e| format!("{}: {e} (set SER_SHARED)", table.display()))?;
    let mut classes: BTreeMap<&str, Comparison> = BTreeMap::new();
    println!("-- {} ({set})", table.display());
    for row in text.lines().skip(1) {
        let (name, values) = row.split_once(',').ok_or("row without values")?;
        let values: Vec<f32> = values
            .split(',')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let values: [f32; FEATURE_COUNT] = values
            .try_into()
            .map_err(|_| format!("{name}: not {FEATURE_COUNT} values"))?;
        let stem = name.trim_end_matches(".wav");
        let (rate, samples) = wav::read(&folder.join("audio").join(format!("{stem}.wav")));
        let (features, _) = pool.features(set, rate, &samples)?;
        let comparison = Comparison::new(&values, &features);
        println!("{}", line(stem, &comparison));
        if verbose {
            print_misses(&comparison);
        }
        let class = match stem.starts_with("sy") {
            true => "synthetic signals",
            false if rate == 16_000 => "speech, 16 kHz",
            false => "speech, other rates",
        };
        classes.entry(class).or_default().add(&comparison);
    }
    let mut met = true;
    for (class, comparison) in &classes {
        println!("{}", line(class, comparison));
        met &= meets(class, comparison);
    }
    Ok(met)
}

/// The real recordings.
fn recordings(folder: &Path, pool: &mut Pool, verbose: bool) -> Result<bool, Box<dyn Error>> {
    let manifest = folder.join("manifest.csv");
    let text = fs::read_to_string(&manifest)
        .map_err(|e| format!("{}: {e} (or give --quick)", manifest.display()))?;
    let rows = npy_rows(&fs::read(folder.join("opensmile_emobase2010.npy"))?)?;
    println!("-- {}", manifest.display());
    let mut all = Comparison::default();
    let (mut worst, mut spent, mut seconds) = (Vec::new(), Duration::ZERO, 0.0);
    for (row, reference) in text.lines().skip(1).zip(&rows) {
        let path = row.split(',').next().unwrap_or_default();
        let (rate, samples) = audio::read_flac(&folder.join(path))?;
        let (features, time) = pool.features(FeatureSet::Emobase2010, rate, &samples)?;
        spent += time;
        seconds += samples.len() as f64 / f64::from(rate);
        let comparison = Comparison::new(reference, &features);
        let stem = path.rsplit('/').next().unwrap_or(path);
        if verbose && !comparison.misses.is_empty() {
            println!("{}", line(stem, &comparison));
            print_misses(&comparison);
        }
        all.add(&comparison);
        worst.push((comparison.total_percent(), line(stem, &comparison)));
    }
    worst.sort_by(|a, b| a.0.total_cmp(&b.0));
    println!("the ten recordings that agree least:");
    for (_, line) in worst.iter().take(10) {
        println!("{line}");
    }
    println!("{}", line(&format!("{} recordings", worst.len()), &all));
    let spent = spent.as_secs_f64();
    println!(
        "{seconds:.1} s of audio in {spent:.3} s: real-time factor {:.5}",
        spent / seconds
    );
    Ok(meets("recordings", &all))
}

/// Rows of a little-endian f32 `.npy` table of 1582 columns.
fn npy_rows(bytes: &[u8]) -> Result<Vec<[f32; FEATURE_COUNT]>, Box<dyn Error>> {
    let header = usize::from(u16::from_le_bytes([
        *bytes.get(8).ok_or("short .npy")?,
        *bytes.get(9).ok_or("short .npy")?,
    ]));
    let data = bytes.get(10 + header..).ok_or("short .npy")?;
    let (values, _) = data.as_chunks::<4>();
    let (rows, rest) = values.as_chunks::<FEATURE_COUNT>();
    if !rest.is_empty() {
        return Err(".npy is not a table of 1582 columns".into());
    }
    Ok(rows.iter().map(|row| row.map(f32::from_le_bytes)).collect())
}
