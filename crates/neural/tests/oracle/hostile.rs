//! Packages that are truncated, changed or put together of what does not belong together: an error that names the file and
//! what was expected, and never a panic.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dictum_neural::{CtcModel, Mode, NeuralError, Options, Precision};

use crate::material::Oracle;

const PACKAGES: [&str; 8] = [
    "nemo",
    "nemo-characters",
    "nemo-streaming",
    "zipformer",
    "zipformer-streaming",
    "wenet",
    "wenet-streaming",
    "omnilingual",
];

/// A copy of a package, to be damaged.
struct Copy {
    folder: tempfile::TempDir,
}

impl Copy {
    fn new(package: &Path) -> Copy {
        let folder = tempfile::tempdir().unwrap();
        for name in ["model.onnx", "tokens.txt"] {
            std::fs::copy(package.join(name), folder.path().join(name)).unwrap();
        }
        Copy { folder }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.file(name), bytes).unwrap();
    }

    fn open(&self) -> Result<CtcModel, NeuralError> {
        CtcModel::open_with(self.folder.path(), Options { precision: Some(Precision::Float), ..Options::default() })
    }

    /// The error, which must name the file and say what is expected.
    fn refused(&self, file: &str, reason: &str) {
        let error = self.open().unwrap_err();
        assert_eq!(error.path(), self.file(file), "{error}");
        let text = error.to_string();
        assert!(text.contains(reason) && text.contains(file), "{text}");
    }
}

#[test]
fn what_does_not_belong_together_is_told() {
    let Some(oracle) = Oracle::new("what_does_not_belong_together_is_told") else { return };
    let copy = Copy::new(&oracle.package("nemo"));
    assert!(copy.open().is_ok());
    copy.write("tokens.txt", b"<blk> 0\na 1\n");
    copy.refused("tokens.txt", "2 tokens, but the network scores 24");
    copy.write("tokens.txt", b"a 0\nb 1\n");
    copy.refused("tokens.txt", "blank");
    copy.write("tokens.txt", b"<blk> 0\na zero\n");
    copy.refused("tokens.txt", "number");
    std::fs::remove_file(copy.file("tokens.txt")).unwrap();
    copy.refused("tokens.txt", "needs tokens.txt");

    let copy = Copy::new(&oracle.package("nemo"));
    copy.write("model.onnx", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n");
    copy.refused("model.onnx", "git lfs pull");
    copy.write("model.onnx", b"");
    copy.refused("model.onnx", "no graph");
    copy.write("model.onnx", b"<html><body>Not found</body></html>");
    copy.refused("model.onnx", "ONNX");
    std::fs::remove_file(copy.file("model.onnx")).unwrap();
    let error = copy.open().unwrap_err();
    assert!(error.to_string().contains("model.onnx or model.int8.onnx is missing"), "{error}");

    // Metadata that promise what the network does not hold.
    let copy = Copy::new(&oracle.package("nemo"));
    let network = std::fs::read(copy.file("model.onnx")).unwrap();
    copy.write("model.onnx", &replaced(&network, b"EncDecCTCModelBPE", b"omnilingual-asr12"));
    copy.refused("model.onnx", "omnilingual-asr12");
    copy.write("model.onnx", &replaced(&network, b"subsampling_factor", b"subsampling_fact0r"));
    copy.refused("model.onnx", "subsampling_factor");
    copy.write("model.onnx", &replaced(&network, b"LogSoftmax", b"LogSoftmix"));
    copy.refused("model.onnx", "LogSoftmix");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut changed = bytes.to_vec();
    let mut found = false;
    for at in 0..=bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            changed[at..at + to.len()].copy_from_slice(to);
            found = true;
        }
    }
    assert!(found);
    changed
}

#[test]
fn truncated_networks_are_refused() {
    let Some(oracle) = Oracle::new("truncated_networks_are_refused") else { return };
    for package in PACKAGES {
        let copy = Copy::new(&oracle.package(package));
        let whole = std::fs::read(copy.file("model.onnx")).unwrap();
        for part in 0..12 {
            copy.write("model.onnx", &whole[..whole.len() * part / 12]);
            let error = copy.open().unwrap_err();
            assert_eq!(error.path(), copy.file("model.onnx"), "{error}");
        }
    }
}

#[test]
fn changed_networks_give_scores_or_an_error() {
    let Some(oracle) = Oracle::new("changed_networks_give_scores_or_an_error") else { return };
    // A fixed sequence of numbers: what fails once fails again.
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below as u64) as usize
    };
    let (mut opened, mut refused) = (0, 0);
    for package in PACKAGES {
        let copy = Copy::new(&oracle.package(package));
        let whole = std::fs::read(copy.file("model.onnx")).unwrap();
        for _ in 0..12 {
            let mut changed = whole.clone();
            // Structure is at both ends of the file, weights in between.
            let at = if random(2) == 0 {
                random(whole.len().min(20_000))
            } else {
                whole.len() - 1 - random(20_000.min(whole.len()))
            };
            changed[at] = random(256) as u8;
            copy.write("model.onnx", &changed);
            match copy.open() {
                Ok(model) => {
                    opened += 1;
                    let mut stream = Arc::new(model).stream(Mode::Live);
                    let mut scores = Vec::new();
                    let outcome = stream.push(&[0.1; 32_000], &mut scores).and_then(|()| stream.finish(&mut scores));
                    assert!(outcome.is_err() || scores.iter().all(|score| score.is_finite()));
                }
                Err(error) => {
                    refused += 1;
                    assert!(error.path().starts_with(copy.folder.path()), "{error}");
                }
            }
        }
    }
    println!("{opened} opened, {refused} refused");
    assert!(opened > 10 && refused > 10);
}
