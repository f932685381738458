//! Buffers that go round from step to step.
//!
//! A training step needs the same few large buffers again and again. Left to the allocator they are given back to the
//! system after each step and come back as fresh pages, which costs a tenth of the step.

use std::cell::RefCell;
use std::collections::HashMap;

/// Shorter buffers are the allocator's.
const SHORTEST: usize = 1 << 12;

/// Numbers that a thread keeps at most (64 MB).
const LIMIT: usize = 1 << 24;

#[derive(Default)]
struct Free {
    held: usize,
    by_length: HashMap<usize, Vec<Vec<f32>>>,
}

thread_local! {
    static FREE: RefCell<Free> = RefCell::default();
}

/// `len` numbers of any value, to be overwritten.
pub(super) fn take(len: usize) -> Vec<f32> {
    let kept = FREE.with_borrow_mut(|free| {
        let kept = free.by_length.get_mut(&len)?.pop()?;
        free.held -= len;
        Some(kept)
    });
    kept.unwrap_or_else(|| vec![0.0; len])
}

/// Keeps a buffer for this thread's next [`take`] of its length.
pub(super) fn give(buffer: Vec<f32>) {
    let len = buffer.len();
    if !(SHORTEST..=LIMIT).contains(&len) {
        return;
    }
    FREE.with_borrow_mut(|free| {
        if free.held + len > LIMIT {
            // Buffers of networks that are no longer trained.
            *free = Free::default();
        }
        free.held += len;
        free.by_length.entry(len).or_default().push(buffer);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_come_back_and_the_limit_holds() {
        let mut buffer = take(5000);
        buffer[0] = 7.0;
        give(buffer);
        assert_eq!(take(5000)[0], 7.0);
        assert_eq!(take(5000)[0], 0.0);
        for _ in 0..5 {
            give(vec![1.0; LIMIT / 4]);
            FREE.with_borrow(|free| assert!(free.held <= LIMIT));
        }
        give(vec![1.0; 10]);
        FREE.with_borrow(|free| assert!(!free.by_length.contains_key(&10)));
    }
}
