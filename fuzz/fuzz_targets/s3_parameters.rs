//! Sphinx parameter files: means, variances, mixture weights, transition matrices.
#![no_main]

use libfuzzer_sys::fuzz_target;

use dictum_acoustic::{ParameterKind, parse_parameters};

fuzz_target!(|bytes: &[u8]| {
    for kind in [ParameterKind::Densities, ParameterKind::MixtureWeights, ParameterKind::TransitionMatrices] {
        let _ = parse_parameters(bytes, kind);
    }
});
