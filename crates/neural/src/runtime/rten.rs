//! `rten`: <https://github.com/robertknight/rten>.

mod mend;
mod slim;

use std::path::Path;
use std::sync::Arc;

use rten::{ModelOptions, NodeId, RunOptions, ThreadPool, Value, ValueOrView, ValueView};
use rten_tensor::Layout;

use super::{Network, Tensor, Values};
use crate::mapped::{InPlace, mapped};
use crate::onnx::Outline;

thread_local! {
    /// `rten` runs networks on threads of a pool. Each thread that decodes has a pool of one, which works while it waits: as many
    /// runs at a time as there are threads that decode, none waiting for another's.
    static POOL: Arc<ThreadPool> = Arc::new(ThreadPool::with_num_threads(1));
}

pub(super) struct Rten {
    network: InPlace,
    inputs: Vec<NodeId>,
    outputs: Vec<NodeId>,
}

impl Rten {
    pub fn load(path: &Path, outline: &Outline) -> Result<Box<dyn Network>, String> {
        let network = read(path, outline)?;
        let model = network.model();
        let (inputs, outputs) = (model.input_ids().to_vec(), model.output_ids().to_vec());
        Ok(Box::new(Rten { network, inputs, outputs }))
    }
}

/// Loads the graph; weights stay in their files, the network's own and those beside it, which are mapped. Of those that are
/// multiplied with, `rten` lays out a copy for the processor.
fn read(path: &Path, outline: &Outline) -> Result<InPlace, String> {
    let mut options = ModelOptions::with_all_ops();
    options.prepack_weights(true);
    let file = mapped(path).map_err(|error| error.to_string())?;
    let slimmed = slim::slim(&file).map_err(|error| error.to_string())?;
    let mended = mend::mend(&slimmed).map_err(|error| error.to_string())?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut files = vec![(vec![slim::ITSELF.to_owned()], file)];
    for name in &outline.beside {
        let beside = mapped(&folder.join(name)).map_err(|error| format!("{name}: {error}"))?;
        // Graphs within nodes know it by the name that it has.
        files.push((vec![slim::alias(name), name.clone()], beside));
    }
    InPlace::load(options, mended.unwrap_or(slimmed), files).map_err(|error| error.to_string())
}

impl Network for Rten {
    fn run(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>, String> {
        if inputs.len() != self.inputs.len() {
            return Err(format!("{} inputs for a network of {}", inputs.len(), self.inputs.len()));
        }
        let given = self.inputs.iter().copied().zip(inputs.iter().map(view).collect::<Result<Vec<_>, _>>()?).collect();
        let options = RunOptions::default().with_thread_pool(Some(POOL.with(Arc::clone)));
        let outputs =
            self.network.model().run(given, &self.outputs, Some(options)).map_err(|error| error.to_string())?;
        outputs.into_iter().map(tensor).collect()
    }
}

/// `rten` has whole numbers of 32 bits, and takes truth values as such.
fn view(tensor: &Tensor) -> Result<ValueOrView<'_>, String> {
    let shape = tensor.shape.as_slice();
    match &tensor.values {
        Values::Float(values) => {
            ValueView::from_shape(shape, values).map(ValueOrView::from).map_err(|error| error.to_string())
        }
        Values::Whole(values) => owned(shape, values.iter().map(|&value| value as i32).collect()),
        Values::Truth(values) => owned(shape, values.iter().map(|&value| i32::from(value)).collect()),
    }
}

fn owned<'t>(shape: &[usize], values: Vec<i32>) -> Result<ValueOrView<'t>, String> {
    Value::from_shape(shape, values).map(ValueOrView::from).map_err(|error| error.to_string())
}

fn tensor(value: Value) -> Result<Tensor, String> {
    let shape = value.shape().to_vec();
    let values = match value {
        Value::FloatTensor(tensor) => Values::Float(tensor.into_data()),
        Value::Int32Tensor(tensor) => Values::Whole(tensor.into_data().into_iter().map(i64::from).collect()),
        other => return Err(format!("an output of type {}, where real or whole numbers were expected", other.dtype())),
    };
    Ok(Tensor { shape, values })
}
