//! Readers of the files that a CMU Sphinx acoustic model consists of.
//!
//! Every reader takes the whole file as bytes, checks each size against what is left of the file before it allocates,
//! and reports faults as [`ParseError`](crate::ParseError) with the offset. None of them panics on any input.

pub(crate) mod bytes;
mod feat_params;
mod mdef;
mod mdef_text;
mod parameters;
mod sendump;

pub use feat_params::{FeatParams, Transform, parse_feat_params};
pub use mdef::{BasePhone, ModelDefinition, Triphone, WordPosition, parse_mdef};
pub use parameters::{ParameterFile, ParameterKind, parse_parameters};
pub use sendump::{QuantizedWeights, SENDUMP_STEP, parse_sendump};
