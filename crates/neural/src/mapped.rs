//! Files read in place: the crate's only unsafe code.

use std::fs::File;
use std::path::Path;

/// Maps a file.
#[allow(unsafe_code)]
pub(crate) fn mapped(path: &Path) -> std::io::Result<memmap2::Mmap> {
    let file = File::open(path)?;
    // SAFETY: what is mapped must not change while it is in use. Packages are installed whole and never written to again; who may
    // write to them may as well replace the program.
    unsafe { memmap2::Mmap::map(&file) }
}

/// Loads a network whose weights lie beside it in files that are mapped.
#[cfg(feature = "rten")]
#[allow(unsafe_code)]
pub(crate) fn load_mapped(options: &rten::ModelOptions, path: &Path) -> Result<rten::Model, rten::LoadError> {
    // SAFETY: as for `mapped`.
    unsafe { options.load_mmap(path) }
}
