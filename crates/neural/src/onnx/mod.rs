//! What an ONNX file says of itself, read and checked before a runtime gets to see it.
//!
//! Field numbers are those of `onnx.proto3`, <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3>. The file is
//! looked through in place. Every tensor must have as many bytes as its shape and type ask for, wherever they are: a runtime may
//! then allocate what a header says. Weights beside the file must be in its own folder.

mod tensor;
pub(crate) mod wire;

use std::collections::{BTreeMap, BTreeSet};

use crate::error::ParseError;
use tensor::Tensor;
use wire::{Message, Value};

/// How deep graphs may lie within nodes of graphs (branches and loops).
const DEEPEST: usize = 8;

/// Most values that a constant shape may ask for: what a network makes of nothing but its own file.
const LARGEST_FILL: u64 = 1 << 28;

/// Most bytes of metadata: they are a few hundred.
const LONGEST_METADATA: usize = 1 << 20;

/// An input or output of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Its name in the file.
    pub name: String,
    /// Number of its element type in `TensorProto.DataType`: 1 for `f32`, 7 for `i64`, 9 for truth values.
    pub element: u64,
    /// Its dimensions, those that are known; `None` if even their number is not.
    pub shape: Option<Vec<Option<u64>>>,
}

/// What an ONNX file says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outline {
    /// `metadata_props`: where exporters write what else there is to know.
    pub metadata: BTreeMap<String, String>,
    /// Inputs that a caller has to give, in order.
    pub inputs: Vec<Port>,
    /// Outputs, in order.
    pub outputs: Vec<Port>,
    /// Files in the same folder that hold weights.
    pub beside: BTreeSet<String>,
}

impl Outline {
    /// Looks through a file. `size_of` gives the size of a file in the same folder, when there is one.
    ///
    /// # Errors
    /// Where and why, when the bytes are not a whole ONNX file, a tensor is not as large as its header says, or weights lie
    /// elsewhere.
    pub fn read(bytes: &[u8], size_of: &dyn Fn(&str) -> Option<u64>) -> Result<Outline, ParseError> {
        let mut outline = Outline::default();
        let mut graph = None;
        let mut held = 0;
        let mut message = Message::new(bytes);
        while let Some((field, value)) = message.next()? {
            match (field, value) {
                (7, Value::Bytes(inner)) => graph = Some(inner),
                (14, Value::Bytes(inner)) => {
                    let (key, text) = pair(inner.clone())?;
                    held += inner.bytes().len();
                    if held > LONGEST_METADATA {
                        return Err(message.error("more than a megabyte of metadata"));
                    }
                    outline.metadata.insert(key, text);
                }
                _ => {}
            }
        }
        let graph = graph.ok_or_else(|| message.error("not an ONNX file: it has no graph"))?;
        Reader { size_of, beside: &mut outline.beside }.graph(
            graph,
            0,
            Some((&mut outline.inputs, &mut outline.outputs)),
        )?;
        Ok(outline)
    }
}

/// The text of a `StringStringEntryProto`.
fn pair(mut message: Message<'_>) -> Result<(String, String), ParseError> {
    let (mut key, mut text) = (String::new(), String::new());
    while let Some((field, value)) = message.next()? {
        match (field, value) {
            (1, Value::Bytes(inner)) => key = inner.text()?.to_string(),
            (2, Value::Bytes(inner)) => text = inner.text()?.to_string(),
            _ => {}
        }
    }
    Ok((key, text))
}

/// Where the ports of the outermost graph go: its inputs and its outputs.
type Ports<'p> = Option<(&'p mut Vec<Port>, &'p mut Vec<Port>)>;

struct Reader<'r> {
    size_of: &'r dyn Fn(&str) -> Option<u64>,
    beside: &'r mut BTreeSet<String>,
}

impl Reader<'_> {
    fn graph(&mut self, mut message: Message<'_>, depth: usize, ports: Ports<'_>) -> Result<(), ParseError> {
        if depth > DEEPEST {
            return Err(message.error("graphs within graphs too deep"));
        }
        let mut known = BTreeMap::new();
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let mut nodes = Vec::new();
        while let Some((field, value)) = message.next()? {
            let Value::Bytes(inner) = value else { continue };
            match field {
                1 => nodes.push(inner),
                5 => {
                    let tensor = self.tensor(inner)?;
                    known.insert(tensor.name, tensor.numbers);
                }
                11 => inputs.push(port(inner)?),
                12 => outputs.push(port(inner)?),
                _ => {}
            }
        }
        for node in nodes {
            self.node(node, depth, &mut known)?;
        }
        if let Some((to_inputs, to_outputs)) = ports {
            // Old files list their weights among the inputs.
            to_inputs.extend(inputs.into_iter().filter(|port| !known.contains_key(&port.name)));
            to_outputs.extend(outputs);
        }
        Ok(())
    }

    /// A node: its attributes may hold tensors and graphs. `known` has the small constants by name.
    fn node(
        &mut self,
        mut message: Message<'_>,
        depth: usize,
        known: &mut BTreeMap<String, Option<Vec<i64>>>,
    ) -> Result<(), ParseError> {
        let start = message.clone();
        let (mut operator, mut inputs, mut output, mut constant) = (String::new(), Vec::new(), String::new(), None);
        while let Some((field, value)) = message.next()? {
            let Value::Bytes(inner) = value else { continue };
            match field {
                1 => inputs.push(inner.text()?.to_string()),
                2 if output.is_empty() => output = inner.text()?.to_string(),
                4 => operator = inner.text()?.to_string(),
                5 => {
                    if let Some(tensor) = self.attribute(inner, depth)? {
                        constant = Some(tensor);
                    }
                }
                _ => {}
            }
        }
        match (operator.as_str(), constant) {
            ("Constant", Some(tensor)) => {
                known.insert(output, tensor.numbers);
            }
            ("ConstantOfShape", _) => {
                let shape = inputs.first().and_then(|name| known.get(name)).and_then(Option::as_ref);
                if shape.is_some_and(|shape| product(shape).is_none_or(|count| count > LARGEST_FILL)) {
                    return Err(start.error("a node that fills more memory than any network needs"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// An attribute; its tensor, when it is one.
    fn attribute(&mut self, mut message: Message<'_>, depth: usize) -> Result<Option<Tensor>, ParseError> {
        let mut found = None;
        while let Some((field, value)) = message.next()? {
            let Value::Bytes(inner) = value else { continue };
            match field {
                5 => found = Some(self.tensor(inner)?),
                10 => drop(self.tensor(inner)?),
                6 | 11 => self.graph(inner, depth + 1, None)?,
                _ => {}
            }
        }
        Ok(found)
    }

    fn tensor(&mut self, message: Message<'_>) -> Result<Tensor, ParseError> {
        let tensor = tensor::read(message, self.size_of)?;
        self.beside.extend(tensor.beside.clone());
        Ok(tensor)
    }
}

/// Number of values of a shape, `None` when it is no shape.
fn product(shape: &[i64]) -> Option<u64> {
    shape.iter().try_fold(1u64, |product, &size| product.checked_mul(u64::try_from(size).ok()?))
}

/// A `ValueInfoProto`.
fn port(mut message: Message<'_>) -> Result<Port, ParseError> {
    let mut port = Port { name: String::new(), element: 0, shape: None };
    while let Some((field, value)) = message.next()? {
        match (field, value) {
            (1, Value::Bytes(inner)) => port.name = inner.text()?.to_string(),
            (2, Value::Bytes(mut kind)) => {
                while let Some((field, value)) = kind.next()? {
                    if let (1, Value::Bytes(tensor)) = (field, value) {
                        tensor_type(tensor, &mut port)?;
                    }
                }
            }
            _ => {}
        }
    }
    Ok(port)
}

fn tensor_type(mut message: Message<'_>, port: &mut Port) -> Result<(), ParseError> {
    while let Some((field, value)) = message.next()? {
        match (field, value) {
            (1, Value::Number(element)) => port.element = element,
            (2, Value::Bytes(mut shape)) => {
                let mut sizes = Vec::new();
                while let Some((field, value)) = shape.next()? {
                    if let (1, Value::Bytes(dimension)) = (field, value) {
                        sizes.push(size(dimension)?);
                    }
                }
                port.shape = Some(sizes);
            }
            _ => {}
        }
    }
    Ok(())
}

/// A dimension: its size, or `None` when it has a name instead.
fn size(mut message: Message<'_>) -> Result<Option<u64>, ParseError> {
    let mut size = None;
    while let Some((field, value)) = message.next()? {
        if let (1, Value::Number(number)) = (field, value) {
            size = i64::try_from(number).ok().filter(|&number| number >= 0).map(|number| number as u64);
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests;
