//! A run on disk: everything that going on needs, in one file that is whole or absent.
//!
//! Layout: magic, length of the header (u64, little endian), header (JSON), the numbers of all tensors (f32, little
//! endian, in the header's order), SHA-256 of all before it. Written under a temporary name and renamed.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::training::{Best, Progress, State};
use crate::atomic;
use crate::classify::dnn::DnnState;
use crate::gan::mixup_gan::GanState;
use crate::model::{Activation, DenseLayer};

/// Name of the file inside the folder of a run.
pub const CHECKPOINT_FILE: &str = "checkpoint";
const MAGIC: &[u8; 8] = b"SEREDGE\x01";
const DIGEST: usize = 32;

/// What a run was started with; taking it up needs the same.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The complete configuration.
    pub config: Value,
    /// SHA-256 of the feature table.
    pub table_sha256: String,
    /// Name of the device.
    pub device: String,
    /// Version of ser-trainer.
    pub version: String,
}

/// A checkpoint's content.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What the run was started with.
    pub origin: Origin,
    /// Length of `metrics.jsonl` at that moment.
    pub metrics_bytes: u64,
    /// The run itself.
    pub state: State,
}

/// Why a checkpoint cannot be written, read or used.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// Reading or writing failed.
    #[error("cannot {action} the checkpoint {}: {source}{}", path.display(), atomic::hint(action, source))]
    Io {
        /// The file.
        path: PathBuf,
        /// "read" or "write".
        action: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is no checkpoint of this version, or damaged.
    #[error("{} is not a usable checkpoint: {reason}; start anew with --overwrite", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The run was started with something else.
    #[error("--resume: the run in {} was started with {what}; take it up with the same, or start anew with --overwrite", path.display())]
    Other {
        /// Folder of the run.
        path: PathBuf,
        /// All differences, in words.
        what: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Header {
    origin: Origin,
    metrics_bytes: u64,
    progress: Progress,
    gan: Option<(Vec<Network>, Vec<Moments>)>,
    dnn: Option<(Network, Network, Moments)>,
    best: Option<(usize, f64, f64, Network)>,
    finished: Option<(Network, Network)>,
    /// Lengths of the tensors that follow.
    tensors: Vec<usize>,
}

/// Layers, with weights and biases named by their places in the list of tensors.
type Network = Vec<LayerHeader>;

#[derive(Serialize, Deserialize)]
struct LayerHeader {
    inputs: usize,
    outputs: usize,
    activation: Activation,
    weight: usize,
    bias: usize,
}

#[derive(Serialize, Deserialize)]
struct Moments {
    steps: u32,
    tensors: Vec<usize>,
}

#[derive(Default)]
struct Packer {
    tensors: Vec<Vec<f32>>,
}

impl Packer {
    fn tensor(&mut self, values: Vec<f32>) -> usize {
        self.tensors.push(values);
        self.tensors.len() - 1
    }

    fn network(&mut self, layers: Vec<DenseLayer>) -> Network {
        layers
            .into_iter()
            .map(|l| LayerHeader {
                inputs: l.inputs,
                outputs: l.outputs,
                activation: l.activation,
                weight: self.tensor(l.weight),
                bias: self.tensor(l.bias),
            })
            .collect()
    }

    fn moments(&mut self, (steps, tensors): (u32, Vec<Vec<f32>>)) -> Moments {
        let tensors = tensors.into_iter().map(|t| self.tensor(t)).collect();
        Moments { steps, tensors }
    }
}

struct Unpacker {
    tensors: Vec<Option<Vec<f32>>>,
}

impl Unpacker {
    fn tensor(&mut self, place: usize) -> Result<Vec<f32>, String> {
        let slot = self.tensors.get_mut(place).and_then(Option::take);
        slot.ok_or_else(|| format!("tensor {place} is missing"))
    }

    fn network(&mut self, layers: Network) -> Result<Vec<DenseLayer>, String> {
        let layer = |l: LayerHeader| {
            let (weight, bias) = (self.tensor(l.weight)?, self.tensor(l.bias)?);
            if l.inputs.checked_mul(l.outputs) != Some(weight.len()) || bias.len() != l.outputs {
                return Err("a layer's weights do not fit its shape".to_owned());
            }
            Ok(DenseLayer {
                inputs: l.inputs,
                outputs: l.outputs,
                weight,
                bias,
                activation: l.activation,
            })
        };
        layers.into_iter().map(layer).collect()
    }

    fn moments(&mut self, moments: Moments) -> Result<(u32, Vec<Vec<f32>>), String> {
        let tensors = moments.tensors.into_iter().map(|t| self.tensor(t));
        Ok((moments.steps, tensors.collect::<Result<_, _>>()?))
    }
}

impl Checkpoint {
    /// Writes the file, replacing an older one at once.
    ///
    /// # Errors
    /// The disk is full or may not be written to; the older file is then still there.
    pub fn write(self, path: &Path) -> Result<(), CheckpointError> {
        let mut pack = Packer::default();
        let state = self.state;
        let mut header = Header {
            origin: self.origin,
            metrics_bytes: self.metrics_bytes,
            progress: state.progress,
            gan: state.gan.map(|g| {
                let networks = g.networks.into_iter().map(|n| pack.network(n)).collect();
                (
                    networks,
                    g.adams.into_iter().map(|a| pack.moments(a)).collect(),
                )
            }),
            dnn: state.dnn.map(|d| {
                (
                    pack.network(d.net),
                    pack.network(d.averaged),
                    pack.moments(d.adam),
                )
            }),
            best: state
                .best
                .map(|b| (b.epoch, b.uar, b.loss, pack.network(b.net))),
            finished: state
                .finished
                .map(|[e, c]| (pack.network(e), pack.network(c))),
            tensors: Vec::new(),
        };
        header.tensors = pack.tensors.iter().map(Vec::len).collect();
        atomic::write::<std::io::Error, _>(path, |out| {
            let json = serde_json::to_vec(&header)?;
            let mut hash = Sha256::new();
            let mut put = |bytes: &[u8]| {
                hash.update(bytes);
                out.write_all(bytes)
            };
            put(MAGIC)?;
            put(&(json.len() as u64).to_le_bytes())?;
            put(&json)?;
            for tensor in &pack.tensors {
                let bytes: Vec<u8> = tensor.iter().flat_map(|v| v.to_le_bytes()).collect();
                put(&bytes)?;
            }
            let digest = hash.finalize();
            out.write_all(&digest)
        })
        .map_err(|source| CheckpointError::Io {
            path: path.to_owned(),
            action: "write",
            source,
        })
    }

    /// Reads a file of [`write`](Self::write); `None` where there is none.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or is of another version.
    pub fn read(path: &Path) -> Result<Option<Self>, CheckpointError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(CheckpointError::Io {
                    path: path.to_owned(),
                    action: "read",
                    source,
                });
            }
        };
        Self::parse(&bytes)
            .map(Some)
            .map_err(|reason| CheckpointError::Damaged {
                path: path.to_owned(),
                reason,
            })
    }

    fn parse(bytes: &[u8]) -> Result<Self, String> {
        let short = || "the file is cut short".to_owned();
        let body = bytes
            .strip_prefix(MAGIC)
            .ok_or("it was written by another version or program")?;
        let (length, body) = body.split_first_chunk::<8>().ok_or_else(short)?;
        let (content, digest) = bytes.split_at(bytes.len().saturating_sub(DIGEST));
        if Sha256::digest(content).as_slice() != digest {
            return Err("its checksum is wrong".into());
        }
        let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|_| short())?;
        let (json, body) = body.split_at_checked(length).ok_or_else(short)?;
        let header: Header = serde_json::from_slice(json).map_err(|e| e.to_string())?;
        let mut rest = body;
        let mut tensors = Vec::with_capacity(header.tensors.len());
        for &len in &header.tensors {
            let size = len.checked_mul(4).ok_or_else(short)?;
            let (head, tail) = rest.split_at_checked(size).ok_or_else(short)?;
            let values = head
                .as_chunks::<4>()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b));
            tensors.push(Some(values.collect()));
            rest = tail;
        }
        let mut unpack = Unpacker { tensors };
        let gan = match header.gan {
            Some((networks, adams)) => Some(GanState {
                networks: networks
                    .into_iter()
                    .map(|n| unpack.network(n))
                    .collect::<Result<_, _>>()?,
                adams: adams
                    .into_iter()
                    .map(|a| unpack.moments(a))
                    .collect::<Result<_, _>>()?,
            }),
            None => None,
        };
        let dnn = match header.dnn {
            Some((net, averaged, adam)) => Some(DnnState {
                net: unpack.network(net)?,
                averaged: unpack.network(averaged)?,
                adam: unpack.moments(adam)?,
            }),
            None => None,
        };
        let best = match header.best {
            Some((epoch, uar, loss, net)) => Some(Best {
                epoch,
                uar,
                loss,
                net: unpack.network(net)?,
            }),
            None => None,
        };
        let finished = match header.finished {
            Some((encoder, classifier)) => {
                Some([unpack.network(encoder)?, unpack.network(classifier)?])
            }
            None => None,
        };
        Ok(Self {
            origin: header.origin,
            metrics_bytes: header.metrics_bytes,
            state: State {
                progress: header.progress,
                gan,
                dnn,
                best,
                finished,
            },
        })
    }

    /// Refuses a run that was started with another configuration, table, device or version.
    ///
    /// # Errors
    /// [`CheckpointError::Other`] that lists every difference.
    pub fn check_origin(&self, now: &Origin, run: &Path) -> Result<(), CheckpointError> {
        let differences = self.origin.differences(now);
        if differences.is_empty() {
            return Ok(());
        }
        Err(CheckpointError::Other {
            path: run.to_owned(),
            what: differences.join(", "),
        })
    }
}

impl Origin {
    /// What differs from `now`, each in words. The sections `checkpoint` and `card` may differ: they do not change what
    /// is learned.
    pub fn differences(&self, now: &Self) -> Vec<String> {
        let mut out = Vec::new();
        compare("", &self.config, &now.config, &mut out);
        let mut same = |what: &str, was: &str, is: &str| {
            if was != is {
                out.push(format!("{what} {was} (now {is})"));
            }
        };
        same(
            "a feature table of SHA-256",
            &self.table_sha256,
            &now.table_sha256,
        );
        same("device", &self.device, &now.device);
        same("ser-train version", &self.version, &now.version);
        out
    }
}

/// Appends "key = was (now is)" for every leaf that differs.
fn compare(path: &str, was: &Value, is: &Value, out: &mut Vec<String>) {
    if path == "checkpoint" || path == "card" || was == is {
        return;
    }
    if let (Value::Object(was), Value::Object(is)) = (was, is) {
        let keys: std::collections::BTreeSet<&String> = was.keys().chain(is.keys()).collect();
        for key in keys {
            let path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let get = |side: &serde_json::Map<String, Value>| {
                side.get(key).cloned().unwrap_or(Value::Null)
            };
            compare(&path, &get(was), &get(is), out);
        }
        return;
    }
    out.push(format!("{path} = {was} (now {is})"));
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn layer(seed: f32) -> DenseLayer {
        DenseLayer {
            inputs: 2,
            outputs: 3,
            weight: (0..6).map(|i| seed + i as f32 / 7.0).collect(),
            bias: vec![seed, f32::MIN_POSITIVE, -0.0],
            activation: Activation::LeakyRelu(0.01),
        }
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint {
            origin: Origin {
                config: json!({"seed": 1, "mixup": {"alpha": 0.2}, "checkpoint": {"every_seconds": 20.0}}),
                table_sha256: "ab".into(),
                device: "cpu".into(),
                version: "0.1.0".into(),
            },
            metrics_bytes: 123,
            state: State {
                progress: Progress {
                    stage: 2,
                    epoch: 7,
                    since_best: 3,
                    chosen_epochs: None,
                    held_out: None,
                },
                gan: Some(GanState {
                    networks: vec![vec![layer(0.1)], vec![layer(0.2)], vec![]],
                    adams: vec![(5, vec![vec![1.0; 6], vec![2.0; 6]]), (0, vec![])],
                }),
                dnn: Some(DnnState {
                    net: vec![layer(0.3)],
                    averaged: vec![layer(0.35)],
                    adam: (2, vec![vec![0.5]]),
                }),
                best: Some(Best {
                    epoch: 4,
                    uar: 1.0 / 3.0,
                    loss: 0.1,
                    net: vec![layer(0.4)],
                }),
                finished: None,
            },
        }
    }

    #[test]
    fn a_checkpoint_reads_back_bit_for_bit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CHECKPOINT_FILE);
        assert_eq!(Checkpoint::read(&path).unwrap(), None);
        checkpoint().write(&path).unwrap();
        assert_eq!(Checkpoint::read(&path).unwrap(), Some(checkpoint()));
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(CHECKPOINT_FILE);
        checkpoint().write(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for i in (0..whole.len()).step_by(37) {
            let mut bad = whole.clone();
            bad[i] ^= 4;
            assert!(Checkpoint::parse(&bad).is_err(), "byte {i}");
            assert!(Checkpoint::parse(&whole[..i]).is_err(), "cut at {i}");
        }
    }

    #[test]
    fn every_difference_is_named_and_checkpointing_may_differ() {
        let c = checkpoint();
        let mut now = c.origin.clone();
        now.config["checkpoint"]["every_seconds"] = json!(0.0);
        c.check_origin(&now, Path::new("run")).unwrap();
        now.config["mixup"]["alpha"] = json!(0.4);
        now.device = "wgpu: llvmpipe".into();
        let e = c
            .check_origin(&now, Path::new("run"))
            .unwrap_err()
            .to_string();
        assert!(
            e.contains("mixup.alpha = 0.2 (now 0.4)")
                && e.contains("llvmpipe")
                && e.contains("--overwrite"),
            "{e}"
        );
    }
}
