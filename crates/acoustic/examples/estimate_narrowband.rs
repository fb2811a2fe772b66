//! Estimates a narrowband map: how the cepstra of full-band speech follow from its telephone version.
//!
//! ```text
//! estimate_narrowband FEAT_PARAMS CONTEXT OUTPUT RECORDING...
//! ```
//!
//! Each recording (anything `ffmpeg` reads, of more than telephone bandwidth) is decoded at the model's rate, and once more
//! as a telephone would carry it: at half the rate in mu-law, in turn through a sharp band-pass of 300 to 3400 Hz, a gentle
//! one, and none. The map is the ridge regression of the full-band cepstra on the telephone's log mel energies, both less
//! their means over the recording (so that what differs between channels, and is removed with the cepstral mean later, does
//! not count), with the overall means as bias. Every fifth recording is held out; how much of the variance of each
//! coefficient the map explains there is printed, and beside it what plain upsampling explains.

use std::error::Error;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use dictum_acoustic::{FrontEnd, FrontEndConfig, NarrowbandMap, parse_feat_params};

const CEPSTRA: usize = 13;
/// Regularisation, in frames of unit variance.
const RIDGE: f64 = 10.0;
/// Every so many recordings one is held out.
const HELD_OUT: usize = 5;
/// What telephones do to the band before they sample it.
const CHANNELS: [&str; 3] = [
    "highpass=f=300,highpass=f=300,highpass=f=300,aresample=8000,lowpass=f=3400,lowpass=f=3400,lowpass=f=3400",
    "highpass=f=300,lowpass=f=3400,aresample=8000",
    "aresample=8000",
];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(params), Some(context), Some(output)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: estimate_narrowband FEAT_PARAMS CONTEXT OUTPUT RECORDING...".into());
    };
    let context: usize = context.to_string_lossy().parse()?;
    let recordings: Vec<PathBuf> = arguments.collect();
    let config = FrontEndConfig::new(parse_feat_params(&std::fs::read(params)?)?);
    if config.sample_rate() != 16_000.0 {
        return Err("only models of 16 kHz speech are mapped to".into());
    }
    let mut regression = Regression::new((2 * context + 1) * config.narrowband_bands());
    let mut held_out = Vec::new();
    for (index, path) in recordings.iter().enumerate() {
        let pair = Pair::read(&config, path, CHANNELS[index % CHANNELS.len()], context)?;
        if index % HELD_OUT == HELD_OUT - 1 {
            held_out.push(pair);
        } else {
            regression.add(&pair);
        }
        if std::io::stderr().is_terminal() {
            eprint!("\r{} of {} recordings", index + 1, recordings.len());
        }
    }
    let map = regression.solve(config.narrowband_bands(), context)?;
    let mut text = format!(
        "# Cepstra of full-band speech from the log mel energies of its telephone version (8 kHz).\n\
         # Estimated by crates/acoustic/examples/estimate_narrowband.rs: ridge regression over {} recordings\n\
         # ({:.0} minutes), band-limited in turn to 300-3400 Hz sharply, gently and not at all, mu-law.\n",
        recordings.len() - held_out.len(),
        regression.frames as f64 / config.frame_rate() / 60.0
    );
    if !held_out.is_empty() {
        let mapped = explained(&held_out, |pair| pair.mapped(&map));
        let upsampled = explained(&held_out, |pair| pair.upsampled.clone());
        text += &format!("# Share of the variance explained on {} other recordings, c0 to c12:\n", held_out.len());
        text += &format!("# this map    {mapped}\n# upsampling  {upsampled}\n");
    }
    print!("{text}");
    std::fs::write(output, text + &map.to_text())?;
    Ok(())
}

/// A recording heard twice, frame by frame.
struct Pair {
    /// Cepstra of the full band.
    wide: Vec<[f32; CEPSTRA]>,
    /// Cepstra of the telephone version brought back to the full rate.
    upsampled: Vec<[f32; CEPSTRA]>,
    /// Log mel energies of the telephone version, with context.
    inputs: Vec<Vec<f64>>,
}

impl Pair {
    fn read(config: &FrontEndConfig, path: &Path, channel: &str, context: usize) -> Result<Pair, Box<dyn Error>> {
        let wide = from_pcm(&ffmpeg(path.as_os_str().as_ref(), &["-ar", "16000", "-f", "s16le"], None)?);
        let coded = ffmpeg(
            path.as_os_str().as_ref(),
            &["-af", channel, "-ar", "8000", "-c:a", "pcm_mulaw", "-f", "mulaw"],
            None,
        )?;
        let telephone: Vec<f32> = coded.iter().map(|&code| from_mu_law(code)).collect();
        let upsampled = from_pcm(&ffmpeg(Path::new("-"), &["-ar", "16000", "-f", "s16le"], Some(coded))?);

        let wide = cepstra(config, &wide);
        let upsampled = cepstra(config, &upsampled);
        let bands = log_energies(config, &telephone)?;
        let frames = wide.len().min(upsampled.len()).min(bands.len());
        let inputs = (0..frames)
            .map(|t| {
                (0..=2 * context)
                    .flat_map(|offset| bands[(t + offset).saturating_sub(context).min(frames - 1)].iter().copied())
                    .collect()
            })
            .collect();
        Ok(Pair { wide: wide[..frames].to_vec(), upsampled: upsampled[..frames].to_vec(), inputs })
    }

    /// Frames that are not digital silence.
    fn heard(&self) -> impl Iterator<Item = usize> {
        (0..self.wide.len()).filter(|&t| self.wide[t][0] >= 0.0)
    }

    fn mapped(&self, map: &NarrowbandMap) -> Vec<[f32; CEPSTRA]> {
        self.inputs.iter().map(|input| map.apply(input)).collect()
    }
}

fn cepstra(config: &FrontEndConfig, samples: &[f32]) -> Vec<[f32; CEPSTRA]> {
    let mut front_end = FrontEnd::new(config);
    let mut out = Vec::new();
    front_end.push(samples, &mut out);
    front_end.finish(&mut out);
    out
}

/// Log mel energies of half-rate samples: what maps that pick 13 bands each let through.
fn log_energies(config: &FrontEndConfig, samples: &[f32]) -> Result<Vec<Vec<f64>>, Box<dyn Error>> {
    let bands = config.narrowband_bands();
    let mut frames: Vec<Vec<f64>> = Vec::new();
    for first in (0..bands).step_by(CEPSTRA) {
        let mut weights = vec![[0.0; CEPSTRA]; bands];
        for (k, row) in weights[first..].iter_mut().take(CEPSTRA).enumerate() {
            row[k] = 1.0;
        }
        let picked =
            cepstra(&config.clone().with_narrowband(NarrowbandMap::new(bands, 0, [0.0; CEPSTRA], weights)?)?, samples);
        frames.resize(picked.len(), Vec::new());
        for (frame, picked) in frames.iter_mut().zip(picked) {
            frame.extend(picked.iter().take(bands - first).map(|&value| f64::from(value)));
        }
    }
    Ok(frames)
}

/// Sums for the regression of 13 outputs on some inputs.
struct Regression {
    /// Inputs times inputs, inputs times outputs; centred by recording.
    squares: Vec<Vec<f64>>,
    products: Vec<[f64; CEPSTRA]>,
    input_sums: Vec<f64>,
    output_sums: [f64; CEPSTRA],
    frames: usize,
}

impl Regression {
    fn new(inputs: usize) -> Regression {
        Regression {
            squares: vec![vec![0.0; inputs]; inputs],
            products: vec![[0.0; CEPSTRA]; inputs],
            input_sums: vec![0.0; inputs],
            output_sums: [0.0; CEPSTRA],
            frames: 0,
        }
    }

    fn add(&mut self, pair: &Pair) {
        let count = pair.heard().count().max(1) as f64;
        let mut input_mean = vec![0.0; self.input_sums.len()];
        let mut output_mean = [0.0; CEPSTRA];
        for t in pair.heard() {
            input_mean.iter_mut().zip(&pair.inputs[t]).for_each(|(mean, x)| *mean += x / count);
            output_mean.iter_mut().zip(&pair.wide[t]).for_each(|(mean, &y)| *mean += f64::from(y) / count);
            self.input_sums.iter_mut().zip(&pair.inputs[t]).for_each(|(sum, x)| *sum += x);
            self.output_sums.iter_mut().zip(&pair.wide[t]).for_each(|(sum, &y)| *sum += f64::from(y));
            self.frames += 1;
        }
        for t in pair.heard() {
            let x: Vec<f64> = pair.inputs[t].iter().zip(&input_mean).map(|(x, mean)| x - mean).collect();
            for (i, &xi) in x.iter().enumerate() {
                self.squares[i].iter_mut().zip(&x).take(i + 1).for_each(|(sum, xj)| *sum += xi * xj);
                for ((sum, &y), mean) in self.products[i].iter_mut().zip(&pair.wide[t]).zip(&output_mean) {
                    *sum += xi * (f64::from(y) - mean);
                }
            }
        }
    }

    /// Solves the normal equations by Cholesky decomposition.
    fn solve(&self, bands: usize, context: usize) -> Result<NarrowbandMap, String> {
        let inputs = self.products.len();
        let mut lower = vec![vec![0.0f64; inputs]; inputs];
        for i in 0..inputs {
            for j in 0..=i {
                let ridge = if i == j { RIDGE } else { 0.0 };
                let known: f64 = lower[i][..j].iter().zip(&lower[j]).map(|(a, b)| a * b).sum();
                let rest = self.squares[i][j] + ridge - known;
                lower[i][j] = if i == j { rest.sqrt() } else { rest / lower[j][j] };
            }
        }
        let mut weights = self.products.clone();
        for (i, factors) in lower.iter().enumerate() {
            let (known, rest) = weights.split_at_mut(i);
            divide_less(&mut rest[0], known.iter().zip(factors), factors[i]);
        }
        for i in (0..inputs).rev() {
            let (rest, known) = weights.split_at_mut(i + 1);
            let column: Vec<f64> = lower[i + 1..].iter().map(|row| row[i]).collect();
            divide_less(&mut rest[i], known.iter().zip(&column), lower[i][i]);
        }
        let frames = self.frames.max(1) as f64;
        let bias = std::array::from_fn(|k| {
            let predicted: f64 = self.input_sums.iter().zip(&weights).map(|(sum, row)| sum * row[k]).sum();
            ((self.output_sums[k] - predicted) / frames) as f32
        });
        let weights = weights.iter().map(|row| row.map(|weight| weight as f32)).collect();
        NarrowbandMap::new(bands, context, bias, weights)
    }
}

/// (row - sum of known rows times their factors) / divisor.
fn divide_less<'a>(row: &mut [f64; CEPSTRA], known: impl Iterator<Item = (&'a [f64; CEPSTRA], &'a f64)>, divisor: f64) {
    for (known, factor) in known {
        row.iter_mut().zip(known).for_each(|(value, known)| *value -= known * factor);
    }
    row.iter_mut().for_each(|value| *value /= divisor);
}

/// Share of each coefficient's variance within recordings that a prediction explains, and their mean.
fn explained(pairs: &[Pair], predict: impl Fn(&Pair) -> Vec<[f32; CEPSTRA]>) -> String {
    let mut errors = [0.0f64; CEPSTRA];
    let mut variances = [0.0f64; CEPSTRA];
    for pair in pairs {
        let predicted = predict(pair);
        let count = pair.heard().count().max(1) as f64;
        for k in 0..CEPSTRA {
            let mean = |frames: &[[f32; CEPSTRA]]| pair.heard().map(|t| f64::from(frames[t][k])).sum::<f64>() / count;
            let (wide_mean, predicted_mean) = (mean(&pair.wide), mean(&predicted));
            for t in pair.heard() {
                let wide = f64::from(pair.wide[t][k]) - wide_mean;
                errors[k] += (wide - (f64::from(predicted[t][k]) - predicted_mean)).powi(2);
                variances[k] += wide * wide;
            }
        }
    }
    let shares: Vec<f64> = errors.iter().zip(&variances).map(|(error, variance)| 1.0 - error / variance).collect();
    let mean = shares.iter().sum::<f64>() / CEPSTRA as f64;
    shares.iter().map(|share| format!("{share:.2} ")).collect::<String>() + &format!("(mean {mean:.3})")
}

fn ffmpeg(input: &Path, settings: &[&str], mu_law: Option<Vec<u8>>) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin"]);
    if mu_law.is_some() {
        command.args(["-f", "mulaw", "-ar", "8000", "-ac", "1"]);
    }
    command.arg("-i").arg(input).args(["-ac", "1"]).args(settings).arg("-");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("no pipe to ffmpeg")?;
    let feeder = std::thread::spawn(move || stdin.write_all(&mu_law.unwrap_or_default()));
    let output = child.wait_with_output()?;
    let fed = feeder.join().map_err(|_| "feeding ffmpeg failed")?;
    if !output.status.success() {
        return Err(format!("ffmpeg cannot decode {}", input.display()).into());
    }
    fed?;
    Ok(output.stdout)
}

fn from_pcm(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(2).map(|pair| f32::from(i16::from_le_bytes([pair[0], pair[1]])) / 32_768.0).collect()
}

/// G.711 mu-law: inverted bits of sign, exponent and mantissa, with a bias of 33 steps.
fn from_mu_law(code: u8) -> f32 {
    let code = !code;
    let (exponent, mantissa) = ((code >> 4) & 7, i32::from(code & 15));
    let magnitude = (((mantissa << 3) + 132) << exponent) - 132;
    let value = if code & 0x80 == 0 { magnitude } else { -magnitude };
    value as f32 / 32_768.0
}
