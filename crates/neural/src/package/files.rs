//! The files of a package.

use std::path::{Path, PathBuf};

use super::Precision;
use crate::error::NeuralError;

/// Where the parts of a package are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Files {
    pub network: PathBuf,
    pub tokens: PathBuf,
}

/// Finds the network and the tokens in a folder: `model.int8.onnx` or `model.onnx` as wished (int8 if not said), else the only
/// one or the only such pair of another name, `ctc-epoch-20.int8.onnx`.
pub(crate) fn find(folder: &Path, precision: Option<Precision>) -> Result<Files, NeuralError> {
    let tokens = folder.join("tokens.txt");
    if !tokens.is_file() {
        return Err(NeuralError::read(&tokens, std::io::ErrorKind::NotFound.into()));
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| NeuralError::read(folder, source))? {
        let entry = entry.map_err(|source| NeuralError::read(folder, source))?;
        if let Some(name) = entry.file_name().to_str().filter(|name| name.ends_with(".onnx")) {
            names.push(name.to_string());
        }
    }
    names.sort_unstable();
    let network = choose(&names, precision).map_err(|reason| NeuralError::unusable(folder, reason))?;
    Ok(Files { network: folder.join(network), tokens })
}

fn choose(names: &[String], precision: Option<Precision>) -> Result<&str, String> {
    let parts = ["encoder", "decoder", "joiner", "predictor"];
    if names.iter().filter(|name| parts.iter().any(|part| name.starts_with(part))).count() > 1 {
        return Err(format!(
            "{} are the parts of a transducer or of a model with a decoder; only CTC models, which are one network, are supported",
            names.join(", ")
        ));
    }
    let called = |stem: &str| names.iter().filter(|name| base(name) == stem).collect::<Vec<_>>();
    let mut candidates = called("model");
    if candidates.is_empty() {
        let mut stems: Vec<&str> = names.iter().map(|name| base(name)).collect();
        stems.dedup();
        match stems.as_slice() {
            [] => return Err("there is no network: model.onnx or model.int8.onnx is missing".to_string()),
            [stem] => candidates = called(stem),
            _ => return Err(format!("which of {} is the network? Call it model.onnx", names.join(", "))),
        }
    }
    let of = |precision| candidates.iter().find(|name| (base(name) != plain(name)) == (precision == Precision::Int8));
    let found = match precision {
        None => of(Precision::Int8).or_else(|| of(Precision::Float)),
        Some(precision) => of(precision),
    };
    let found = found.map(|name| name.as_str());
    found.ok_or_else(|| match precision {
        Some(Precision::Int8) => "there is no network in 8 bits: model.int8.onnx is missing".to_string(),
        _ => "there is no network in 32 bits: model.onnx is missing".to_string(),
    })
}

/// A name without `.onnx`.
fn plain(name: &str) -> &str {
    name.strip_suffix(".onnx").unwrap_or(name)
}

/// A name without `.int8.onnx` or `.onnx`: what both precisions of a network share.
fn base(name: &str) -> &str {
    let name = plain(name);
    name.strip_suffix(".int8").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(names: &[&str], precision: Option<Precision>) -> Result<String, String> {
        let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
        choose(&names, precision).map(str::to_string)
    }

    #[test]
    fn the_network_is_found_by_name_or_because_it_is_the_only_one() {
        let both = ["model.int8.onnx", "model.onnx"];
        assert_eq!(chosen(&both, None).unwrap(), "model.int8.onnx");
        assert_eq!(chosen(&both, Some(Precision::Float)).unwrap(), "model.onnx");
        assert_eq!(chosen(&["model.onnx"], None).unwrap(), "model.onnx");
        let other = ["ctc-epoch-20-avg-1.int8.onnx", "ctc-epoch-20-avg-1.onnx"];
        assert_eq!(chosen(&other, None).unwrap(), other[0]);
        assert_eq!(chosen(&other, Some(Precision::Float)).unwrap(), other[1]);
        assert_eq!(chosen(&["model.onnx", "vad.onnx"], None).unwrap(), "model.onnx");
    }

    #[test]
    fn what_cannot_be_chosen_is_said() {
        for (names, precision, reason) in [
            (vec![], None, "no network"),
            (vec!["a.onnx", "b.onnx"], None, "which of"),
            (vec!["encoder.onnx", "decoder.onnx", "joiner.onnx"], None, "transducer"),
            (vec!["model.onnx"], Some(Precision::Int8), "8 bits"),
            (vec!["model.int8.onnx"], Some(Precision::Float), "32 bits"),
        ] {
            let error = chosen(&names, precision).unwrap_err();
            assert!(error.contains(reason), "{names:?}: {error}");
        }
    }
}
