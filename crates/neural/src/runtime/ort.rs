//! ONNX Runtime, from a shared library that is found at run time: <https://onnxruntime.ai>.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::ep::CUDA;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights};
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor as OrtTensor, TensorRef};

use super::{Network, Provider, Tensor, Values};
use crate::error::RuntimeError;

/// A network with a session for each run that is under way: the bindings let no two runs share one. Weights that were laid out
/// anew for the processor are shared.
pub(super) struct Ort {
    path: PathBuf,
    provider: Provider,
    weights: PrepackedWeights,
    idle: Mutex<Vec<Session>>,
}

impl Ort {
    pub fn load(path: &Path, provider: Provider) -> Result<Box<dyn Network>, String> {
        let path = path.to_path_buf();
        let network = Ort { path, provider, weights: PrepackedWeights::new(), idle: Mutex::new(Vec::new()) };
        let session = network.session()?;
        network.give_back(session);
        Ok(Box::new(network))
    }

    /// A session that nobody uses, a new one if need be.
    fn session(&self) -> Result<Session, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| self.open(), Ok)
    }

    fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }

    fn open(&self) -> Result<Session, String> {
        let environment = load(None).map_err(|error| error.to_string())?;
        let session = || -> ort::Result<Session> {
            let builder = Session::builder(environment)?;
            let builder = match self.provider {
                Provider::Cpu => builder,
                // Unless told so, the bindings would be content with the CPU.
                Provider::Cuda => builder.with_execution_providers([CUDA::default().build().error_on_failure()])?,
            };
            let builder = builder.with_optimization_level(GraphOptimizationLevel::All)?;
            let builder = builder.with_intra_threads(1)?.with_inter_threads(1)?;
            builder.with_prepacked_weights(&self.weights)?.commit_from_file(&self.path)
        };
        session().map_err(|error| error.to_string())
    }
}

/// The library that this process has loaded, and where from.
static LOADED: OnceLock<(PathBuf, Environment)> = OnceLock::new();

/// The library, loaded when it is not yet: from `library`, `ORT_DYLIB_PATH` or where the system looks, in this order.
pub(super) fn load(library: Option<&Path>) -> Result<&'static Environment, RuntimeError> {
    static LOADING: Mutex<()> = Mutex::new(());
    let _guard = LOADING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((loaded, environment)) = LOADED.get() {
        return match library {
            Some(other) if other != loaded => {
                Err(RuntimeError::Another { library: other.to_path_buf(), loaded: loaded.clone() })
            }
            _ => Ok(environment),
        };
    }
    let library = library.map_or_else(usual, Path::to_path_buf);
    let failed = |reason: String| RuntimeError::Library { library: library.clone(), reason };
    let builder = ort::init_from(&library).map_err(|error| failed(error.to_string()))?;
    let environment = builder.build().map_err(|error| failed(error.to_string()))?;
    Ok(&LOADED.get_or_init(|| (library, environment)).1)
}

/// Where the library is when nobody says it here.
fn usual() -> PathBuf {
    let told = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    let name = || format!("{}onnxruntime{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX).into();
    told.map_or_else(name, PathBuf::from)
}

impl Network for Ort {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
        let mut session = self.session()?;
        let result = run(&mut session, inputs);
        self.give_back(session);
        result
    }
}

fn run(session: &mut Session, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
    if inputs.len() != session.inputs().len() {
        return Err(format!("{} inputs for a network of {}", inputs.len(), session.inputs().len()));
    }
    let given = inputs.iter().map(view).collect::<ort::Result<Vec<_>>>().map_err(|error| error.to_string())?;
    let outputs = session.run(given.as_slice()).map_err(|error| error.to_string())?;
    (0..outputs.len()).map(|index| tensor(&outputs[index])).collect()
}

fn view(tensor: &Tensor) -> ort::Result<SessionInputValue<'_>> {
    let shape = tensor.shape.as_slice();
    Ok(match &tensor.values {
        Values::Float(values) if values.is_empty() => OrtTensor::from_array((shape, values.clone()))?.into(),
        Values::Float(values) => TensorRef::from_array_view((shape, values.as_slice()))?.into(),
        Values::Whole(values) => TensorRef::from_array_view((shape, values.as_slice()))?.into(),
        Values::Truth(values) => TensorRef::from_array_view((shape, values.as_slice()))?.into(),
    })
}

fn tensor(value: &DynValue) -> Result<Tensor, String> {
    let sizes = |shape: &ort::value::Shape| shape.iter().map(|&size| size as usize).collect();
    if let Ok((shape, values)) = value.try_extract_tensor::<f32>() {
        return Ok(Tensor { shape: sizes(shape), values: Values::Float(values.to_vec()) });
    }
    if let Ok((shape, values)) = value.try_extract_tensor::<i64>() {
        return Ok(Tensor { shape: sizes(shape), values: Values::Whole(values.to_vec()) });
    }
    match value.try_extract_tensor::<i32>() {
        Ok((shape, values)) => {
            Ok(Tensor { shape: sizes(shape), values: Values::Whole(values.iter().copied().map(i64::from).collect()) })
        }
        Err(_) => Err("an output of neither real nor whole numbers".to_string()),
    }
}
