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

/// A network that reads its weights where they are mapped.
#[cfg(feature = "rten")]
pub(crate) struct InPlace {
    // Dropped in this order.
    model: rten::Model,
    _files: Vec<memmap2::Mmap>,
}

#[cfg(feature = "rten")]
impl InPlace {
    /// Loads a graph whose weights are in `files`, by the names under which it knows them.
    #[allow(unsafe_code)]
    pub(crate) fn load(
        mut options: rten::ModelOptions,
        graph: Vec<u8>,
        files: Vec<(Vec<String>, memmap2::Mmap)>,
    ) -> Result<InPlace, rten::LoadError> {
        for (names, file) in &files {
            // SAFETY: the model alone gets to see these bytes for longer than this call, and is gone before the files are. What it
            // computes is its own, and never a view of its weights.
            let bytes: &'static [u8] = unsafe { std::slice::from_raw_parts(file.as_ptr(), file.len()) };
            for name in names {
                options.external_data_static(name, bytes);
            }
        }
        let model = options.load(graph)?;
        Ok(InPlace { model, _files: files.into_iter().map(|(_, file)| file).collect() })
    }

    pub(crate) fn model(&self) -> &rten::Model {
        &self.model
    }
}
