//! Model packages on disk, the model names clients use, and the recognisers built from packages.
//!
//! - [`acoustic`]: the acoustic model of a package, of either kind.
//! - [`script`]: what the tokens of a neural model spell.
//! - [`catalogue`]: the Watson model names and what each promises.
//! - [`package`]: what a package on disk consists of, and its manifest.
//! - [`registry`]: which installed package answers to which name; loads each model once and shares it.
//! - [`check`]: whether the files of a package are complete and unchanged.
//! - [`pull`]: getting packages from where they are published, and removing them.
//! - [`recogniser`]: a loaded model and the sessions that recognise with it.
//!
//! ```no_run
//! use dictum_models::recogniser::{Band, Options};
//! use dictum_models::registry::{Registry, RegistryConfig};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let registry = Registry::open(&RegistryConfig::default())?;
//! let model = registry.resolve("en-US_BroadbandModel")?;
//! let recogniser = registry.recogniser(&model)?;
//! let mut session = recogniser.session(Band::Broadband, Options::default());
//! let samples = vec![0.0; 16_000]; // mono, ±1.0, 16 kHz
//! let mut events = session.push(&samples);
//! events.extend(session.finish());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

pub mod acoustic;
pub mod calibration;
pub mod catalogue;
pub mod check;
pub mod customization;
mod ear;
pub mod error;
pub mod grammar;
mod hearing;
mod live;
mod loading;
pub mod package;
pub mod phrases;
pub mod pull;
mod pursuit;
pub mod recogniser;
pub mod registry;
pub mod script;
mod segmenter;
mod session;
mod tape;
pub mod tuning;
mod utterance;
mod wording;
mod work_space;

pub use dictum_neural::{Provider, Runtime};

pub use catalogue::{Bandwidth, CatalogueEntry, Generation};
pub use error::{ModelsError, NameError};
pub use package::{CtcFiles, Package, PackageFiles, SphinxFiles};
pub use registry::{ModelEntry, Registry, RegistryConfig};
