//! Networks without the weights that lie in their file: `rten` reads in place what is in another file, and copies what is in the
//! graph's own. So the file becomes another one to its graph.
//!
//! Values of 32 bits stay where they are in the graph, and are copied, when they begin at an address that is no multiple of four:
//! protocol buffers align nothing. Weights of eight bits are at home everywhere.

use crate::error::ParseError;
use crate::onnx::wire::{Message, Value, Writer};

/// The name under which the graph knows the file that it was in. No file beside it is called so: a colon is refused.
pub(super) const ITSELF: &str = "itself:.data";

/// Tensors of fewer bytes are not worth it.
const SMALL: usize = 1 << 10;

/// `rten` opens files of such names alone.
pub(super) fn alias(name: &str) -> String {
    format!("{name}.data")
}

/// The file without its weights: what they were is now at its place in [`ITSELF`], and what is in files beside it in their
/// [`alias`].
pub(super) fn slim(file: &[u8]) -> Result<Vec<u8>, ParseError> {
    let slimmed = rewrite(Message::new(file), |field, value| match (field, value) {
        (7, Value::Bytes(graph)) => {
            let tensors = |field, value| match (field, value) {
                (5, Value::Bytes(message)) => Ok(Some(tensor(message, file)?)),
                _ => Ok(None),
            };
            Ok(Some(rewrite(graph, tensors)?))
        }
        _ => Ok(None),
    })?;
    Ok(slimmed.0)
}

/// A message with other messages where `change` gives some, and else as it is.
fn rewrite<'f>(
    mut message: Message<'f>,
    mut change: impl FnMut(u32, Value<'f>) -> Result<Option<Writer>, ParseError>,
) -> Result<Writer, ParseError> {
    let bytes = message.bytes();
    let (mut written, mut start) = (Writer::default(), 0);
    while let Some((field, value)) = message.next()? {
        written = match change(field, value)? {
            Some(changed) => written.message(u64::from(field), changed),
            None => written.raw(&bytes[start..message.position()]),
        };
        start = message.position();
    }
    Ok(written)
}

/// A `TensorProto` whose values are elsewhere, as far as they can be.
fn tensor<'f>(mut message: Message<'f>, file: &'f [u8]) -> Result<Writer, ParseError> {
    let bytes = message.bytes();
    let (mut kept, mut start, mut element, mut raw) = (Writer::default(), 0, 0, None);
    while let Some((field, value)) = message.next()? {
        let field_bytes = &bytes[start..message.position()];
        start = message.position();
        match (field, value) {
            (9, Value::Bytes(values)) => {
                raw = Some((values.bytes(), field_bytes));
                continue;
            }
            (13, Value::Bytes(pair)) => {
                kept = kept.message(13, place(pair)?);
                continue;
            }
            (2, Value::Number(number)) => element = number,
            _ => {}
        }
        kept = kept.raw(field_bytes);
    }
    Ok(match raw {
        Some((values, _)) if values.len() >= SMALL && fits(element, values) => {
            let offset = values.as_ptr().addr() - file.as_ptr().addr();
            let entry = |key: &str, text: &str| Writer::default().bytes(1, key.as_bytes()).bytes(2, text.as_bytes());
            kept.message(13, entry("location", ITSELF))
                .message(13, entry("offset", &offset.to_string()))
                .message(13, entry("length", &values.len().to_string()))
                .number(14, 1)
        }
        Some((_, field)) => kept.raw(field),
        None => kept,
    })
}

/// An entry of where a tensor's values are, with the alias of its file.
fn place(mut pair: Message<'_>) -> Result<Writer, ParseError> {
    let mut is_location = false;
    let whole = pair.bytes();
    let mut name = None;
    while let Some((field, value)) = pair.next()? {
        match (field, value) {
            (1, Value::Bytes(key)) => is_location = key.text()? == "location",
            (2, Value::Bytes(text)) => name = Some(text.text()?),
            _ => {}
        }
    }
    Ok(match name {
        Some(name) if is_location => Writer::default().bytes(1, b"location").bytes(2, alias(name).as_bytes()),
        _ => Writer::default().raw(whole),
    })
}

/// Whether values are of a type that `rten` takes as it is, at an address at which it can.
fn fits(element: u64, values: &[u8]) -> bool {
    match element {
        2 | 3 => true,
        1 | 6 => values.as_ptr().addr().is_multiple_of(4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn initialiser(element: u64, values: &[u8]) -> Writer {
        Writer::default().number(1, values.len() as u64).number(2, element).bytes(8, b"w").bytes(9, values)
    }

    fn model(tensors: &[Writer]) -> Vec<u8> {
        let graph = Writer::default().bytes(2, b"g").message(1, Writer::default().bytes(4, b"Relu"));
        let graph = tensors.iter().fold(graph, |graph, tensor| graph.message(5, tensor.clone()));
        Writer::default().number(1, 8).message(7, graph.bytes(2, b"end")).bytes(2, b"producer").0
    }

    /// The texts of where the values of the first tensor are.
    fn location(file: &[u8]) -> Vec<(String, String)> {
        let mut found = Vec::new();
        let _ = rewrite(Message::new(file), |field, value| {
            let (7, Value::Bytes(graph)) = (field, value) else { return Ok(None) };
            rewrite(graph, |field, value| {
                let (5, Value::Bytes(mut tensor)) = (field, value) else { return Ok(None) };
                while let Some((field, value)) = tensor.next()? {
                    if let (13, Value::Bytes(mut pair)) = (field, value) {
                        let Some((1, Value::Bytes(key))) = pair.next()? else { panic!() };
                        let Some((2, Value::Bytes(text))) = pair.next()? else { panic!() };
                        found.push((key.text()?.to_owned(), text.text()?.to_owned()));
                    }
                }
                Ok(None)
            })?;
            Ok(None)
        });
        found
    }

    #[test]
    fn large_weights_are_at_their_place_in_the_file() {
        let weights: Vec<u8> = (0..5000).map(|at| (at % 251) as u8).collect();
        let file = model(&[initialiser(3, &weights)]);
        let slimmed = slim(&file).unwrap();
        assert!(slimmed.len() < 200, "{}", slimmed.len());
        let place = location(&slimmed);
        let number = |key: &str| place.iter().find(|(name, _)| name == key).unwrap().1.parse::<usize>().unwrap();
        assert_eq!(place[0], ("location".to_owned(), ITSELF.to_owned()));
        assert_eq!(file[number("offset")..][..number("length")], weights);
        assert_eq!(slim(&slimmed).unwrap().len(), slimmed.len() + ".data".len(), "what is elsewhere stays there");
    }

    #[test]
    fn what_is_small_or_of_another_kind_stays() {
        for file in [model(&[initialiser(3, &[7; 100])]), model(&[initialiser(7, &[7; 8000])]), model(&[])] {
            assert_eq!(slim(&file).unwrap(), file);
        }
    }

    #[test]
    fn numbers_of_four_bytes_are_taken_where_they_are_aligned() {
        let mut moved = 0;
        for shift in 0..4 {
            let file = model(&[initialiser(3, &vec![0; shift]), initialiser(1, &[0; 8000])]);
            moved += usize::from(slim(&file).unwrap().len() < 1000);
        }
        assert_eq!(moved, 1, "at one of four places");
    }

    #[test]
    fn files_beside_get_names_that_are_taken() {
        let entry = Writer::default().bytes(1, b"location").bytes(2, b"weights.bin");
        let file = model(&[Writer::default().number(2, 1).message(13, entry).number(14, 1)]);
        assert_eq!(location(&slim(&file).unwrap()), [("location".to_owned(), "weights.bin.data".to_owned())]);
    }
}
