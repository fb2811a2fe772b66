//! Files on their way to the disk. They are put there behind the back of who copies, so that the disk is busy all the time; and they
//! are not left in the system's cache, where they would push out what a server on the same machine needs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{Advice, fadvise};
use sha2::{Digest, Sha256};

use super::{BackupError, file_error};

/// Bytes of a file that are put on the disk together.
const STRETCH: u64 = 32 << 20;
/// Files, or stretches of them, that wait for the disk.
const WAITING: usize = 2;

/// A thread that puts files on the disk, one after the other.
pub(super) struct Syncer {
    orders: Option<SyncSender<Order>>,
    thread: Option<JoinHandle<Result<(), BackupError>>>,
}

struct Order {
    file: File,
    path: PathBuf,
    /// It is complete.
    whole: bool,
}

impl Syncer {
    pub(super) fn start() -> Syncer {
        let (orders, incoming) = sync_channel(WAITING);
        let thread = std::thread::spawn(move || sync_all(&incoming));
        Syncer { orders: Some(orders), thread: Some(thread) }
    }

    /// Begins with what there is of a file, unless there is enough to do already: it is no more than a beginning.
    fn begin(&self, file: &File, path: &Path) {
        if let (Some(orders), Ok(file)) = (&self.orders, file.try_clone()) {
            let _ = orders.try_send(Order { file, path: path.to_owned(), whole: false });
        }
    }

    /// Has a complete file put on the disk; waits while there is too much to do.
    fn whole(&mut self, file: File, path: &Path) -> Result<(), BackupError> {
        let order = Order { file, path: path.to_owned(), whole: true };
        match &self.orders {
            // Who does not listen any more has failed, and says why.
            Some(orders) if orders.send(order).is_err() => self.join(),
            _ => Ok(()),
        }
    }

    /// Waits until all is on the disk.
    pub(super) fn end(mut self) -> Result<(), BackupError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), BackupError> {
        self.orders = None;
        match self.thread.take().map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(outcome)) => outcome,
            Some(Err(panic)) => std::panic::resume_unwind(panic),
        }
    }
}

fn sync_all(orders: &Receiver<Order>) -> Result<(), BackupError> {
    for Order { file, path, whole } in orders {
        let synced = if whole { file.sync_all() } else { file.sync_data() };
        synced.map_err(file_error(&path))?;
        // That a system cannot forget costs nothing but memory.
        let _ = fadvise(&file, 0, None, Advice::DontNeed);
    }
    Ok(())
}

/// A file that is read once, from its beginning to its end.
pub(super) struct ReadOnce {
    pub(super) file: File,
    read: u64,
    forgotten: u64,
}

impl ReadOnce {
    pub(super) fn new(file: File) -> ReadOnce {
        let _ = fadvise(&file, 0, None, Advice::Sequential);
        ReadOnce { file, read: 0, forgotten: 0 }
    }

    /// So many bytes were read. At the end, none.
    pub(super) fn note(&mut self, bytes: usize) {
        self.read += bytes as u64;
        if bytes == 0 || self.read - self.forgotten >= STRETCH {
            let length = std::num::NonZeroU64::new(self.read - self.forgotten);
            let _ = fadvise(&self.file, self.forgotten, length, Advice::DontNeed);
            self.forgotten = self.read;
        }
    }
}

/// A file that is being written, and what is in it.
pub(super) struct Saving {
    file: File,
    path: PathBuf,
    hash: Sha256,
    size: u64,
    begun: u64,
}

impl Saving {
    pub(super) fn new(file: File, path: &Path) -> Saving {
        Saving { file, path: path.to_owned(), hash: Sha256::new(), size: 0, begun: 0 }
    }

    pub(super) fn write(&mut self, piece: &[u8], syncer: &Syncer) -> Result<(), BackupError> {
        self.hash.update(piece);
        self.size += piece.len() as u64;
        self.file.write_all(piece).map_err(file_error(&self.path))?;
        if self.size - self.begun >= STRETCH {
            self.begun = self.size;
            syncer.begin(&self.file, &self.path);
        }
        Ok(())
    }

    /// Has it put on the disk if it is of this size and SHA-256, and otherwise removed: `false`.
    pub(super) fn finish(self, size: u64, sha256: &str, syncer: &mut Syncer) -> Result<bool, BackupError> {
        if self.size != size || hex::encode(self.hash.finalize()) != sha256 {
            let _ = std::fs::remove_file(&self.path);
            return Ok(false);
        }
        syncer.whole(self.file, &self.path).map(|()| true)
    }
}

/// Keeps copying from being faster than was wished.
pub(super) struct Pace {
    began: Instant,
    bytes: u64,
    most: Option<u64>,
}

impl Pace {
    /// At most so many bytes a second.
    pub(super) fn new(most: Option<u64>) -> Pace {
        Pace { began: Instant::now(), bytes: 0, most }
    }

    /// Waits until so many bytes more are due.
    pub(super) async fn keep(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
        if let Some(most) = self.most {
            let due = Duration::from_secs_f64(self.bytes as f64 / most.max(1) as f64);
            tokio::time::sleep(due.saturating_sub(self.began.elapsed())).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn copying_is_not_faster_than_was_wished() {
        let began = Instant::now();
        let mut pace = Pace::new(Some(1_000_000));
        for _ in 0..10 {
            pace.keep(10_000).await;
        }
        assert!(began.elapsed() >= Duration::from_millis(99), "{:?}", began.elapsed());
    }

    #[test]
    fn what_cannot_be_put_on_the_disk_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let mut syncer = Syncer::start();
        let mut saving = Saving::new(File::create(&path).unwrap(), &path);
        saving.write(b"abc", &syncer).unwrap();
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert!(saving.finish(3, sha256, &mut syncer).unwrap());
        let saving = Saving::new(File::create(directory.path().join("b")).unwrap(), &directory.path().join("b"));
        assert!(!saving.finish(3, sha256, &mut syncer).unwrap(), "not what it should be");
        assert!(!directory.path().join("b").exists());
        // A file of the system that nothing can be put on a disk of.
        let null = Path::new("/dev/null");
        let saving = Saving::new(File::create(null).unwrap(), null);
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert!(saving.finish(0, empty, &mut syncer).unwrap());
        assert!(matches!(syncer.end(), Err(BackupError::File { path, .. }) if path == null));
        assert_eq!(std::fs::read(&path).unwrap(), b"abc");
    }
}
