//! Kinds of networks: how each is recognised and fed.
//!
//! As the sherpa-onnx project exports and runs them: `model_type` in the metadata says which it is; the other entries are
//! those that its `scripts/` write and its recognisers read.

use super::metadata::Metadata;
use crate::frontend::FilterbankConfig;
use crate::onnx::{Outline, Port};
use crate::runtime::Tensor;

/// Samples a second: every published CTC model takes 16 000.
const RATE: usize = 16_000;

/// Most values of the state of a streaming network: ten times what the largest published one has.
const LARGEST_STATE: usize = 1 << 25;

/// How a network is fed.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// What the kind is called, for messages.
    pub name: &'static str,
    /// Rate of the samples, Hz.
    pub sample_rate: u32,
    /// The filterbank; `None` for networks that take samples.
    pub filterbank: Option<FilterbankConfig>,
    pub kind: Kind,
    /// The blank's number, when it has no name.
    pub blank: Option<u16>,
}

impl Recipe {
    /// Values of a frame that goes in.
    pub fn width(&self) -> usize {
        self.filterbank.as_ref().map_or(1, |config| config.bands)
    }

    /// Frames that go in, a second.
    pub fn rate(&self) -> usize {
        if self.filterbank.is_some() { 100 } else { self.sample_rate as usize }
    }
}

impl Recipe {
    /// Frames of scores, each of so many seconds, that a network gives none of at the start of a stream: of the frames of each
    /// piece that those of NeMo with caches have seen before, they say nothing, of the first piece either.
    pub fn skipped(&self, frame_seconds: f64) -> usize {
        match &self.kind {
            Kind::Streaming(streaming) if streaming.inputs == StateKind::Counted => {
                let seen = (streaming.window - streaming.shift) as f64 / self.rate() as f64;
                (seen / frame_seconds).ceil() as usize
            }
            _ => 0,
        }
    }
}

/// Whether a network sees all of an utterance or a piece at a time.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Offline(Offline),
    Streaming(Streaming),
}

/// The order of frames and bands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// 1 x frames x bands.
    FrameMajor,
    /// 1 x bands x frames.
    BandMajor,
    /// 1 x samples.
    Samples,
}

/// What is done to the frames of an utterance before the network gets them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Normalise {
    Nothing,
    /// Mean 0 and deviation 1 in each band (NeMo's `per_feature`), of samples in all.
    PerBand,
    /// The same of samples, the variance never below this.
    Samples {
        least_variance: f64,
    },
}

/// A network that sees whole utterances.
#[derive(Debug, Clone)]
pub(crate) struct Offline {
    pub layout: Layout,
    pub normalise: Normalise,
    /// Whether the number of frames is a second input.
    pub lengths: bool,
    /// Frames in for a frame out.
    pub step: usize,
    /// Fewest frames it can be given.
    pub least: usize,
}

/// A network that keeps a state from piece to piece.
#[derive(Debug, Clone)]
pub(crate) struct Streaming {
    pub layout: Layout,
    /// Frames of a piece.
    pub window: usize,
    /// Frames from the beginning of a piece to that of the next.
    pub shift: usize,
    /// The state before the first piece.
    pub state: Vec<Tensor>,
    pub inputs: StateKind,
}

/// In which order a streaming network wants its inputs, and what else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StateKind {
    /// Frames, then the state.
    Plain,
    /// Frames, their number, then the state; the second output is a length.
    Counted,
    /// Frames, offset, size of the cache, caches, and which of the cache holds something: WeNet.
    Masked { chunk: usize, cache: usize },
}

/// Recognises a network by what its file says.
///
/// # Errors
/// A sentence about the file: what it is, when that is nothing that is supported, or what it lacks.
pub(crate) fn recognise(outline: &Outline) -> Result<Recipe, String> {
    let metadata = Metadata::new(&outline.metadata);
    let recipe = match metadata.text("model_type") {
        Some("EncDecCTCModelBPE" | "EncDecCTCModel" | "EncDecHybridRNNTCTCBPEModel" | "EncDecHybridRNNTCTCModel") => {
            nemo(outline, metadata)?
        }
        Some("zipformer2_ctc") => zipformer(outline)?,
        Some("zipformer2") => zipformer_streaming(outline, metadata)?,
        Some("wenet_ctc") => wenet(outline, metadata)?,
        Some("omnilingual-asr") => samples("Omnilingual ASR", metadata, 1e-5, Some(0))?,
        None if takes_samples(outline) => samples("wav2vec2", metadata, 1e-7, None)?,
        Some(other) => {
            let other: String = other.chars().take(60).collect();
            return Err(format!(
                "it is of type {other:?}; supported are CTC models of NeMo, Zipformer, WeNet, Omnilingual ASR and wav2vec2"
            ));
        }
        None => {
            return Err(
                "its metadata lack \"model_type\": it was not exported for sherpa-onnx, or is another kind of network"
                    .to_string(),
            );
        }
    };
    check_ports(&recipe, outline)?;
    Ok(recipe)
}

/// That a network has as many inputs and outputs as its kind, and takes numbers.
fn check_ports(recipe: &Recipe, outline: &Outline) -> Result<(), String> {
    let (inputs, outputs) = match &recipe.kind {
        Kind::Offline(offline) => (1 + usize::from(offline.lengths), 1),
        Kind::Streaming(streaming) => match streaming.inputs {
            StateKind::Plain => (1 + streaming.state.len(), 1 + streaming.state.len()),
            StateKind::Counted => (2 + streaming.state.len(), 2 + streaming.state.len()),
            StateKind::Masked { .. } => (4 + streaming.state.len(), 1 + streaming.state.len()),
        },
    };
    let name = recipe.name;
    if outline.inputs.len() != inputs {
        return Err(format!("a {name} network has {inputs} inputs, this one has {}", outline.inputs.len()));
    }
    if outline.outputs.len() < outputs {
        return Err(format!("a {name} network has {outputs} outputs, this one has {}", outline.outputs.len()));
    }
    if outline.inputs[0].element != 1 {
        return Err(format!("a {name} network takes numbers of 32 bits, this one others"));
    }
    Ok(())
}

/// A dimension of an input, when the file fixes it.
fn fixed(port: Option<&Port>, dimension: usize) -> Option<usize> {
    let size = *port?.shape.as_ref()?.get(dimension)?;
    size.and_then(|size| usize::try_from(size).ok())
}

/// The number of bands, from the metadata or the first input's shape.
fn bands(outline: &Outline, dimension: usize) -> Result<usize, String> {
    let said = Metadata::new(&outline.metadata).optional("feat_dim", 4..=256)?;
    let bands = said.or_else(|| fixed(outline.inputs.first(), dimension)).unwrap_or(80);
    if (4..=256).contains(&bands) { Ok(bands) } else { Err(format!("its input has {bands} bands: expected 4 to 256")) }
}

/// NeMo: Conformer, FastConformer, Parakeet, Citrinet; with caches when it says how wide a window is.
fn nemo(outline: &Outline, metadata: Metadata<'_>) -> Result<Recipe, String> {
    let streaming = metadata.text("window_size").is_some();
    let giga = metadata.text("is_giga_am") == Some("1");
    let normalise = match metadata.text("normalize_type").unwrap_or_default() {
        "" | "NA" => Normalise::Nothing,
        "per_feature" if !streaming => Normalise::PerBand,
        other => {
            let other: String = other.chars().take(40).collect();
            return Err(format!("it wants its features normalised as {other:?}, which is not supported"));
        }
    };
    let filterbank = match normalise {
        _ if giga => FilterbankConfig::giga(RATE as u32),
        Normalise::PerBand => FilterbankConfig::nemo_normalised(RATE as u32, bands(outline, 1)?),
        _ => FilterbankConfig::nemo(RATE as u32, bands(outline, 1)?),
    };
    let kind = if streaming {
        let window = metadata.number("window_size", 1..=10_000)?;
        let dimensions = |cache: &str| -> Result<Tensor, String> {
            let size = |which: usize| metadata.number(&format!("{cache}_dim{which}"), 1..=100_000);
            state(&[1, size(1)?, size(2)?, size(3)?])
        };
        let caches = vec![dimensions("cache_last_channel")?, dimensions("cache_last_time")?, Tensor::whole(&[0])];
        Kind::Streaming(Streaming {
            layout: Layout::BandMajor,
            window,
            shift: metadata.number("chunk_shift", 1..=window)?,
            state: caches,
            inputs: StateKind::Counted,
        })
    } else {
        let step = metadata.number("subsampling_factor", 1..=64)?;
        Kind::Offline(Offline { layout: Layout::BandMajor, normalise, lengths: true, step, least: 4 * step.max(8) })
    };
    let name = if streaming { "streaming NeMo CTC" } else { "NeMo CTC" };
    Ok(Recipe { name, sample_rate: RATE as u32, filterbank: Some(filterbank), kind, blank: None })
}

/// Zipformer, whole utterances.
fn zipformer(outline: &Outline) -> Result<Recipe, String> {
    let filterbank = FilterbankConfig::kaldi(RATE as u32, bands(outline, 2)?);
    let kind = Offline { layout: Layout::FrameMajor, normalise: Normalise::Nothing, lengths: true, step: 4, least: 16 };
    Ok(Recipe {
        name: "Zipformer CTC",
        sample_rate: RATE as u32,
        filterbank: Some(filterbank),
        kind: Kind::Offline(kind),
        blank: None,
    })
}

/// Zipformer with the cached states of all its layers.
fn zipformer_streaming(outline: &Outline, metadata: Metadata<'_>) -> Result<Recipe, String> {
    if metadata.text("feature").is_some_and(|feature| !feature.is_empty()) {
        return Err("it takes Whisper's features, which are not supported".to_string());
    }
    if outline.outputs.first().is_some_and(|port| port.name == "encoder_out") {
        return Err("it is the encoder of a transducer; only CTC models are supported".to_string());
    }
    let window = metadata.number("T", 1..=10_000)?;
    Ok(Recipe {
        name: "streaming Zipformer CTC",
        sample_rate: RATE as u32,
        filterbank: Some(FilterbankConfig::kaldi(RATE as u32, bands(outline, 2)?)),
        kind: Kind::Streaming(Streaming {
            layout: Layout::FrameMajor,
            window,
            shift: metadata.number("decode_chunk_len", 1..=window)?,
            state: zipformer_state(metadata)?,
            inputs: StateKind::Plain,
        }),
        blank: None,
    })
}

/// For each layer keys, non-linear attention, two values and two convolutions; then what the first convolutions left, and how
/// many frames have been seen (`get_init_states` of icefall's `zipformer.py`).
fn zipformer_state(metadata: Metadata<'_>) -> Result<Vec<Tensor>, String> {
    let sizes = |key: &str, most: usize| metadata.list(key, 1..=most);
    let stacks = sizes("encoder_dims", 100_000)?;
    let keys = [
        "query_head_dims",
        "value_head_dims",
        "num_heads",
        "num_encoder_layers",
        "cnn_module_kernels",
        "left_context_len",
    ];
    let mut lists = Vec::new();
    for key in keys {
        let list = sizes(key, 10_000)?;
        if list.len() != stacks.len() {
            return Err(format!(
                "its metadata have {} values of {key:?} for {} of \"encoder_dims\"",
                list.len(),
                stacks.len()
            ));
        }
        lists.push(list);
    }
    let mut layers = Vec::new();
    let mut values = 0usize;
    for (stack, &width) in stacks.iter().enumerate() {
        let [query, value, heads, count, kernel, left] = [0, 1, 2, 3, 4, 5].map(|list: usize| lists[list][stack]);
        let attention = 3 * width / 4;
        let layer = [
            vec![left, 1, query * heads],
            vec![1, 1, left, attention],
            vec![left, 1, value * heads],
            vec![left, 1, value * heads],
            vec![1, width, kernel / 2],
            vec![1, width, kernel / 2],
        ];
        let size: usize = layer.iter().map(|shape| shape.iter().product::<usize>()).sum();
        values = values.saturating_add(size.saturating_mul(count));
        if values > LARGEST_STATE {
            return Err("its metadata ask for a state of more than 100 megabytes".to_string());
        }
        for _ in 0..count {
            layers.extend(layer.iter().map(|shape| Tensor::zeros(shape)));
        }
    }
    layers.push(Tensor::zeros(&[1, 128, 3, 19]));
    layers.push(Tensor::whole(&[0]));
    Ok(layers)
}

/// WeNet's Conformers, whole utterances or in chunks.
fn wenet(outline: &Outline, metadata: Metadata<'_>) -> Result<Recipe, String> {
    let step = metadata.number("subsampling_factor", 1..=64)?;
    // The samples of WeNet have 16 bits.
    let filterbank = FilterbankConfig { gain: 32_768.0, ..FilterbankConfig::kaldi(RATE as u32, bands(outline, 2)?) };
    let streaming = metadata.text("chunk_size").is_some();
    let kind = if streaming {
        let chunk = metadata.number("chunk_size", 1..=1000)?;
        let cache = chunk * metadata.number("left_chunks", 1..=1000)?;
        let heads = metadata.number("head", 1..=1000)?;
        let blocks = metadata.number("num_blocks", 1..=1000)?;
        let width = metadata.number("output_size", heads..=100_000)?;
        let kernel = metadata.number("cnn_module_kernel", 1..=1000)?;
        let right = metadata.number("right_context", 0..=1000)?;
        Kind::Streaming(Streaming {
            layout: Layout::FrameMajor,
            window: (chunk - 1) * step + right + 1,
            shift: chunk * step,
            state: vec![state(&[blocks, heads, cache, width / heads * 2])?, state(&[blocks, 1, width, kernel - 1])?],
            inputs: StateKind::Masked { chunk, cache },
        })
    } else {
        let normalise = Normalise::Nothing;
        Kind::Offline(Offline { layout: Layout::FrameMajor, normalise, lengths: true, step, least: 4 * step.max(8) })
    };
    let name = if streaming { "streaming WeNet CTC" } else { "WeNet CTC" };
    Ok(Recipe { name, sample_rate: RATE as u32, filterbank: Some(filterbank), kind, blank: None })
}

/// Networks whose first layers are convolutions over samples: a frame out for 320 of them.
fn samples(
    name: &'static str,
    metadata: Metadata<'_>,
    least_variance: f64,
    blank: Option<u16>,
) -> Result<Recipe, String> {
    let sample_rate = metadata.optional("sample_rate", 8000..=48_000)?.unwrap_or(RATE) as u32;
    let normalise = Normalise::Samples { least_variance };
    let kind = Offline { layout: Layout::Samples, normalise, lengths: false, step: 320, least: 3200 };
    Ok(Recipe { name, sample_rate, filterbank: None, kind: Kind::Offline(kind), blank })
}

/// Whether the only input is a batch of samples.
fn takes_samples(outline: &Outline) -> bool {
    outline.inputs.len() == 1 && outline.inputs[0].shape.as_ref().is_some_and(|shape| shape.len() == 2)
}

/// Zeros, if they are not too many.
fn state(shape: &[usize]) -> Result<Tensor, String> {
    let size = shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
    match size {
        Some(size) if size <= LARGEST_STATE => Ok(Tensor::zeros(shape)),
        _ => Err("its metadata ask for a state of more than 100 megabytes".to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(entries: &[(&str, &str)], inputs: usize) -> Outline {
        let port = || Port { name: "x".into(), element: 1, shape: Some(vec![Some(1), None, None]) };
        Outline {
            metadata: entries.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect(),
            inputs: (0..inputs).map(|_| port()).collect(),
            outputs: (0..30).map(|_| port()).collect(),
            ..Outline::default()
        }
    }

    fn refused(entries: &[(&str, &str)], inputs: usize) -> String {
        recognise(&outline(entries, inputs)).unwrap_err()
    }

    const NEMO: [(&str, &str); 3] =
        [("model_type", "EncDecCTCModelBPE"), ("subsampling_factor", "8"), ("normalize_type", "per_feature")];

    #[test]
    fn nemo_with_and_without_caches() {
        let recipe = recognise(&outline(&NEMO, 2)).unwrap();
        let Kind::Offline(offline) = &recipe.kind else { panic!() };
        assert_eq!((offline.step, offline.normalise, recipe.width(), recipe.rate()), (8, Normalise::PerBand, 80, 100));

        let mut caches =
            vec![("model_type", "EncDecHybridRNNTCTCBPEModel"), ("window_size", "25"), ("chunk_shift", "16")];
        let sizes = ["17", "70", "512", "17", "512", "8"];
        let keys: Vec<String> = ["channel", "time"]
            .iter()
            .flat_map(|cache| (1..=3).map(move |which| format!("cache_last_{cache}_dim{which}")))
            .collect();
        caches.extend(keys.iter().map(String::as_str).zip(sizes));
        let recipe = recognise(&outline(&caches, 5)).unwrap();
        let Kind::Streaming(streaming) = &recipe.kind else { panic!() };
        assert_eq!((streaming.window, streaming.shift, streaming.inputs), (25, 16, StateKind::Counted));
        assert_eq!(streaming.state[0].shape, [1, 17, 70, 512]);
        caches[2].1 = "26";
        assert!(refused(&caches, 5).contains("1 to 25"));
    }

    #[test]
    fn states_of_zipformer() {
        let entries = [
            ("model_type", "zipformer2"),
            ("T", "45"),
            ("decode_chunk_len", "32"),
            ("encoder_dims", "192,256"),
            ("query_head_dims", "32,32"),
            ("value_head_dims", "12,12"),
            ("num_heads", "4,8"),
            ("num_encoder_layers", "2,1"),
            ("cnn_module_kernels", "31,15"),
            ("left_context_len", "128,64"),
        ];
        let recipe = recognise(&outline(&entries, 21)).unwrap();
        let Kind::Streaming(streaming) = &recipe.kind else { panic!() };
        assert_eq!(streaming.state.len(), 20);
        assert_eq!(streaming.state[12].shape, [64, 1, 256]);
        assert_eq!(streaming.state[13].shape, [1, 1, 64, 192]);
        assert!(refused(&entries, 20).contains("21 inputs"));
        let mut hostile = entries;
        hostile[7].1 = "9999,9999";
        assert!(refused(&hostile, 21).contains("megabytes"));
        hostile[7].1 = "1";
        assert!(refused(&hostile, 21).contains("num_encoder_layers"));
    }

    #[test]
    fn what_is_not_supported_is_named() {
        assert!(refused(&[("model_type", "sense_voice_ctc")], 4).contains("sense_voice_ctc"));
        assert!(refused(&[], 2).contains("model_type"));
        assert!(refused(&NEMO[..1], 2).contains("subsampling_factor"));
        assert!(refused(&NEMO, 5).contains("2 inputs"));
        assert!(refused(&[NEMO[0], NEMO[1], ("normalize_type", "all_features")], 2).contains("all_features"));
        let mut whole = outline(&NEMO, 2);
        whole.inputs[0].element = 7;
        assert!(recognise(&whole).unwrap_err().contains("32 bits"));
    }

    #[test]
    fn samples_are_recognised_by_the_shape_of_the_input() {
        let mut raw = outline(&[], 1);
        raw.inputs[0].shape = Some(vec![None, None]);
        let recipe = recognise(&raw).unwrap();
        assert_eq!((recipe.name, recipe.width(), recipe.rate()), ("wav2vec2", 1, 16_000));
    }
}
