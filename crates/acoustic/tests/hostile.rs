//! Foreign bytes: whatever they are, the readers answer with a result, and never ask for more memory than the bytes warrant.

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeMap;

use common::tiny::{Order, Tiny, s3};
use dictum_acoustic::{
    ModelError, NarrowbandMap, NarrowbandRow, ParameterKind, ParseError, SphinxModel, parse_feat_params, parse_mdef,
    parse_parameters, parse_sendump,
};
use proptest::prelude::*;

/// No test here has a reason to allocate this much at once; a reader that trusts a header does.
const GREATEST_ALLOCATION: usize = 16 << 20;

struct Limited;

// SAFETY: hands everything to the system's allocator, or refuses.
unsafe impl GlobalAlloc for Limited {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > GREATEST_ALLOCATION {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Limited = Limited;

type Reader = Box<dyn Fn(&[u8]) -> Result<(), ParseError>>;

/// Each reader with a file it accepts.
fn readers() -> Vec<(&'static str, Vec<u8>, Reader)> {
    let tiny = Tiny::new(4, &[13, 13, 13], 4);
    let (streams, densities, senones) = (3, tiny.densities, tiny.senones);
    let sendump = move |bytes: &[u8]| parse_sendump(bytes, streams, densities, senones).map(drop);
    let means = |bytes: &[u8]| parse_parameters(bytes, ParameterKind::Densities).map(drop);
    let weights = |bytes: &[u8]| parse_parameters(bytes, ParameterKind::MixtureWeights).map(drop);
    let matrices = |bytes: &[u8]| parse_parameters(bytes, ParameterKind::TransitionMatrices).map(drop);
    let mdef = |bytes: &[u8]| parse_mdef(bytes).map(drop);
    let row = NarrowbandRow { bias: 0.5, variance: 1.0, weights: [0.0; 13] };
    let map = NarrowbandMap::new(14, 1.0, [0.0; 13], [[row; 13]; 3], BTreeMap::new()).unwrap();
    let codes: Vec<u8> = tiny.quantized().iter().map(|value| value % 16).collect();
    vec![
        ("mdef", tiny.mdef_binary(Order::Little), Box::new(mdef)),
        ("mdef, big-endian", tiny.mdef_binary(Order::Big), Box::new(mdef)),
        ("mdef, text", tiny.mdef_text().into_bytes(), Box::new(mdef)),
        ("means", tiny.gaussians(&tiny.means, Order::Little), Box::new(means)),
        ("means, big-endian", tiny.gaussians(&tiny.means, Order::Big), Box::new(means)),
        ("mixture_weights", tiny.mixture_weights(Order::Little), Box::new(weights)),
        ("transition_matrices", tiny.transition_matrices(Order::Little), Box::new(matrices)),
        ("sendump", tiny.sendump(&tiny.quantized(), None, 8, Order::Little), Box::new(sendump)),
        ("sendump, half bytes", tiny.sendump(&codes, Some(&[7; 16]), 4, Order::Big), Box::new(sendump)),
        ("feat.params", tiny.feat_params().into_bytes(), Box::new(|bytes: &[u8]| parse_feat_params(bytes).map(drop))),
        ("narrowband map", map.to_text().into_bytes(), Box::new(|bytes: &[u8]| NarrowbandMap::parse(bytes).map(drop))),
    ]
}

#[test]
fn truncated_files_are_an_error_within_what_is_left() {
    for (name, file, read) in readers() {
        read(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        // Text may end after any of its last words; binary files end where they say.
        let text = matches!(name, "mdef, text" | "feat.params" | "narrowband map");
        for length in 0..file.len() {
            match read(&file[..length]) {
                Err(error) => assert!(error.offset <= length as u64, "{name} cut to {length}: {error}"),
                Ok(()) => assert!(text, "{name} cut to {length} of {} is accepted", file.len()),
            }
        }
        if !text {
            let longer = [&file[..], &[0]].concat();
            assert!(read(&longer).is_err(), "{name} with a byte more is accepted");
        }
    }
}

#[test]
fn changed_bytes_do_not_panic() {
    for (_, file, read) in readers() {
        let mut changed = file.clone();
        for position in 0..file.len() {
            for value in [0x00, 0x01, 0x7f, 0x80, 0xff, file[position] ^ 0x20, file[position].wrapping_add(1)] {
                changed[position] = value;
                let _ = read(&changed);
            }
            changed[position] = file[position];
        }
    }
}

#[test]
fn changed_words_do_not_panic() {
    // Whole counters, not just bytes of them.
    for (_, file, read) in readers() {
        let mut changed = file.clone();
        for position in 0..file.len().saturating_sub(4) {
            for value in [0i32, -1, i32::MIN, i32::MAX, 0x00ff_ffff, 0x7f80_0000] {
                for bytes in [value.to_le_bytes(), value.to_be_bytes()] {
                    changed[position..position + 4].copy_from_slice(&bytes);
                    let _ = read(&changed);
                }
            }
            changed[position..position + 4].copy_from_slice(&file[position..position + 4]);
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_do_not_panic(
        index in 0usize..11,
        keep in 0usize..200,
        noise in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        let (_, file, read) = readers().swap_remove(index);
        let keep = keep.min(file.len());
        let _ = read(&[&file[..keep], &noise[..]].concat());
    }

    #[test]
    fn random_words_do_not_panic(words in "[-a-z0-9./, \n#]{0,200}") {
        let _ = parse_feat_params(words.as_bytes());
        let _ = NarrowbandMap::parse(words.as_bytes());
        let _ = parse_mdef(format!("0.3\n{words}").as_bytes());
    }
}

#[test]
fn a_wrong_checksum_is_found() {
    let mut file = s3(&[1, 1, 2], &[0.5, 0.5], Order::Little, true);
    assert!(parse_parameters(&file, ParameterKind::MixtureWeights).is_ok());
    let at = file.len() - 12;
    file[at] ^= 1;
    let error = parse_parameters(&file, ParameterKind::MixtureWeights).unwrap_err();
    assert!(error.reason.contains("checksum"), "{error}");
    assert_eq!(error.offset, file.len() as u64 - 4);
}

#[test]
fn numbers_that_are_not_finite_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let file = s3(&[1, 1, 2], &[0.5, value], Order::Little, false);
        let error = parse_parameters(&file, ParameterKind::MixtureWeights).unwrap_err();
        assert_eq!(error.offset, file.len() as u64 - 4);
    }
}

#[test]
fn settings_that_are_not_supported_are_refused() {
    for (settings, about) in [
        ("-feat s2_4x", "-feat"),
        ("-agc max", "-agc"),
        ("-varnorm yes", "-varnorm"),
        ("-nfilt many", "-nfilt"),
        ("-nfilt 12", "-nfilt"),
        ("-frobnicate 1", "-frobnicate"),
        ("-nfilt", "no value"),
        ("nfilt 40", "nfilt"),
        ("-svspec 0-12/12-38", "-svspec"),
        ("-svspec 0-99999999999", "-svspec"),
        ("-upperf 9000", "bands"),
        ("-nfft 300", "-nfft"),
        ("-cmninit 1,2,x", "-cmninit"),
    ] {
        let error = parse_feat_params(settings.as_bytes()).unwrap_err();
        assert!(error.reason.contains(about), "{settings}: {error}");
    }
}

#[test]
fn errors_name_the_file() {
    let tiny = Tiny::new(4, &[13, 13, 13], 4);
    for file in ["mdef", "means", "variances", "mixture_weights", "transition_matrices", "feat.params"] {
        let dir = tempfile::tempdir().unwrap();
        tiny.write(dir.path(), Order::Little);
        let path = dir.path().join(file);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() - 1);
        bytes.push(b'?');
        bytes.push(b'?');
        std::fs::write(&path, bytes).unwrap();
        let error = SphinxModel::load(dir.path()).unwrap_err();
        assert_eq!(error.path(), path, "{error}");
        assert!(error.offset().is_some(), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = SphinxModel::load(dir.path()).unwrap_err();
        assert!(matches!(error, ModelError::Read { .. }) && error.path() == path, "{error}");
    }
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let tiny = Tiny::new(4, &[13, 13, 13], 4);
    let fewer = Tiny { codebooks: 3, ..tiny.clone() };
    let load = |change: &dyn Fn(&std::path::Path)| {
        let dir = tempfile::tempdir().unwrap();
        tiny.write(dir.path(), Order::Little);
        change(dir.path());
        SphinxModel::load(dir.path()).unwrap_err().to_string()
    };
    let three = 3 * 4 * 39;
    let error = load(&|dir| {
        std::fs::write(dir.join("means"), fewer.gaussians(&tiny.means[..three], Order::Little)).unwrap();
    });
    assert!(error.contains("variances are"), "{error}");
    let error = load(&|dir| {
        std::fs::write(dir.join("means"), fewer.gaussians(&tiny.means[..three], Order::Little)).unwrap();
        std::fs::write(dir.join("variances"), fewer.gaussians(&tiny.variances[..three], Order::Little)).unwrap();
    });
    assert!(error.contains("3 codebooks"), "{error}");
    let error = load(&|dir| std::fs::write(dir.join("feat.params"), "-svspec 0-38").unwrap());
    assert!(error.contains("feat.params says"), "{error}");
    let error = load(&|dir| {
        std::fs::write(dir.join("transition_matrices"), s3(&[1, 3, 4], &tiny.transitions[..12], Order::Little, false))
            .unwrap();
    });
    assert!(error.contains("transition"), "{error}");
    let error = load(&|dir| {
        let mut backwards = tiny.transitions.clone();
        backwards[4] = 1.0;
        std::fs::write(dir.join("transition_matrices"), s3(&[4, 3, 4], &backwards, Order::Little, false)).unwrap();
    });
    assert!(error.contains("left-to-right"), "{error}");
    let error = load(&|dir| {
        std::fs::write(dir.join("mdef"), tiny.mdef_text().replace("SIL", "SILENCE")).unwrap();
    });
    assert!(error.contains("no phone named SIL"), "{error}");
    let error = load(&|dir| std::fs::write(dir.join("feature_transform"), "").unwrap());
    assert!(error.contains("LDA"), "{error}");
}
