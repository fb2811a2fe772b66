//! ONNX Runtime, from a shared library that is found at run time: <https://onnxruntime.ai>.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

use ort::environment::Environment;
use ort::session::builder::{GraphOptimizationLevel, PrepackedWeights};
use ort::session::{Session, SessionInputValue};
use ort::value::{DynValue, Tensor as OrtTensor, TensorRef};

use super::{Network, Tensor, Values};

/// A network with a session for each run that is under way: the bindings let no two runs share one. Weights that were laid out
/// anew for the processor are shared.
pub(super) struct Ort {
    path: PathBuf,
    weights: PrepackedWeights,
    idle: Mutex<Vec<Session>>,
}

impl Ort {
    pub fn load(path: &Path) -> Result<Box<dyn Network>, String> {
        environment()?; // before anything asks the library for something
        let network = Ort { path: path.to_path_buf(), weights: PrepackedWeights::new(), idle: Mutex::new(Vec::new()) };
        let session = network.session()?;
        network.give_back(session);
        Ok(Box::new(network))
    }

    /// A session that nobody uses, a new one if need be.
    fn session(&self) -> Result<Session, String> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| open(&self.path, &self.weights), Ok)
    }

    fn give_back(&self, session: Session) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(session);
    }
}

fn open(path: &Path, weights: &PrepackedWeights) -> Result<Session, String> {
    let session = || -> ort::Result<Session> {
        let builder = Session::builder(environment().map_err(ort::Error::new)?)?;
        #[cfg(feature = "ort-cuda")]
        let builder = builder.with_execution_providers([ort::ep::CUDA::default().build()])?;
        let builder = builder.with_optimization_level(GraphOptimizationLevel::All)?;
        let mut builder = builder.with_intra_threads(1)?.with_inter_threads(1)?.with_prepacked_weights(weights)?;
        builder.commit_from_file(path)
    };
    session().map_err(|error| error.to_string())
}

/// The library, loaded once. Where there is none, that is said each time.
fn environment() -> Result<&'static Environment, String> {
    static ENVIRONMENT: OnceLock<Result<Environment, String>> = OnceLock::new();
    let environment = ENVIRONMENT.get_or_init(|| {
        let library = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
        let library = library.ok_or("ORT_DYLIB_PATH does not name the shared library of ONNX Runtime")?;
        let builder = ort::init_from(Path::new(&library)).map_err(|error| error.to_string())?;
        builder.build().map_err(|error| error.to_string())
    });
    environment.as_ref().map_err(String::clone)
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
