//! Threads that take work side by side.

use std::sync::atomic::{AtomicBool, Ordering};

/// Runs `worker` on `jobs` threads, each with a rayon pool of one thread to install its computations in, so that results
/// do not depend on the number of cores. When a worker fails, the flag tells the others to stop taking work.
///
/// # Errors
/// The first error of a worker, or of starting its pool. A worker's panic goes on in the caller.
pub(crate) fn side_by_side<E, W>(jobs: usize, worker: W) -> Result<(), E>
where
    E: From<rayon::ThreadPoolBuildError> + Send,
    W: Fn(&rayon::ThreadPool, &AtomicBool) -> Result<(), E> + Sync,
{
    let failed = AtomicBool::new(false);
    let run = || -> Result<(), E> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
        worker(&pool, &failed)
    };
    let outcomes: Vec<Result<(), E>> = std::thread::scope(|scope| {
        let started: Vec<_> = (0..jobs)
            .map(|_| {
                scope.spawn(|| {
                    let outcome = run();
                    failed.fetch_or(outcome.is_err(), Ordering::Relaxed);
                    outcome
                })
            })
            .collect();
        let join = |t: std::thread::ScopedJoinHandle<'_, _>| {
            t.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        started.into_iter().map(join).collect()
    });
    outcomes.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Debug)]
    struct Failure(usize);

    impl From<rayon::ThreadPoolBuildError> for Failure {
        fn from(_: rayon::ThreadPoolBuildError) -> Self {
            Self(0)
        }
    }

    #[test]
    fn a_failure_stops_the_others_and_comes_back() {
        let taken = AtomicUsize::new(0);
        let outcome = side_by_side(3, |pool, failed| {
            while !failed.load(Ordering::Relaxed) {
                let n = taken.fetch_add(1, Ordering::Relaxed);
                assert_eq!(pool.install(rayon::current_num_threads), 1);
                if n == 100 {
                    return Err(Failure(n));
                }
            }
            Ok(())
        });
        assert_eq!(outcome.unwrap_err().0, 100);
    }
}
