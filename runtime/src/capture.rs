//! Samples on their way from a sound card's callback to the thread that recognises them.
//!
//! A callback must not wait: [`CaptureInput::push`] allocates nothing, takes no lock and returns at
//! once. A buffer that finds no room is dropped, and [`CaptureOutput::take`] says how much is
//! missing in its place between the samples. A buffer with a sample that is not a finite number
//! becomes as much silence. Both are counted, and whoever counts samples can go on counting.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rtrb::{Consumer, Producer, RingBuffer};

/// Samples (of all channels together) that were lost and not reported yet.
#[derive(Debug, Default)]
struct Lost {
    /// While there are any, the input takes nothing: what lies in the ring is then older than the
    /// gap, and what comes after the report is younger.
    dropped: AtomicUsize,
    silenced: AtomicUsize,
}

/// The callback's side.
#[derive(Debug)]
pub struct CaptureInput {
    ring: Producer<f32>,
    lost: Arc<Lost>,
}

/// The recogniser's side.
#[derive(Debug)]
pub struct CaptureOutput {
    ring: Consumer<f32>,
    lost: Arc<Lost>,
}

/// What [`CaptureOutput::take`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// So many samples were written to the block.
    Samples(usize),
    /// Here so many samples (of all channels together) are missing: there was no room for them.
    Gap(usize),
    /// Nothing came since the last call.
    Nothing,
}

/// A way for samples, of which `capacity` (of all channels together) may wait.
pub fn capture(capacity: usize) -> (CaptureInput, CaptureOutput) {
    let (producer, consumer) = RingBuffer::new(capacity);
    let lost = Arc::new(Lost::default());
    (
        CaptureInput {
            ring: producer,
            lost: Arc::clone(&lost),
        },
        CaptureOutput {
            ring: consumer,
            lost,
        },
    )
}

impl CaptureInput {
    /// Hands over a buffer of interleaved samples, all of it or nothing.
    pub fn push<T: Copy>(&mut self, buffer: &[T], convert: impl Fn(T) -> f32) {
        if self.lost.dropped.load(Ordering::Acquire) == 0
            && let Ok(room) = self.ring.write_chunk_uninit(buffer.len())
        {
            let samples = || buffer.iter().map(|&v| convert(v));
            if samples().all(f32::is_finite) {
                room.fill_from_iter(samples());
            } else {
                room.fill_from_iter(buffer.iter().map(|_| 0.0));
                self.lost
                    .silenced
                    .fetch_add(buffer.len(), Ordering::Relaxed);
            }
        } else {
            self.lost.dropped.fetch_add(buffer.len(), Ordering::Release);
        }
    }
}

impl CaptureOutput {
    /// What came next. A block whose length is a multiple of the number of channels gets whole
    /// frames, where the buffers were whole frames.
    pub fn take(&mut self, block: &mut [f32]) -> Taken {
        // Looked at before the ring: what is in there then is older.
        let gap = self.lost.dropped.load(Ordering::Acquire) > 0;
        let ready = self.ring.slots().min(block.len());
        if ready > 0 {
            let (filled, _) = self.ring.pop_partial_slice(&mut block[..ready]);
            Taken::Samples(filled.len())
        } else if gap {
            Taken::Gap(self.lost.dropped.swap(0, Ordering::AcqRel))
        } else {
            Taken::Nothing
        }
    }

    /// Samples (of all channels together) that [`take`](Self::take) would tell of now, missing ones
    /// too.
    pub fn waiting(&self) -> usize {
        let missing = self.lost.dropped.load(Ordering::Acquire);
        self.ring.slots() + missing
    }

    /// Samples (of all channels together) that became silence since the last call, because one of
    /// their buffer was not a finite number.
    pub fn silenced(&mut self) -> usize {
        self.lost.silenced.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(output: &mut CaptureOutput) -> Vec<(Vec<f32>, usize)> {
        let (mut found, mut block) = (Vec::new(), [0.0; 4]);
        loop {
            match output.take(&mut block) {
                Taken::Samples(n) => found.push((block[..n].to_vec(), 0)),
                Taken::Gap(missing) => found.push((Vec::new(), missing)),
                Taken::Nothing => return found,
            }
        }
    }

    #[test]
    fn samples_come_out_as_they_went_in() {
        let (mut input, mut output) = capture(16);
        assert_eq!(output.take(&mut [0.0; 4]), Taken::Nothing);
        for round in 0..10_i16 {
            input.push(&[round, 2, 3], f32::from);
            input.push(&[4_i16, 5, 6], f32::from);
            let found: Vec<f32> = all(&mut output).into_iter().flat_map(|f| f.0).collect();
            assert_eq!(found, [f32::from(round), 2.0, 3.0, 4.0, 5.0, 6.0]);
        }
    }

    #[test]
    fn a_gap_lies_where_the_samples_are_missing() {
        let (mut input, mut output) = capture(8);
        input.push(&[1.0_f32; 3], |v| v);
        input.push(&[2.0_f32; 3], |v| v);
        // No room for three; then, with a gap that nobody knows of, not for one either.
        input.push(&[3.0_f32; 3], |v| v);
        input.push(&[4.0_f32; 1], |v| v);
        assert_eq!(
            all(&mut output),
            [
                (vec![1.0, 1.0, 1.0, 2.0], 0),
                (vec![2.0, 2.0], 0),
                (vec![], 4)
            ]
        );
        input.push(&[5.0_f32; 2], |v| v);
        assert_eq!(all(&mut output), [(vec![5.0; 2], 0)]);
    }

    #[test]
    fn a_bad_buffer_is_silence_and_counted() {
        let (mut input, mut output) = capture(8);
        for bad in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            input.push(&[6.0, bad], |v| v);
            input.push(&[7.0], |v| v);
            assert_eq!(all(&mut output), [(vec![0.0, 0.0, 7.0], 0)]);
            assert_eq!((output.silenced(), output.silenced()), (2, 0));
        }
    }

    /// Whatever the two threads do to each other, every sample arrives in order or is counted.
    #[test]
    fn every_sample_arrives_or_is_counted() {
        const BUFFERS: usize = 20_000;
        let (mut input, mut output) = capture(300);
        let sender = std::thread::spawn(move || {
            for i in 0..BUFFERS {
                input.push(&[i as f32; 7], |v| v);
            }
        });
        let (mut at, mut block) = (0, [0.0; 64]);
        while at < 7 * BUFFERS {
            let ended = sender.is_finished();
            match output.take(&mut block) {
                Taken::Samples(n) => {
                    for value in &block[..n] {
                        assert_eq!(*value, (at / 7) as f32, "sample {at}");
                        at += 1;
                    }
                }
                Taken::Gap(missing) => at += missing,
                Taken::Nothing => assert!(!ended, "{at}"),
            }
        }
        assert_eq!(at, 7 * BUFFERS);
        sender.join().unwrap();
    }
}
