//! What a wideband model's Gaussians are over the cepstra of telephone speech.

use std::collections::BTreeMap;

use crate::error::ParseError;
use crate::frontend::CEPSTRA;
use crate::scoring::VARIANCE_FLOOR;

/// Kinds of features: cepstra, their differences, and the differences of those.
pub(crate) const KINDS: usize = 3;

/// Turns a model of 16 kHz speech into one of 8 kHz speech.
///
/// Half the sampling rate leaves the lower mel bands of the model's bank; their cosine transform makes cepstra of the
/// narrowband's own. How these follow from the wideband ones was observed on recordings heard both ways: for each phone and
/// kind of feature a linear regression, and the variance that it leaves. The map carries a Gaussian of the model over: its
/// mean `m` becomes `W m + b`, its variances `v` become `W² v + r` (squares element by element).
///
/// Text format: lines `key value...`; `#` begins a comment. `format 2`; `bands N` (leading mel bands of the model's bank);
/// `floor F` (natural log of the energy that is added to every band, for what the quiet of a telephone line hides);
/// `mean` with 13 numbers (the cepstral mean of speech, for what begins before it has been heard);
/// and for each phone 39 lines `row PHONE KIND K b r w...`: kind 0 (cepstra), 1 (differences) or 2 (differences of
/// those), coefficient 0 to 12, bias, variance left, 13 weights. The phone `*` stands for all that are not named.
#[derive(Debug, Clone, PartialEq)]
pub struct NarrowbandMap {
    bands: usize,
    floor: f32,
    mean: [f32; CEPSTRA],
    others: Box<PhoneMap>,
    phones: BTreeMap<String, Box<PhoneMap>>,
}

/// What one coefficient of narrowband features is, given the wideband features of the same kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NarrowbandRow {
    /// Its value where all wideband coefficients are zero.
    pub bias: f32,
    /// Variance around what is predicted.
    pub variance: f32,
    /// Weights of the wideband coefficients.
    pub weights: [f32; CEPSTRA],
}

/// The rows of one phone, \[kind\]\[coefficient\].
pub type PhoneMap = [[NarrowbandRow; CEPSTRA]; KINDS];

/// Name of the phone that stands for all others.
const OTHERS: &str = "*";

const MAX_BANDS: usize = 512;
const MAX_PHONES: usize = 256;
const MAX_FLOOR: f32 = 40.0;

impl NarrowbandMap {
    /// Makes a map of its parts: mel bands, natural log of the energy added to them, cepstral mean of speech, the rows for
    /// phones that are not named, and those of some phones.
    ///
    /// # Errors
    /// A message when a number is out of range or not finite, or a variance is not positive.
    pub fn new(
        bands: usize,
        floor: f32,
        mean: [f32; CEPSTRA],
        others: PhoneMap,
        phones: BTreeMap<String, PhoneMap>,
    ) -> Result<NarrowbandMap, String> {
        if !(1..=MAX_BANDS).contains(&bands) {
            return Err(format!("{bands} bands; 1 to {MAX_BANDS} expected"));
        }
        if floor.is_nan() || floor.abs() > MAX_FLOOR {
            return Err(format!("the floor is {floor}; -{MAX_FLOOR} to {MAX_FLOOR} expected"));
        }
        if !mean.iter().all(|value| value.is_finite()) {
            return Err("a number of the mean is not finite".into());
        }
        if phones.len() > MAX_PHONES {
            return Err(format!("{} phones; at most {MAX_PHONES} expected", phones.len()));
        }
        for (name, rows) in phones.iter().map(|(name, rows)| (name.as_str(), rows)).chain([(OTHERS, &others)]) {
            for row in rows.iter().flatten() {
                if !row.bias.is_finite() || !row.weights.iter().all(|weight| weight.is_finite()) {
                    return Err(format!("a number of phone {name} is not finite"));
                }
                if !(row.variance > 0.0 && row.variance.is_finite()) {
                    return Err(format!("a variance of phone {name} is {}; it must be positive", row.variance));
                }
            }
        }
        let phones = phones.into_iter().map(|(name, rows)| (name, Box::new(rows))).collect();
        Ok(NarrowbandMap { bands, floor, mean, others: Box::new(others), phones })
    }

    /// The map for the US English model that Debian packages (16 kHz, 25 bands from 130 to 6800 Hz), estimated on read
    /// and crowd-sourced recordings; the file says how.
    pub fn us_english() -> NarrowbandMap {
        NarrowbandMap::parse(include_bytes!("../data/en-us-narrowband.map")).expect("the map is part of the program")
    }

    /// Reads the text format.
    ///
    /// # Errors
    /// [`ParseError`] with the offset of the line at fault.
    pub fn parse(bytes: &[u8]) -> Result<NarrowbandMap, ParseError> {
        let fault = |offset: usize, reason: String| ParseError { offset: offset as u64, reason };
        let text = std::str::from_utf8(bytes).map_err(|error| fault(error.valid_up_to(), "not text".into()))?;
        let mut parser = Parser::default();
        let mut offset = 0;
        for line in text.split_inclusive('\n') {
            parser.line(line).map_err(|reason| fault(offset, reason))?;
            offset += line.len();
        }
        parser.finish().map_err(|reason| fault(offset, reason))
    }

    /// Number of leading mel bands of the model's bank that the cepstra are made of.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Natural log of the energy added to every band, on the scale of 16-bit samples.
    pub fn floor(&self) -> f32 {
        self.floor
    }

    /// Cepstral mean of speech: what to assume of a stream that has only begun.
    pub fn mean(&self) -> &[f32; CEPSTRA] {
        &self.mean
    }

    /// The rows of a phone: its own, or those that stand for all others.
    pub fn phone(&self, name: &str) -> &PhoneMap {
        self.phones.get(name).unwrap_or(&self.others)
    }

    /// The map in its text format, without comments.
    pub fn to_text(&self) -> String {
        use std::fmt::Write;
        let mut text = format!("format 2\nbands {}\nfloor {}\nmean", self.bands, self.floor);
        for value in self.mean {
            write!(text, " {value}").expect("writing to a string");
        }
        text.push('\n');
        let others = std::iter::once((OTHERS, &self.others));
        for (name, rows) in others.chain(self.phones.iter().map(|(name, rows)| (name.as_str(), rows))) {
            for (kind, rows) in rows.iter().enumerate() {
                for (k, row) in rows.iter().enumerate() {
                    write!(text, "row {name} {kind} {k} {} {}", row.bias, row.variance).expect("writing to a string");
                    for weight in row.weights {
                        write!(text, " {weight}").expect("writing to a string");
                    }
                    text.push('\n');
                }
            }
        }
        text
    }
}

/// What has been read of a map.
#[derive(Default)]
struct Parser {
    format: bool,
    bands: Option<usize>,
    floor: Option<f32>,
    mean: Option<[f32; CEPSTRA]>,
    rows: BTreeMap<String, BTreeMap<(usize, usize), NarrowbandRow>>,
}

impl Parser {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split('#').next().unwrap_or("").split_whitespace();
        let Some(key) = words.next() else { return Ok(()) };
        match key {
            "format" => match words.next() {
                Some("2") => self.format = true,
                other => return Err(format!("format {} is not known; 2 is", other.unwrap_or("without a number"))),
            },
            "bands" => self.bands = Some(number(words.next(), "the number of bands")?),
            "floor" => self.floor = Some(number(words.next(), "the floor")?),
            "mean" => {
                let mut mean = [0.0; CEPSTRA];
                for value in &mut mean {
                    *value = number(words.next(), "a number of the mean")?;
                }
                self.mean = Some(mean);
            }
            "row" => return self.row(words),
            _ => return Err(format!("{key:?} is not known")),
        }
        nothing_more(words)
    }

    fn row<'a>(&mut self, mut words: impl Iterator<Item = &'a str>) -> Result<(), String> {
        let phone = words.next().ok_or("a row needs a phone")?;
        let kind: usize = number(words.next(), "the kind of feature")?;
        let k: usize = number(words.next(), "the coefficient")?;
        if kind >= KINDS || k >= CEPSTRA {
            return Err(format!("kind {kind}, coefficient {k}: below {KINDS} and {CEPSTRA} expected"));
        }
        let bias = number(words.next(), "the bias")?;
        let variance = number(words.next(), "the variance")?;
        let mut weights = [0.0; CEPSTRA];
        for weight in &mut weights {
            *weight = number(words.next(), "a weight")?;
        }
        nothing_more(words)?;
        let rows = self.rows.entry(phone.to_owned()).or_default();
        match rows.insert((kind, k), NarrowbandRow { bias, variance, weights }) {
            None => Ok(()),
            Some(_) => Err(format!("phone {phone} has row {kind} {k} twice")),
        }
    }

    fn finish(self) -> Result<NarrowbandMap, String> {
        let (true, Some(bands), Some(floor), Some(mean)) = (self.format, self.bands, self.floor, self.mean) else {
            return Err("format, bands, floor or mean is missing".into());
        };
        let complete = |(name, rows): (String, BTreeMap<(usize, usize), NarrowbandRow>)| {
            if rows.len() != KINDS * CEPSTRA {
                return Err(format!("phone {name} has {} rows; {} expected", rows.len(), KINDS * CEPSTRA));
            }
            let rows: PhoneMap = std::array::from_fn(|kind| std::array::from_fn(|k| rows[&(kind, k)]));
            Ok((name, rows))
        };
        let mut phones = self.rows.into_iter().map(complete).collect::<Result<BTreeMap<String, PhoneMap>, String>>()?;
        let others = phones.remove(OTHERS).ok_or_else(|| format!("phone {OTHERS} is missing"))?;
        NarrowbandMap::new(bands, floor, mean, others, phones)
    }
}

fn number<T: std::str::FromStr>(word: Option<&str>, what: &str) -> Result<T, String> {
    let word = word.ok_or_else(|| format!("{what} is missing"))?;
    word.parse().map_err(|_| format!("{what} cannot be {word:?}"))
}

fn nothing_more<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<(), String> {
    match words.next() {
        None => Ok(()),
        Some(word) => Err(format!("{word:?} is more than the line should have")),
    }
}

/// A phone's rows as they apply to the dimensions of one stream.
pub(crate) struct StreamMap<'a> {
    /// For each dimension its row, and where in the stream its kind's coefficients are.
    rows: Vec<(&'a NarrowbandRow, [usize; CEPSTRA])>,
}

impl<'a> StreamMap<'a> {
    /// For a stream of these dimensions of the feature vector.
    pub(crate) fn new(phone: &'a PhoneMap, dimensions: &[usize]) -> Result<StreamMap<'a>, String> {
        let rows = dimensions.iter().map(|dimension| {
            let (kind, k) = (dimension / CEPSTRA, dimension % CEPSTRA);
            let mut places = [0; CEPSTRA];
            for (k, place) in places.iter_mut().enumerate() {
                let wanted = kind * CEPSTRA + k;
                *place = dimensions.iter().position(|&dimension| dimension == wanted).ok_or_else(|| {
                    format!("a narrowband map cannot be used: a stream has feature {dimension}, but not {wanted}")
                })?;
            }
            Ok((&phone[kind][k], places))
        });
        Ok(StreamMap { rows: rows.collect::<Result<_, String>>()? })
    }

    /// Carries a Gaussian over.
    pub(crate) fn apply(&self, mean: &mut [f32], variance: &mut [f32]) -> Result<(), String> {
        let carried: Vec<(f32, f32)> = self
            .rows
            .iter()
            .map(|(row, places)| {
                let mut sums = (row.bias, row.variance);
                for (weight, &place) in row.weights.iter().zip(places) {
                    sums.0 += weight * mean[place];
                    sums.1 += weight * weight * variance[place];
                }
                sums
            })
            .collect();
        if !carried.iter().all(|(mean, variance)| mean.is_finite() && variance.is_finite()) {
            return Err("the narrowband map leads to Gaussians that are not finite".into());
        }
        for ((mean, variance), carried) in mean.iter_mut().zip(variance).zip(carried) {
            (*mean, *variance) = (carried.0, carried.1.max(VARIANCE_FLOOR));
        }
        Ok(())
    }
}
