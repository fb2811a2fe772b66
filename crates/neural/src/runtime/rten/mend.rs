//! Networks rewritten where `rten` 0.27 computes them wrong or does not take them, before it gets to see them.
//!
//! - `ConvInteger` with padding is padded with 0, where it has to be the number that stands for zero (the models of NeMo in eight
//!   bits begin with such convolutions). Padding is made a node of its own, with that number.
//! - `Conv` without `dilations` is refused, though they may be left out.

use crate::error::ParseError;
use crate::onnx::wire::{Message, Value, Writer};

/// The file with such nodes rewritten, `None` when it has none.
pub(super) fn mend(file: &[u8]) -> Result<Option<Vec<u8>>, ParseError> {
    let mut message = Message::new(file);
    let mut start = 0;
    while let Some((field, value)) = message.next()? {
        if let (7, Value::Bytes(inner)) = (field, value)
            && let Some(graph) = graph(inner)?
        {
            let mended = Writer::default().raw(&file[..start]).message(7, graph).raw(&file[message.position()..]);
            return Ok(Some(mended.0));
        }
        start = message.position();
    }
    Ok(None)
}

/// A graph, when one of its nodes has to be rewritten.
fn graph(mut message: Message<'_>) -> Result<Option<Writer>, ParseError> {
    let bytes = message.bytes();
    let (mut mended, mut copied, mut start, mut count) = (Writer::default(), 0, 0, 0);
    while let Some((field, value)) = message.next()? {
        if let (1, Value::Bytes(inner)) = (field, value)
            && let Some(nodes) = node(inner, count)?
        {
            mended = mended.raw(&bytes[copied..start]).raw(&nodes.0);
            copied = message.position();
            count += 1;
        }
        start = message.position();
    }
    Ok((count > 0).then(|| mended.raw(&bytes[copied..])))
}

/// What matters of a convolution.
#[derive(Default)]
struct Convolution<'a> {
    operator: &'a str,
    inputs: Vec<&'a str>,
    /// All other fields but its padding.
    rest: Writer,
    pads: Vec<u64>,
    kernel: usize,
    dilations: bool,
}

/// The fields that take a node's place in its graph, when it has to be rewritten.
fn node(message: Message<'_>, number: usize) -> Result<Option<Writer>, ParseError> {
    let node = convolution(message)?;
    let padded = node.operator == "ConvInteger"
        && node.pads.iter().any(|&pad| pad != 0)
        && node.inputs.get(2).is_some_and(|zero| !zero.is_empty());
    let dilated = node.dilations || node.kernel == 0;
    if !matches!(node.operator, "Conv" | "ConvInteger") || (!padded && dilated) {
        return Ok(None);
    }
    let mut fields = Writer::default();
    let mut inputs: Vec<String> = node.inputs.iter().map(|name| name.to_string()).collect();
    let mut rest = node.rest;
    if padded {
        let (pads, output) = (format!("dictum_pads_{number}"), format!("dictum_padded_{number}"));
        let half = node.pads.len() / 2;
        let sizes = [&[0, 0], &node.pads[..half], &[0, 0], &node.pads[half..]].concat();
        let raw: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let tensor =
            Writer::default().number(1, sizes.len() as u64).number(2, 7).bytes(8, pads.as_bytes()).bytes(9, &raw);
        let pad = [inputs[0].as_str(), &pads, &inputs[2]]
            .iter()
            .fold(Writer::default(), |pad, name| pad.bytes(1, name.as_bytes()));
        let pad = pad.bytes(2, output.as_bytes()).bytes(4, b"Pad");
        fields = fields.message(5, tensor).message(1, pad);
        inputs[0] = output;
    } else if !node.pads.is_empty() {
        rest = rest.message(5, numbers("pads", &node.pads));
    }
    if !dilated {
        rest = rest.message(5, numbers("dilations", &vec![1; node.kernel]));
    }
    let node = inputs.iter().fold(Writer::default(), |node, name| node.bytes(1, name.as_bytes()));
    Ok(Some(fields.message(1, node.raw(&rest.0))))
}

fn convolution(mut message: Message<'_>) -> Result<Convolution<'_>, ParseError> {
    let bytes = message.bytes();
    let mut node = Convolution::default();
    let mut start = 0;
    while let Some((field, value)) = message.next()? {
        let mut kept = true;
        match (field, value) {
            (1, Value::Bytes(name)) => {
                node.inputs.push(name.text()?);
                kept = false;
            }
            (4, Value::Bytes(operator)) => node.operator = operator.text()?,
            (5, Value::Bytes(attribute)) => {
                let (name, values) = attribute_numbers(attribute)?;
                match name {
                    "pads" => {
                        node.pads = values;
                        kept = false;
                    }
                    "kernel_shape" => node.kernel = values.len(),
                    "dilations" => node.dilations = true,
                    _ => {}
                }
            }
            _ => {}
        }
        if kept {
            node.rest.0.extend_from_slice(&bytes[start..message.position()]);
        }
        start = message.position();
    }
    Ok(node)
}

/// The name of an attribute, and its values if they are whole numbers.
fn attribute_numbers(mut message: Message<'_>) -> Result<(&str, Vec<u64>), ParseError> {
    let (mut name, mut values) = ("", Vec::new());
    while let Some((field, value)) = message.next()? {
        match (field, value) {
            (1, Value::Bytes(text)) => name = text.text()?,
            (8, Value::Number(number)) => values.push(number),
            (8, Value::Bytes(packed)) => values.extend(packed.packed()?),
            _ => {}
        }
    }
    Ok((name, values))
}

/// An `AttributeProto` of whole numbers.
fn numbers(name: &str, values: &[u64]) -> Writer {
    let attribute = Writer::default().bytes(1, name.as_bytes());
    values.iter().fold(attribute, |attribute, &value| attribute.number(8, value)).number(20, 7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(nodes: &[Writer]) -> Vec<u8> {
        let graph = nodes.iter().fold(Writer::default().bytes(2, b"g"), |graph, node| graph.message(1, node.clone()));
        Writer::default().number(1, 8).message(7, graph.bytes(2, b"end")).bytes(2, b"producer").0
    }

    fn conv(operator: &str, inputs: &[&str], attributes: &[(&str, &[u64])]) -> Writer {
        let node = inputs.iter().fold(Writer::default(), |node, name| node.bytes(1, name.as_bytes()));
        let node = node.bytes(2, b"y").bytes(4, operator.as_bytes());
        attributes.iter().fold(node, |node, (name, values)| node.message(5, numbers(name, values)))
    }

    const WHOLE: [(&str, &[u64]); 2] = [("kernel_shape", &[3, 3]), ("dilations", &[1, 1])];

    #[test]
    fn what_needs_nothing_is_left_alone() {
        let unpadded = conv("ConvInteger", &["x", "w", "z", "v"], &[WHOLE[0], WHOLE[1], ("pads", &[0, 0, 0, 0])]);
        let without_zero = conv("ConvInteger", &["x", "w"], &[WHOLE[0], WHOLE[1], ("pads", &[1, 1, 1, 1])]);
        let other = conv("MatMul", &["x", "w"], &[("pads", &[1, 1, 1, 1])]);
        let float = conv("Conv", &["x", "w"], &[WHOLE[0], WHOLE[1], ("pads", &[1, 1, 1, 1])]);
        assert_eq!(mend(&model(&[unpadded, without_zero, other, float])).unwrap(), None);
    }

    #[test]
    fn padding_becomes_a_node_and_the_rest_stays() {
        let first = conv("Relu", &["a"], &[]);
        let padded = conv("ConvInteger", &["x", "w", "z", "v"], &[WHOLE[0], WHOLE[1], ("pads", &[1, 2, 3, 4])]);
        let mended = mend(&model(&[first.clone(), padded, first.clone()])).unwrap().unwrap();
        let raw: Vec<u8> = [0u64, 0, 1, 2, 0, 0, 3, 4].iter().flat_map(|size| size.to_le_bytes()).collect();
        let tensor = Writer::default().number(1, 8).number(2, 7).bytes(8, b"dictum_pads_0").bytes(9, &raw);
        let pad = Writer::default().bytes(1, b"x").bytes(1, b"dictum_pads_0").bytes(1, b"z");
        let pad = pad.bytes(2, b"dictum_padded_0").bytes(4, b"Pad");
        let graph = Writer::default().bytes(2, b"g").message(1, first.clone()).message(5, tensor).message(1, pad);
        let graph = graph.message(1, conv("ConvInteger", &["dictum_padded_0", "w", "z", "v"], &WHOLE));
        let graph = graph.message(1, first).bytes(2, b"end");
        assert_eq!(mended, Writer::default().number(1, 8).message(7, graph).bytes(2, b"producer").0);
        assert_eq!(mend(&mended).unwrap(), None);
    }

    #[test]
    fn dilations_that_are_left_out_are_ones() {
        let mended = mend(&model(&[conv("Conv", &["x", "w"], &[WHOLE[0], ("pads", &[1, 1, 1, 1])])])).unwrap().unwrap();
        let expected = conv("Conv", &["x", "w"], &[WHOLE[0], ("pads", &[1, 1, 1, 1]), ("dilations", &[1, 1])]);
        assert_eq!(mended, model(&[expected]));
    }
}
