//! `feat.params`: how the model's training data was turned into features, as `-key value` pairs.

use crate::error::ParseError;

/// How log mel energies become cepstra.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    /// Orthonormal DCT-II.
    Dct,
    /// DCT-II whose c0 is scaled like the other coefficients (HTK's convention).
    Htk,
    /// Sphinx's original: first band halved, divided by the number of bands.
    Legacy,
}

/// The content of a `feat.params` file; what it leaves out has Sphinx's default.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatParams {
    /// `-samprate`: samples a second, Hz.
    pub sample_rate: f64,
    /// `-frate`: frames a second.
    pub frame_rate: f64,
    /// `-wlen`: length of the analysis window, seconds.
    pub window: f64,
    /// `-nfft`: points of the Fourier transform, a power of two.
    pub fft_size: usize,
    /// `-alpha`: pre-emphasis.
    pub pre_emphasis: f64,
    /// `-nfilt`: number of mel bands.
    pub filters: usize,
    /// `-lowerf`: lower edge of the first band, Hz.
    pub lower: f64,
    /// `-upperf`: upper edge of the last band, Hz.
    pub upper: f64,
    /// `-round_filters`: whether band edges are moved to the nearest Fourier bin.
    pub round_filters: bool,
    /// `-unit_area`: whether bands have area one rather than height one.
    pub unit_area: bool,
    /// `-remove_dc`: whether each window's mean is subtracted.
    pub remove_dc: bool,
    /// `-remove_noise`: whether stationary noise is removed from the mel energies.
    pub remove_noise: bool,
    /// `-transform`.
    pub transform: Transform,
    /// `-lifter`: length of the sine lifter, 0 for none.
    pub lifter: usize,
    /// `-svspec`: which of the 39 feature dimensions each stream has; `None`: one stream of all.
    pub streams: Option<Vec<Vec<usize>>>,
    /// `-cmninit`: cepstral mean of typical speech, to start from.
    pub initial_mean: [f32; 13],
    /// `-model`: `ptm`, `semi`, `cont` or unset.
    pub model: Option<String>,
}

impl Default for FeatParams {
    fn default() -> Self {
        let mut initial_mean = [0.0; 13];
        initial_mean[0] = 40.0;
        initial_mean[1] = 3.0;
        initial_mean[2] = -1.0;
        FeatParams {
            sample_rate: 16_000.0,
            frame_rate: 100.0,
            window: 0.025_625,
            fft_size: 512,
            pre_emphasis: 0.97,
            filters: 40,
            lower: 133.333_34,
            upper: 6855.4976,
            round_filters: true,
            unit_area: true,
            remove_dc: false,
            remove_noise: true,
            transform: Transform::Legacy,
            lifter: 0,
            streams: None,
            initial_mean,
            model: None,
        }
    }
}

/// Settings that cannot change what is computed here: they steer Sphinx's own programs, or (`-dither`) protect its
/// logarithm from digital silence, which a floor does here.
const WITHOUT_EFFECT: [&str; 12] = [
    "-dither",
    "-seed",
    "-input_endian",
    "-verbose",
    "-remove_silence",
    "-vad_threshold",
    "-vad_prespeech",
    "-vad_postspeech",
    "-vad_startspeech",
    "-agcthresh",
    "-cmn",
    "-ldadim",
];

struct Value<'a> {
    offset: usize,
    key: &'a str,
    text: &'a str,
}

impl Value<'_> {
    fn error(&self, wanted: &str) -> ParseError {
        ParseError { offset: self.offset as u64, reason: format!("{} is {:?}; {wanted}", self.key, self.text) }
    }

    fn number(&self, least: f64, most: f64) -> Result<f64, ParseError> {
        self.text
            .parse()
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| self.error(&format!("a number from {least} to {most} expected")))
    }

    fn integer(&self, least: usize, most: usize) -> Result<usize, ParseError> {
        self.text
            .parse()
            .ok()
            .filter(|value| (least..=most).contains(value))
            .ok_or_else(|| self.error(&format!("a whole number from {least} to {most} expected")))
    }

    fn flag(&self) -> Result<bool, ParseError> {
        match self.text {
            "yes" | "1" | "true" => Ok(true),
            "no" | "0" | "false" => Ok(false),
            _ => Err(self.error("yes or no expected")),
        }
    }

    /// For settings of which only one value is supported.
    fn only(&self, supported: &[&str]) -> Result<(), ParseError> {
        match supported.contains(&self.text) {
            true => Ok(()),
            false => Err(self.error(&format!("only {} is supported", supported.join(" or ")))),
        }
    }
}

/// Reads a `feat.params` file.
///
/// # Errors
/// [`ParseError`] when it is not text, a value is out of range, a setting is unknown, or one asks for features that are
/// not supported: anything but 13 cepstra with deltas and double deltas (`-feat 1s_c_d_dd`), automatic gain, variance
/// normalisation, double-width bands, frequency warping.
pub fn parse_feat_params(bytes: &[u8]) -> Result<FeatParams, ParseError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ParseError { offset: error.valid_up_to() as u64, reason: "not text".into() })?;
    let mut params = FeatParams::default();
    let mut words = words(text);
    while let Some((offset, key)) = words.next() {
        if !key.starts_with('-') {
            let reason = format!("{key:?}: a setting such as -nfilt expected");
            return Err(ParseError { offset: offset as u64, reason });
        }
        let Some((offset, text)) = words.next() else {
            return Err(ParseError { offset: offset as u64, reason: format!("{key} has no value") });
        };
        set(&mut params, &Value { offset, key, text })?;
    }
    check(&params, text.len())?;
    Ok(params)
}

/// Words with their offsets; a line that begins with `#` is a comment.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let start = text.as_ptr() as usize;
    text.lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .map(move |word| (word.as_ptr() as usize - start, word))
}

fn set(params: &mut FeatParams, value: &Value) -> Result<(), ParseError> {
    match value.key {
        "-samprate" => params.sample_rate = value.number(4000.0, 192_000.0)?,
        "-frate" => params.frame_rate = value.number(10.0, 1000.0)?,
        "-wlen" => params.window = value.number(0.001, 1.0)?,
        "-nfft" => params.fft_size = value.integer(16, 65_536)?,
        "-alpha" => params.pre_emphasis = value.number(0.0, 1.0)?,
        "-nfilt" => params.filters = value.integer(13, 512)?,
        "-lowerf" => params.lower = value.number(0.0, 96_000.0)?,
        "-upperf" => params.upper = value.number(0.0, 96_000.0)?,
        "-round_filters" => params.round_filters = value.flag()?,
        "-unit_area" => params.unit_area = value.flag()?,
        "-remove_dc" => params.remove_dc = value.flag()?,
        "-remove_noise" => params.remove_noise = value.flag()?,
        "-lifter" => params.lifter = value.integer(0, 1000)?,
        "-transform" => {
            params.transform = match value.text {
                "dct" => Transform::Dct,
                "htk" => Transform::Htk,
                "legacy" => Transform::Legacy,
                _ => return Err(value.error("dct, htk or legacy expected")),
            }
        }
        "-svspec" => params.streams = Some(parse_streams(value)?),
        "-cmninit" => parse_mean(value, &mut params.initial_mean)?,
        "-model" => params.model = Some(value.text.to_string()),
        "-ncep" | "-ceplen" => value.only(&["13"])?,
        "-feat" => value.only(&["1s_c_d_dd"])?,
        "-agc" => value.only(&["none"])?,
        "-varnorm" | "-doublebw" | "-logspec" | "-smoothspec" => value.only(&["no"])?,
        "-warp_type" => value.only(&["inverse_linear"])?,
        key if WITHOUT_EFFECT.contains(&key) => {}
        _ => return Err(value.error("a setting that is not known")),
    }
    Ok(())
}

/// `0-12/13-25/26-38`: streams between slashes, dimensions as numbers and ranges between commas.
fn parse_streams(value: &Value) -> Result<Vec<Vec<usize>>, ParseError> {
    let error = || value.error("streams of the dimensions 0 to 38, each used once, expected, such as 0-12/13-25/26-38");
    let mut used = [false; 39];
    let mut streams = Vec::new();
    for stream in value.text.split('/') {
        let mut dimensions = Vec::new();
        for range in stream.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
                return Err(error());
            };
            for dimension in first..=last.min(39) {
                match used.get_mut(dimension) {
                    Some(used) if !*used => *used = true,
                    _ => return Err(error()),
                }
                dimensions.push(dimension);
            }
        }
        if dimensions.is_empty() {
            return Err(error());
        }
        streams.push(dimensions);
    }
    Ok(streams)
}

fn parse_mean(value: &Value, mean: &mut [f32; 13]) -> Result<(), ParseError> {
    let error = || value.error("up to 13 numbers between commas expected");
    *mean = [0.0; 13];
    for (index, number) in value.text.split(',').enumerate() {
        let number = number.parse().ok().filter(|number: &f32| number.is_finite()).ok_or_else(error)?;
        *mean.get_mut(index).ok_or_else(error)? = number;
    }
    Ok(())
}

fn check(params: &FeatParams, end: usize) -> Result<(), ParseError> {
    let fault = |reason: String| Err(ParseError { offset: end as u64, reason });
    let window = (params.window * params.sample_rate).round() as usize;
    if !params.fft_size.is_power_of_two() || params.fft_size < window {
        return fault(format!("-nfft {} is not a power of two of at least {window} samples", params.fft_size));
    }
    if window < 2 || params.sample_rate / params.frame_rate < 1.0 {
        return fault("the window or the frame shift is shorter than a sample".into());
    }
    if params.lower >= params.upper || params.upper > params.sample_rate / 2.0 + 1.0 {
        let (lower, upper) = (params.lower, params.upper);
        return fault(format!("mel bands from {lower} Hz to {upper} Hz do not fit half the sample rate"));
    }
    Ok(())
}
