//! Whether the files of a package are there and are what its manifest says.

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::ModelsError;
use crate::package::{CtcFiles, Package, PackageFiles};

/// One file of a package, examined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileReport {
    /// What the file is to the package, or its name for files that only a checksum names.
    pub role: String,
    /// Its path.
    pub path: std::path::PathBuf,
    /// Bytes; of a directory those of its files. 0 when missing.
    pub bytes: u64,
    /// What was found.
    pub finding: Finding,
}

/// What was found of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// There, and equal to its recorded checksum.
    Verified,
    /// There; no checksum is recorded.
    Present,
    /// Not there.
    Missing,
    /// There, but empty.
    Empty,
    /// Could not be read.
    Unreadable(String),
    /// Its SHA-256 is not the recorded one.
    Differs {
        /// The recorded SHA-256.
        recorded: String,
        /// The file's.
        actual: String,
    },
}

impl Finding {
    /// Whether the file can be used.
    pub fn is_good(&self) -> bool {
        matches!(self, Finding::Verified | Finding::Present)
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Finding::Verified => f.write_str("verified"),
            Finding::Present => f.write_str("present"),
            Finding::Missing => f.write_str("missing"),
            Finding::Empty => f.write_str("empty"),
            Finding::Unreadable(why) => write!(f, "unreadable: {why}"),
            Finding::Differs { recorded, actual } => {
                write!(
                    f,
                    "differs from the file that was packaged (SHA-256 {actual:.12}..., recorded {recorded:.12}...)"
                )
            }
        }
    }
}

/// Files every Sphinx acoustic model has; the mixture weights come in one of two forms.
const ACOUSTIC_FILES: [&str; 5] = ["mdef", "means", "variances", "transition_matrices", "feat.params"];
const MIXTURE_WEIGHTS: [&str; 2] = ["sendump", "mixture_weights"];

/// Examines every file of the package, reading those with a recorded checksum in full.
pub fn examine(package: &Package) -> Vec<FileReport> {
    let mut reports: Vec<FileReport> =
        required(package).into_iter().map(|(role, path)| examine_file(package, role, &path, true)).collect();
    for path in package.checksums.keys() {
        if !reports.iter().any(|report| report.path == *path) {
            reports.push(examine_file(package, "further file".to_owned(), path, true));
        }
    }
    reports
}

/// Fails with the first file that is missing or empty, without reading any. Loading calls this first, because "mdef is
/// missing" is a better message than whatever a reader would say.
pub(crate) fn files_present(package: &Package) -> Result<(), ModelsError> {
    for (role, path) in required(package) {
        let report = examine_file(package, role, &path, false);
        if !report.finding.is_good() {
            let problem = format!("{} {} is {}", report.role, report.path.display(), report.finding);
            return Err(ModelsError::Damaged { package: package.name.clone(), problem });
        }
    }
    Ok(())
}

fn required(package: &Package) -> Vec<(String, std::path::PathBuf)> {
    let files = match &package.files {
        PackageFiles::Sphinx(files) => files,
        PackageFiles::Ctc(files) => return required_of_ctc(files),
    };
    let mut required: Vec<_> =
        ACOUSTIC_FILES.iter().map(|name| (format!("acoustic model, {name}"), files.acoustic.join(name))).collect();
    let weights = MIXTURE_WEIGHTS.iter().find(|name| files.acoustic.join(name).exists()).unwrap_or(&MIXTURE_WEIGHTS[0]);
    required.push((format!("acoustic model, {weights}"), files.acoustic.join(weights)));
    required.push(("dictionary".to_owned(), files.dictionary.clone()));
    required.push(("noise dictionary".to_owned(), files.noise_dictionary.clone()));
    required.push(("language model".to_owned(), files.language_model.clone()));
    if let Some(map) = &files.narrowband_map {
        required.push(("narrowband map".to_owned(), map.clone()));
    }
    required
}

fn required_of_ctc(files: &CtcFiles) -> Vec<(String, std::path::PathBuf)> {
    let network = ["model.int8.onnx", "model.onnx"].map(|name| files.network.join(name));
    let network = network.iter().find(|path| path.exists()).unwrap_or(&network[1]);
    let mut required =
        vec![("network".to_owned(), network.clone()), ("table of tokens".to_owned(), files.network.join("tokens.txt"))];
    required.extend(files.language_model.iter().map(|path| ("language model".to_owned(), path.clone())));
    required.extend(files.words.iter().map(|path| ("list of words".to_owned(), path.clone())));
    required
}

fn examine_file(package: &Package, role: String, path: &Path, read: bool) -> FileReport {
    let (bytes, finding) = match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => (0, Finding::Missing),
        Err(error) => (0, Finding::Unreadable(error.to_string())),
        Ok(data) if !data.is_file() => (0, Finding::Unreadable("not a file".to_owned())),
        Ok(data) if data.len() == 0 => (0, Finding::Empty),
        Ok(data) => (data.len(), compare(package, path, read)),
    };
    FileReport { role, path: path.to_owned(), bytes, finding }
}

fn compare(package: &Package, path: &Path, read: bool) -> Finding {
    let Some(recorded) = package.checksums.get(path).filter(|_| read) else {
        return Finding::Present;
    };
    match sha256(path) {
        Err(error) => Finding::Unreadable(error.to_string()),
        Ok((_, actual)) if actual == *recorded => Finding::Verified,
        Ok((_, actual)) => Finding::Differs { recorded: recorded.clone(), actual },
    }
}

/// Length of a file, and its SHA-256 in lower-case hexadecimal.
pub(crate) fn sha256(path: &Path) -> std::io::Result<(u64, String)> {
    let mut file = std::fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => {
                hash.update(&buffer[..count]);
                bytes += count as u64;
            }
        }
    }
    Ok((bytes, hex::encode(hash.finalize())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::package::DEBIAN_DIRECTORY;

    fn copy() -> (tempfile::TempDir, Package) {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("en-us")).unwrap();
        let package = Package::debian(root.path());
        for (_, path) in required(&package) {
            std::fs::write(path, "content").unwrap();
        }
        (root, package)
    }

    #[test]
    fn complete_packages_pass() {
        let (_root, package) = copy();
        assert!(examine(&package).iter().all(|report| report.finding == Finding::Present));
        files_present(&package).unwrap();
    }

    #[test]
    fn missing_and_empty_files_are_named() {
        let (root, package) = copy();
        std::fs::remove_file(root.path().join("en-us/means")).unwrap();
        let message = files_present(&package).unwrap_err().to_string();
        assert!(message.ends_with("en-us/means is missing"), "{message}");
        std::fs::write(root.path().join("en-us/means"), "").unwrap();
        let message = files_present(&package).unwrap_err().to_string();
        assert!(message.ends_with("en-us/means is empty"), "{message}");
    }

    #[test]
    fn checksums_are_compared() {
        let (root, mut package) = copy();
        let path = root.path().join("en-us.lm.bin");
        // SHA-256 of "content".
        let sum = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";
        package.checksums.insert(path.clone(), sum.to_owned());
        let finding =
            |package: &Package| examine(package).into_iter().find(|report| report.path == path).unwrap().finding;
        assert_eq!(finding(&package), Finding::Verified);
        std::fs::write(&path, "tampered").unwrap();
        assert!(matches!(finding(&package), Finding::Differs { recorded, .. } if recorded == sum));
    }

    #[test]
    fn debians_files_are_those_we_know() {
        if !Path::new(DEBIAN_DIRECTORY).exists() {
            println!("skipped: debians_files_are_those_we_know: {DEBIAN_DIRECTORY} is not installed");
            return;
        }
        for report in examine(&Package::debian(Path::new(DEBIAN_DIRECTORY))) {
            assert_eq!(report.finding, Finding::Verified, "{}", report.path.display());
        }
    }
}
