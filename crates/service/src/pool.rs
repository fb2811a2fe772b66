//! The decoding threads. Jobs take turns: a job that has more to do queues again, and of the jobs in the queue the one that is
//! due first has the next turn. A job is due when its [patience](Work::patience) runs out, so somebody who waits for words to
//! appear is served before an upload, and an upload is never put off for longer than its patience.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::telemetry::{Telemetry, thread_cpu};

/// What a job says at the end of its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// There is more to do at once.
    Again,
    /// Nothing to do until the next [`PoolHandle::wake`].
    Wait,
}

/// Work cut into turns of bounded length.
pub(crate) trait Work: Send + Sync {
    /// Does one turn. Never called by two threads at a time.
    fn turn(&self) -> Turn;
    /// For how long the next turn may be put off in favour of others.
    fn patience(&self) -> Duration {
        Duration::ZERO
    }
    /// The turn panicked; there will be no further one unless woken.
    fn panicked(&self);
}

const WAITING: u8 = 0;
const QUEUED: u8 = 1;
const RUNNING: u8 = 2;
/// Woken while running: it runs again, for it may have looked before there was something to see.
const RUNNING_WOKEN: u8 = 3;

/// A piece of work with its place in the schedule.
pub(crate) struct Job<W: ?Sized = dyn Work> {
    status: AtomicU8,
    /// The work.
    pub(crate) work: W,
}

impl<W: Work> Job<W> {
    pub(crate) fn new(work: W) -> Arc<Self> {
        Arc::new(Job { status: AtomicU8::new(WAITING), work })
    }
}

#[derive(Default)]
struct Queue {
    jobs: BinaryHeap<Reverse<Queued>>,
    /// Jobs queued so far.
    number: u64,
    stopping: bool,
}

/// A job in the queue; ordered by when it is due, then by when it came.
struct Queued {
    due: Instant,
    /// When it came.
    since: Instant,
    number: u64,
    job: Arc<Job>,
}

impl Queued {
    fn rank(&self) -> (Instant, u64) {
        (self.due, self.number)
    }
}

impl PartialEq for Queued {
    fn eq(&self, other: &Self) -> bool {
        self.rank() == other.rank()
    }
}

impl Eq for Queued {}

impl PartialOrd for Queued {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Queued {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    filled: Condvar,
    telemetry: Arc<Telemetry>,
}

/// A fixed number of threads. They end when the pool is dropped, each after its present turn.
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

/// Wakes jobs; outlives the pool without keeping it alive.
#[derive(Clone)]
pub(crate) struct PoolHandle {
    shared: Arc<Shared>,
}

impl Pool {
    /// Starts `threads` threads, at least one.
    pub(crate) fn new(threads: usize, telemetry: Arc<Telemetry>) -> Pool {
        let shared = Arc::new(Shared { telemetry, ..Shared::default() });
        for index in 0..threads.max(1) {
            let shared = Arc::clone(&shared);
            let thread = std::thread::Builder::new().name(format!("decode-{index}"));
            if let Err(error) = thread.spawn(move || shared.work()) {
                // With no thread at all nothing would ever be recognised; with fewer than asked for it is only slower.
                assert!(index > 0, "cannot start a decoding thread: {error}");
                tracing::warn!(%error, started = index, wanted = threads, "fewer decoding threads than configured");
                break;
            }
        }
        Pool { shared }
    }

    pub(crate) fn handle(&self) -> PoolHandle {
        PoolHandle { shared: Arc::clone(&self.shared) }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.stopping = true;
        queue.jobs.clear();
        self.shared.filled.notify_all();
    }
}

impl PoolHandle {
    /// The figures that jobs add to.
    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.shared.telemetry
    }

    /// How many jobs wait for a thread.
    pub(crate) fn queued(&self) -> usize {
        self.shared.queue.lock().jobs.len()
    }

    /// Sees to it that the job gets a turn that begins after this call.
    pub(crate) fn wake<W: Work + 'static>(&self, job: &Arc<Job<W>>) {
        loop {
            let (from, to) = match job.status.load(Ordering::Acquire) {
                WAITING => (WAITING, QUEUED),
                RUNNING => (RUNNING, RUNNING_WOKEN),
                _ => return,
            };
            if job.status.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                if to == QUEUED {
                    self.shared.enqueue(Arc::clone(job) as Arc<Job>);
                }
                return;
            }
        }
    }
}

impl Shared {
    fn enqueue(&self, job: Arc<Job>) {
        let mut queue = self.queue.lock();
        if !queue.stopping {
            queue.number += 1;
            let (since, number) = (Instant::now(), queue.number);
            let due = since + job.work.patience();
            queue.jobs.push(Reverse(Queued { due, since, number, job }));
            self.filled.notify_one();
        }
    }

    fn next(&self) -> Option<Arc<Job>> {
        let mut queue = self.queue.lock();
        loop {
            if queue.stopping {
                return None;
            }
            if let Some(Reverse(queued)) = queue.jobs.pop() {
                self.telemetry.turn_begins(queued.since.elapsed());
                return Some(queued.job);
            }
            self.filled.wait(&mut queue);
        }
    }

    /// The life of a decoding thread.
    fn work(&self) {
        while let Some(job) = self.next() {
            job.status.store(RUNNING, Ordering::Release);
            let before = thread_cpu();
            // A defect met by one recording must not take the thread, and with it the other sessions, along.
            let turn = catch_unwind(AssertUnwindSafe(|| job.work.turn())).unwrap_or_else(|_| {
                job.work.panicked();
                Turn::Wait
            });
            self.telemetry.turn_ends(thread_cpu().saturating_sub(before));
            let waits = turn == Turn::Wait
                && job.status.compare_exchange(RUNNING, WAITING, Ordering::AcqRel, Ordering::Acquire).is_ok();
            if !waits {
                job.status.store(QUEUED, Ordering::Release);
                self.enqueue(job);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    /// Counts down, one a turn, and reports its name each time.
    struct Countdown {
        name: char,
        left: AtomicUsize,
        patience: Duration,
        report: mpsc::Sender<char>,
    }

    impl Work for Countdown {
        fn turn(&self) -> Turn {
            let left = self.left.load(Ordering::Relaxed);
            if left == 0 {
                return Turn::Wait;
            }
            self.report.send(self.name).unwrap();
            self.left.store(left - 1, Ordering::Relaxed);
            if self.name == 'p' {
                panic!("a defect");
            }
            Turn::Again
        }

        fn patience(&self) -> Duration {
            self.patience
        }

        fn panicked(&self) {
            self.report.send('!').unwrap();
        }
    }

    fn countdown(name: char, from: usize, report: &mpsc::Sender<char>) -> Arc<Job<Countdown>> {
        patient(name, from, Duration::ZERO, report)
    }

    fn patient(name: char, from: usize, patience: Duration, report: &mpsc::Sender<char>) -> Arc<Job<Countdown>> {
        Job::new(Countdown { name, left: AtomicUsize::new(from), patience, report: report.clone() })
    }

    /// Holds the only thread until told to go on, so that a test can fill the queue behind it.
    struct Gate(Mutex<mpsc::Receiver<()>>);

    impl Work for Gate {
        fn turn(&self) -> Turn {
            let _ = self.0.lock().recv();
            Turn::Wait
        }
        fn panicked(&self) {}
    }

    #[test]
    fn jobs_take_turns() {
        let pool = Pool::new(1, Arc::default());
        let (open, gate) = mpsc::channel();
        let (report, reports) = mpsc::channel();
        pool.handle().wake(&Job::new(Gate(Mutex::new(gate))));
        let (long, short) = (countdown('l', 6, &report), countdown('s', 3, &report));
        pool.handle().wake(&long);
        pool.handle().wake(&short);
        pool.handle().wake(&short); // woken twice, queued once
        open.send(()).unwrap();
        let order: String = reports.iter().take(9).collect();
        assert_eq!(order, "lslslslll");
    }

    #[test]
    fn the_patient_wait_for_the_others_but_not_for_ever() {
        let pool = Pool::new(1, Arc::default());
        let (open, gate) = mpsc::channel();
        let (report, reports) = mpsc::channel();
        pool.handle().wake(&Job::new(Gate(Mutex::new(gate))));
        pool.handle().wake(&patient('a', 2, Duration::from_secs(1_800), &report));
        pool.handle().wake(&patient('b', 2, Duration::from_secs(3_600), &report));
        pool.handle().wake(&countdown('s', 3, &report));
        open.send(()).unwrap();
        let order: String = reports.iter().take(7).collect();
        assert_eq!(order, "sssaabb");
        // Due before the other came.
        let (open, gate) = mpsc::channel();
        pool.handle().wake(&Job::new(Gate(Mutex::new(gate))));
        pool.handle().wake(&patient('a', 1, Duration::from_millis(1), &report));
        std::thread::sleep(Duration::from_millis(5));
        pool.handle().wake(&countdown('s', 1, &report));
        open.send(()).unwrap();
        let order: String = reports.iter().take(2).collect();
        assert_eq!(order, "as");
    }

    #[test]
    fn a_panic_ends_the_job_but_not_the_thread() {
        let pool = Pool::new(1, Arc::default());
        let (report, reports) = mpsc::channel();
        pool.handle().wake(&countdown('p', 5, &report));
        pool.handle().wake(&countdown('a', 2, &report));
        let order: String = reports.iter().take(4).collect();
        assert_eq!(order, "p!aa");
    }

    #[test]
    fn a_job_woken_while_it_runs_runs_again() {
        struct Rerun {
            turns: AtomicUsize,
            started: mpsc::Sender<usize>,
            go_on: Mutex<mpsc::Receiver<()>>,
        }
        impl Work for Rerun {
            fn turn(&self) -> Turn {
                let turn = self.turns.fetch_add(1, Ordering::SeqCst);
                self.started.send(turn).unwrap();
                let _ = self.go_on.lock().recv();
                Turn::Wait
            }
            fn panicked(&self) {}
        }
        let pool = Pool::new(2, Arc::default());
        let (go_on, wait) = mpsc::channel();
        let (started, starts) = mpsc::channel();
        let job = Job::new(Rerun { turns: AtomicUsize::new(0), started, go_on: Mutex::new(wait) });
        pool.handle().wake(&job);
        assert_eq!(starts.recv().unwrap(), 0);
        pool.handle().wake(&job);
        go_on.send(()).unwrap();
        assert_eq!(starts.recv().unwrap(), 1);
        go_on.send(()).unwrap();
    }
}
