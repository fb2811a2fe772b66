//! Loading a Sphinx acoustic model from its folder.

use std::path::Path;
use std::sync::Arc;

use crate::error::{ModelError, ParseError};
use crate::features::FEATURES;
use crate::format::{
    ModelDefinition, ParameterFile, ParameterKind, parse_feat_params, parse_mdef, parse_parameters, parse_sendump,
};
use crate::frontend::FrontEndConfig;
use crate::narrowband::{NarrowbandMap, StreamMap};
use crate::scoring::{Gaussians, Mixtures, Scorer, Tying, Weights};
use crate::units::{PhoneId, Transitions, Units, transitions_from_counts};

/// Least transition probability that is not zero.
const TRANSITION_FLOOR: f32 = 1e-4;

/// A CMU Sphinx acoustic model. Immutable once loaded: share it among sessions.
#[derive(Debug)]
pub struct SphinxModel {
    units: Arc<Units>,
    front_end: FrontEndConfig,
    gaussians: Gaussians,
    mixtures: Arc<Mixtures>,
}

impl SphinxModel {
    /// Loads the model in a folder: `mdef`, `means`, `variances`, `transition_matrices`, `feat.params`, and `sendump` or
    /// `mixture_weights` (the former if both are there).
    ///
    /// # Errors
    /// [`ModelError`] naming the file, and the offset in it where there is one.
    pub fn load(dir: &Path) -> Result<SphinxModel, ModelError> {
        if dir.join("feature_transform").exists() {
            let reason = "features transformed by LDA/MLLT are not supported; use a model without feature_transform";
            return Err(ModelError::unusable(&dir.join("feature_transform"), reason));
        }
        let definition = read(&dir.join("mdef"), parse_mdef)?;
        let params = read(&dir.join("feat.params"), parse_feat_params)?;
        let means = read(&dir.join("means"), |bytes| parse_parameters(bytes, ParameterKind::Densities))?;
        let variances = read(&dir.join("variances"), |bytes| parse_parameters(bytes, ParameterKind::Densities))?;
        let gaussians = Gaussians::new(means, variances).map_err(|reason| ModelError::unusable(dir, reason))?;
        let matrices = read_transitions(&dir.join("transition_matrices"))?;
        let weights = read_weights(dir, &gaussians, definition.senones)?;

        let unusable = |reason: String| ModelError::unusable(dir, reason);
        let stream_dimensions = stream_dimensions(&gaussians, params.streams.clone()).map_err(unusable)?;
        let (tying, codebook_of) = assign_codebooks(&definition, gaussians.codebooks).map_err(unusable)?;
        let units = Units::new(&definition, &matrices).map_err(unusable)?;
        let mixtures = Mixtures::new(tying, &gaussians, &weights, &codebook_of, stream_dimensions);
        Ok(SphinxModel {
            units: Arc::new(units),
            front_end: FrontEndConfig::new(params),
            gaussians,
            mixtures: Arc::new(mixtures),
        })
    }

    /// The same model for samples at half its rate (8 kHz for a 16 kHz model): its Gaussians are carried over by `map`;
    /// phones, HMMs and mixture weights are this model's own, shared with it.
    ///
    /// Codebooks that belong to a phone are carried over by its rows, others by those for all phones.
    ///
    /// # Errors
    /// A message when the map was made for another filterbank, when a stream has some but not all coefficients of a kind
    /// of feature, or when the map leads to Gaussians that are not finite.
    pub fn narrowband(&self, map: &NarrowbandMap) -> Result<SphinxModel, String> {
        let front_end = self.front_end.clone().with_narrowband(map.bands(), map.floor(), map.mean())?;
        let mut gaussians = self.gaussians.clone();
        for codebook in 0..gaussians.codebooks {
            let phone = match self.tying() {
                Tying::PhoneticallyTied => self.units.phone_name(codebook as PhoneId),
                Tying::SemiContinuous | Tying::Continuous => "",
            };
            for (stream, dimensions) in self.mixtures.stream_dimensions.iter().enumerate() {
                let carrier = StreamMap::new(map.phone(phone), dimensions)?;
                for density in 0..gaussians.densities {
                    let (mean, variance) = gaussians.density_mut(codebook, stream, density);
                    carrier.apply(mean, variance)?;
                }
            }
        }
        let mixtures = Arc::new(self.mixtures.with_gaussians(&gaussians));
        Ok(SphinxModel { units: Arc::clone(&self.units), front_end, gaussians, mixtures })
    }

    /// The phones and HMMs.
    pub fn units(&self) -> &Units {
        &self.units
    }

    /// How samples become cepstra for this model.
    pub fn front_end(&self) -> &FrontEndConfig {
        &self.front_end
    }

    /// Number of senones, the length of a frame's scores.
    pub fn senone_count(&self) -> usize {
        self.mixtures.senones
    }

    /// How senones share Gaussians.
    pub fn tying(&self) -> Tying {
        self.mixtures.tying
    }

    /// Number of codebooks, streams and densities in each stream of a codebook.
    pub fn shape(&self) -> (usize, usize, usize) {
        (self.gaussians.codebooks, self.gaussians.stream_lengths.len(), self.gaussians.densities)
    }

    /// Mean and (floored) variance of a density.
    ///
    /// # Panics
    /// If there is no such density, see [`shape`](Self::shape).
    pub fn gaussian(&self, codebook: usize, stream: usize, density: usize) -> (&[f32], &[f32]) {
        self.gaussians.density(codebook, stream, density)
    }

    /// A scorer with work space of its own.
    pub fn scorer(&self) -> Scorer {
        Scorer::new(Arc::clone(&self.mixtures))
    }
}

fn read<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Result<T, ParseError>) -> Result<T, ModelError> {
    let bytes = std::fs::read(path).map_err(|source| ModelError::Read { path: path.to_path_buf(), source })?;
    parse(&bytes).map_err(|error| ModelError::malformed(path, error))
}

fn read_transitions(path: &Path) -> Result<Vec<Transitions>, ModelError> {
    let file = read(path, |bytes| parse_parameters(bytes, ParameterKind::TransitionMatrices))?;
    let [_, from, to] = file.shape;
    if (from, to) != (3, 4) {
        let reason = format!("matrices of {from} by {to} states; only 3 emitting states and an exit are supported");
        return Err(ModelError::unusable(path, reason));
    }
    file.values
        .chunks_exact(from * to)
        .enumerate()
        .map(|(index, counts)| {
            transitions_from_counts(counts, TRANSITION_FLOOR)
                .map_err(|reason| ModelError::unusable(path, format!("matrix {index}: {reason}")))
        })
        .collect()
}

fn read_weights(dir: &Path, gaussians: &Gaussians, senones: usize) -> Result<Weights, ModelError> {
    let (streams, densities) = (gaussians.stream_lengths.len(), gaussians.densities);
    let sendump = dir.join("sendump");
    if sendump.exists() {
        let quantized = read(&sendump, |bytes| parse_sendump(bytes, streams, densities, senones))?;
        return Ok(Weights::from_quantized(quantized));
    }
    let path = dir.join("mixture_weights");
    let file: ParameterFile = read(&path, |bytes| parse_parameters(bytes, ParameterKind::MixtureWeights))?;
    if file.shape != [senones, streams, densities] {
        let reason = format!(
            "{:?} senones, streams and densities, but the rest of the model has {:?}",
            file.shape,
            [senones, streams, densities]
        );
        return Err(ModelError::unusable(&path, reason));
    }
    Weights::from_counts(file).map_err(|reason| ModelError::unusable(&path, reason))
}

/// Which features each stream takes, from `-svspec` or, for a single stream, all in order.
fn stream_dimensions(gaussians: &Gaussians, specified: Option<Vec<Vec<usize>>>) -> Result<Vec<Vec<usize>>, String> {
    let streams = specified.unwrap_or_else(|| vec![(0..FEATURES).collect()]);
    let lengths: Vec<usize> = streams.iter().map(Vec::len).collect();
    match lengths == gaussians.stream_lengths {
        true => Ok(streams),
        false => Err(format!(
            "means have streams of {:?} dimensions, feat.params says {lengths:?}",
            gaussians.stream_lengths
        )),
    }
}

/// Which codebook each senone uses; the number of codebooks tells how they are tied.
fn assign_codebooks(definition: &ModelDefinition, codebooks: usize) -> Result<(Tying, Vec<usize>), String> {
    let (phones, senones) = (definition.phones.len(), definition.senones);
    if codebooks == senones {
        return Ok((Tying::Continuous, (0..senones).collect()));
    }
    if codebooks == 1 {
        return Ok((Tying::SemiContinuous, vec![0; senones]));
    }
    if codebooks != phones {
        return Err(format!(
            "{codebooks} codebooks for {phones} phones and {senones} senones: one for all, one a phone or one a senone expected"
        ));
    }
    // The first phone that uses a senone has it. Senones that no phone uses are never asked for; codebook 0 takes them.
    let mut codebook_of = vec![None; senones];
    let base = definition.phones.iter().enumerate().map(|(phone, base)| (phone, base.sequence));
    let triphones = definition.triphones.iter().map(|triphone| (usize::from(triphone.center), triphone.sequence));
    for (phone, sequence) in base.chain(triphones) {
        for senone in definition.sequences[sequence as usize] {
            codebook_of[usize::from(senone)].get_or_insert(phone);
        }
    }
    let codebook_of = codebook_of.into_iter().map(|codebook| codebook.unwrap_or(0)).collect();
    Ok((Tying::PhoneticallyTied, codebook_of))
}
