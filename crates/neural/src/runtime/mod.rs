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

use crate::error::{NeuralError, RuntimeError};
use crate::onnx::Outline;

/// What runs a network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runtime {
    /// `rten`, in Rust (feature `rten`, on by default).
    #[default]
    Rten,
    /// ONNX Runtime, from a shared library (feature `ort`): [`load_onnx_runtime`].
    OnnxRuntime(Provider),
}

/// Who computes for ONNX Runtime. What a provider cannot compute of a network the CPU does; one that cannot be had at all is an
/// error when a model is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Provider {
    /// The CPU.
    #[default]
    Cpu,
    /// The first NVIDIA GPU, where the library was built for it and finds CUDA and cuDNN.
    Cuda,
}

/// Loads the shared library of ONNX Runtime (1.17 or later), once for the whole process: from `library`, or else from where
/// `ORT_DYLIB_PATH` says, or else from where the system looks for `libonnxruntime.so`. Opening a model does the same without a path;
/// called before, this tells early that there is none.
///
/// # Errors
/// When there is no such library, it is too old, another was loaded before, or this program was built without the feature `ort`.
pub fn load_onnx_runtime(library: Option<&Path>) -> Result<(), RuntimeError> {
    #[cfg(feature = "ort")]
    return ort::load(library).map(drop);
    #[cfg(not(feature = "ort"))]
    {
        let _ = library;
        Err(RuntimeError::NotBuilt)
    }
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
        Runtime::OnnxRuntime(provider) => ort::Ort::load(path, provider),
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
