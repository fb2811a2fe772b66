use proptest::prelude::*;

use super::wire::Writer;
use super::*;

fn metadata(model: Writer, entries: &[(&str, &str)]) -> Writer {
    entries.iter().fold(model, |model, (key, value)| {
        model.message(14, Writer::default().bytes(1, key.as_bytes()).bytes(2, value.as_bytes()))
    })
}

fn port(name: &str, element: u64, shape: &[Option<u64>]) -> Writer {
    let shape = shape.iter().fold(Writer::default(), |shape, size| {
        shape.message(1, size.map_or(Writer::default().bytes(2, b"T"), |size| Writer::default().number(1, size)))
    });
    let tensor = Writer::default().number(1, element).message(2, shape);
    Writer::default().bytes(1, name.as_bytes()).message(2, Writer::default().message(1, tensor))
}

fn tensor(name: &str, shape: &[u64], raw: &[u8]) -> Writer {
    let tensor = shape.iter().fold(Writer::default(), |tensor, &size| tensor.number(1, size));
    tensor.number(2, 1).bytes(8, name.as_bytes()).bytes(9, raw)
}

fn read(model: &Writer) -> Result<Outline, ParseError> {
    Outline::read(&model.0, &|name| (name == "weights.data").then_some(16))
}

fn with_graph(graph: Writer) -> Writer {
    Writer::default().number(1, 8).message(7, graph)
}

#[test]
fn ports_metadata_and_weights() {
    let graph = Writer::default()
        .message(11, port("x", 1, &[Some(1), None, Some(80)]))
        .message(11, port("w", 1, &[Some(2)]))
        .message(12, port("y", 7, &[]))
        .message(5, tensor("w", &[2], &[0; 8]));
    let outline = read(&metadata(with_graph(graph), &[("model_type", "zipformer2_ctc")])).unwrap();
    let x = Port { name: "x".into(), element: 1, shape: Some(vec![Some(1), None, Some(80)]) };
    assert_eq!(outline.inputs, [x], "weights are no inputs");
    assert_eq!((outline.outputs[0].element, outline.outputs[0].shape.as_deref()), (7, Some(&[][..])));
    assert_eq!(outline.metadata["model_type"], "zipformer2_ctc");
}

#[test]
fn tensors_are_as_large_as_they_say() {
    for (shape, raw) in [(vec![3], 8), (vec![u64::MAX], 8), (vec![1 << 40, 1 << 40], 8), (vec![2, 2], 0)] {
        let error = read(&with_graph(Writer::default().message(5, tensor("w", &shape, &vec![0; raw])))).unwrap_err();
        assert!(error.reason.contains("\"w\""), "{error}");
    }
    // Typed values instead of raw bytes, and too few of them.
    let few = Writer::default().number(1, 1000).number(2, 1).bytes(4, &[0; 40]);
    assert!(read(&with_graph(Writer::default().message(5, few))).unwrap_err().reason.contains("promised"));
}

#[test]
fn weights_beside_the_file_are_in_its_folder_and_there() {
    let external = |entries: &[(&str, &str)]| {
        let tensor = Writer::default().number(1, 4).number(2, 1).bytes(8, b"w").number(14, 1);
        let tensor = entries.iter().fold(tensor, |tensor, (key, value)| {
            tensor.message(13, Writer::default().bytes(1, key.as_bytes()).bytes(2, value.as_bytes()))
        });
        read(&with_graph(Writer::default().message(5, tensor)))
    };
    let good = external(&[("location", "weights.data"), ("offset", "0"), ("length", "16")]).unwrap();
    assert_eq!(good.beside.into_iter().collect::<Vec<_>>(), ["weights.data"]);
    for (entries, reason) in [
        (vec![("location", "../weights.data")], "same folder"),
        (vec![("location", "/etc/passwd")], "same folder"),
        (vec![], "same folder"),
        (vec![("location", "other.data")], "missing"),
        (vec![("location", "weights.data"), ("offset", "4")], "not in"),
        (vec![("location", "weights.data"), ("offset", "-4")], "numbers"),
        (vec![("location", "weights.data"), ("length", "12")], "not in"),
        (vec![("location", "weights.data"), ("offset", "18446744073709551615")], "not in"),
    ] {
        let error = external(&entries).unwrap_err();
        assert!(error.reason.contains(reason), "{entries:?}: {error}");
    }
}

#[test]
fn nodes_that_fill_memory_or_nest_without_end_are_refused() {
    let shape = |size: i64| {
        let tensor = Writer::default().number(1, 1).number(2, 7).bytes(8, b"s").bytes(9, &size.to_le_bytes());
        let node = Writer::default().bytes(1, b"s").bytes(2, b"y").bytes(4, b"ConstantOfShape");
        read(&with_graph(Writer::default().message(5, tensor).message(1, node)))
    };
    assert!(shape(1000).is_ok());
    assert!(shape(1 << 40).unwrap_err().reason.contains("memory"));
    assert!(shape(-1).unwrap_err().reason.contains("memory"));

    let mut graph = Writer::default();
    for _ in 0..10 {
        graph = Writer::default()
            .message(1, Writer::default().bytes(4, b"If").message(5, Writer::default().message(6, graph)));
    }
    assert!(read(&with_graph(graph)).unwrap_err().reason.contains("deep"));
}

#[test]
fn what_is_not_onnx_is_said_to_be_none() {
    assert!(read(&Writer(b"version https://git-lfs.github.com/spec/v1\n".to_vec())).is_err());
    assert!(read(&Writer(Vec::new())).unwrap_err().reason.contains("no graph"));
    let whole = with_graph(Writer::default().message(11, port("x", 1, &[None])));
    for length in 0..whole.0.len() {
        assert!(read(&Writer(whole.0[..length].to_vec())).is_err(), "truncated to {length}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_outline_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Outline::read(&bytes, &|_| Some(100));
    }

    #[test]
    fn changed_files_are_an_outline_or_an_error(at in 0usize..200, byte in any::<u8>()) {
        let graph = Writer::default().message(11, port("x", 1, &[None])).message(5, tensor("w", &[2, 2], &[0; 16]));
        let mut model = metadata(with_graph(graph), &[("model_type", "wenet_ctc")]);
        let at = at % model.0.len();
        model.0[at] = byte;
        let _ = read(&model);
    }
}
