//! Running networks: one trait, and what runs them.
//!
//! A network is given its inputs by position and gives its outputs by position: exporters name them differently, but agree on
//! their order. It keeps nothing from one run to the next and is shared by all sessions; a run takes the thread it is
//! called on (or makes it wait) and no other, because who decodes has threads of its own.

#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "rten")]
mod rten;

use std::path::Path;

use crate::error::NeuralError;
use crate::onnx::Outline;

/// What runs a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runtime {
    /// `rten`, in Rust (feature `rten`, on by default).
    #[default]
    Rten,
    /// ONNX Runtime, from the shared library that `ORT_DYLIB_PATH` names (feature `ort`).
    Ort,
}

/// Values in row-major order, with their shape.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tensor {
    pub shape: Vec<usize>,
    pub values: Values,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Values {
    Float(Vec<f32>),
    Whole(Vec<i64>),
    Truth(Vec<bool>),
}

impl Tensor {
    /// Of real numbers.
    pub fn float(shape: &[usize], values: Vec<f32>) -> Tensor {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Tensor { shape: shape.to_vec(), values: Values::Float(values) }
    }

    /// Of real numbers that are all zero.
    pub fn zeros(shape: &[usize]) -> Tensor {
        Tensor::float(shape, vec![0.0; shape.iter().product()])
    }

    /// Of whole numbers, in one dimension.
    pub fn whole(values: &[i64]) -> Tensor {
        Tensor { shape: vec![values.len()], values: Values::Whole(values.to_vec()) }
    }

    /// Of truth values.
    pub fn truth(shape: &[usize], values: Vec<bool>) -> Tensor {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len());
        Tensor { shape: shape.to_vec(), values: Values::Truth(values) }
    }
}

/// A loaded network.
pub(crate) trait Network: Send + Sync {
    /// Runs it. An error is what the runtime said.
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, String>;
}

/// Loads a network from a file that was looked through before.
///
/// # Errors
/// [`NeuralError::Unusable`] with what the runtime said.
pub(crate) fn load(runtime: Runtime, path: &Path, outline: &Outline) -> Result<Box<dyn Network>, NeuralError> {
    let loaded = guarded(|| match runtime {
        #[cfg(feature = "rten")]
        Runtime::Rten => rten::Rten::load(path, outline),
        #[cfg(feature = "ort")]
        Runtime::Ort => ort::Ort::load(path),
        #[allow(unreachable_patterns)]
        missing => {
            let _ = outline;
            Err(format!("this program was built without the runtime {missing:?}"))
        }
    });
    loaded.map_err(|reason| NeuralError::unusable(path, format!("the network cannot be loaded: {reason}")))
}

/// Calls a runtime; should it panic over a network that nobody foresaw, that is an error like any other.
pub(crate) fn guarded<T>(call: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("the runtime gave up: {}", text.unwrap_or("no reason given")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error() {
        let error = guarded::<()>(|| panic!("index {} out of bounds", 3)).unwrap_err();
        assert!(error.contains("index 3 out of bounds"), "{error}");
        assert_eq!(guarded(|| Ok(1)), Ok(1));
    }
}
