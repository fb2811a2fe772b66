//! The inner loops compiled for what the processor has. The only unsafe code of this crate: calls of functions that need
//! instructions, behind the check that they exist.
#![allow(unsafe_code)]

use super::kernels::Kernels;

/// The fastest inner loops that this machine can run.
pub(crate) fn best() -> Kernels {
    available().pop().unwrap_or_else(Kernels::portable)
}

/// All inner loops that this machine can run, slowest first.
pub(crate) fn available() -> Vec<Kernels> {
    #[allow(unused_mut)]
    let mut kernels = vec![Kernels::portable()];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            kernels.push(x86::avx2());
            if is_x86_feature_detected!("avx512f") {
                kernels.push(x86::avx512());
            }
        }
    }
    kernels
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::kernels::{FRAMES, Kept, Kernels, Lanes, Weight, densities, exponentials, mixtures};

    /// A module with both loops for a set of target features.
    macro_rules! instruction_set {
        ($name:ident, $features:literal, $tile:literal) => {
            pub(super) fn $name() -> Kernels {
                #[target_feature(enable = $features)]
                fn densities_here(parameters: &[Lanes], inputs: &[[f32; FRAMES]], out: &mut [[Lanes; FRAMES]]) {
                    densities::<true>(parameters, inputs, out);
                }
                #[target_feature(enable = $features)]
                fn mixtures_here(weights: &[Weight], count: usize, kept: &[Kept], bias: f32, out: &mut [f32]) {
                    mixtures::<$tile, true>(weights, count, kept, bias, out);
                }
                #[target_feature(enable = $features)]
                fn exponentials_here(numbers: &mut [f32]) {
                    exponentials::<true>(numbers);
                }
                Kernels {
                    name: stringify!($name),
                    densities: |parameters, inputs, out| {
                        // SAFETY: `available` hands these kernels out only where the processor has the features.
                        unsafe { densities_here(parameters, inputs, out) }
                    },
                    mixtures: |weights, count, kept, bias, out| {
                        // SAFETY: as above.
                        unsafe { mixtures_here(weights, count, kept, bias, out) }
                    },
                    exponentials: |numbers| {
                        // SAFETY: as above.
                        unsafe { exponentials_here(numbers) }
                    },
                }
            }
        };
    }

    instruction_set!(avx2, "avx2,fma", 64);
    instruction_set!(avx512, "avx512f,avx2,fma", 128);
}
