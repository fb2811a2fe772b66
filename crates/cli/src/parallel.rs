//! A list of items worked on by several threads, with results in the order of the list.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

/// Threads for `jobs` as given on the command line: 0 is one for each processor.
pub fn threads(jobs: usize) -> usize {
    match jobs {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        jobs => jobs,
    }
}

/// Calls `work` for every item on `threads` threads, and `take` with item number and result in the order of the items, as
/// soon as the order allows. Stops early when `take` returns `false`.
pub fn in_order<T: Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(&T) -> R + Sync,
    mut take: impl FnMut(usize, R) -> bool,
) {
    let next = AtomicUsize::new(0);
    // Results wait here for a slow predecessor; a bound keeps fast workers from running far ahead of it.
    let (sender, receiver) = mpsc::sync_channel(2 * threads.max(1));
    std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    if sender.send((at, work(item))).is_err() {
                        break; // the receiver has heard enough
                    }
                }
            });
        }
        drop(sender);
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        // Moved in, so that it is dropped before the scope waits for the workers.
        for (at, result) in receiver {
            waiting.insert(at, result);
            while let Some(result) = waiting.remove(&due) {
                if !take(due, result) {
                    return;
                }
                due += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn results_come_in_order() {
        let items: Vec<u64> = (0..40).collect();
        let mut seen = Vec::new();
        let work = |item: &u64| {
            std::thread::sleep(Duration::from_millis((40 - item) % 5));
            item * item
        };
        in_order(&items, 4, work, |at, square| {
            seen.push((at, square));
            true
        });
        assert_eq!(seen, (0..40).map(|at| (at, (at * at) as u64)).collect::<Vec<_>>());
    }

    #[test]
    fn stops_when_told() {
        let items: Vec<usize> = (0..1000).collect();
        let done = AtomicUsize::new(0);
        let mut seen = 0;
        let work = |_: &usize| {
            done.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        };
        in_order(&items, 2, work, |_, ()| {
            seen += 1;
            seen < 3
        });
        assert_eq!(seen, 3);
        assert!(done.into_inner() < 100);
    }

    #[test]
    fn nothing_to_do() {
        in_order(&[] as &[u8], 4, |_| (), |_, ()| unreachable!());
    }
}
