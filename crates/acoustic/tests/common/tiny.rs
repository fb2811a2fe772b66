//! Writes small models in every form that the formats have, for comparison with arithmetic done the plain way.

use std::path::Path;

use super::Random;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    Little,
    Big,
}

/// A model's content, independent of how it is written.
#[derive(Clone)]
pub struct Tiny {
    /// Names, whether filler, senones.
    pub phones: Vec<(&'static str, bool, [u16; 3])>,
    /// Center, left, right, position (0 to 3), senones.
    pub triphones: Vec<(u8, u8, u8, u8, [u16; 3])>,
    pub senones: usize,
    pub codebooks: usize,
    pub stream_lengths: Vec<usize>,
    pub densities: usize,
    pub means: Vec<f32>,
    pub variances: Vec<f32>,
    /// \[senone\]\[stream\]\[density\] counts.
    pub counts: Vec<f32>,
    pub transitions: Vec<f32>,
}

impl Tiny {
    /// A model of four phones and some triphones with as many codebooks as `tying` says: 1, 4 (phones) or 15 (senones).
    pub fn new(codebooks: usize, stream_lengths: &[usize], densities: usize) -> Tiny {
        let mut random = Random::new(codebooks as u64 * 1000 + densities as u64);
        let phones = vec![
            ("+NSN+", true, [0, 1, 2]),
            ("A", false, [3, 4, 5]),
            ("B", false, [6, 7, 8]),
            ("SIL", true, [9, 10, 11]),
        ];
        let triphones = vec![
            (1, 2, 2, 0, [12, 13, 5]),
            (1, 3, 2, 1, [3, 13, 5]),
            (1, 2, 3, 2, [12, 4, 14]),
            (1, 3, 3, 3, [3, 4, 14]),
            (2, 1, 1, 0, [6, 7, 8]),
        ];
        let senones = 15;
        let dimensions: usize = stream_lengths.iter().sum();
        let mut numbers = |count: usize, low: f32, high: f32| -> Vec<f32> {
            (0..count).map(|_| low + (high - low) * random.next()).collect()
        };
        Tiny {
            means: numbers(codebooks * densities * dimensions, -2.0, 2.0),
            variances: numbers(codebooks * densities * dimensions, 0.1, 3.0),
            counts: numbers(senones * stream_lengths.len() * densities, 0.0, 50.0),
            transitions: [3.0, 1.0, 0.0, 0.0, 0.0, 2.0, 1.0, 1.0, 0.0, 0.0, 5.0, 5.0].repeat(phones.len()),
            phones,
            triphones,
            senones,
            codebooks,
            stream_lengths: stream_lengths.to_vec(),
            densities,
        }
    }

    pub fn codebook_of(&self, senone: usize) -> usize {
        match self.codebooks {
            1 => 0,
            codebooks if codebooks == self.senones => senone,
            // The phone it belongs to; 12 to 14 are of A.
            _ => [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 1, 1, 1][senone],
        }
    }

    pub fn feat_params(&self) -> String {
        let mut first = 0;
        let streams: Vec<String> = self
            .stream_lengths
            .iter()
            .map(|length| {
                first += length;
                format!("{}-{}", first - length, first - 1)
            })
            .collect();
        format!("-feat 1s_c_d_dd\n-svspec {}\n", streams.join("/"))
    }

    pub fn mdef_text(&self) -> String {
        let all = self.phones.len() + self.triphones.len();
        let mut text = format!(
            "# comment\n0.3\n{} n_base\n{} n_tri\n{} n_state_map\n{} n_tied_state\n12 n_tied_ci_state\n{} n_tied_tmat\n#\n",
            self.phones.len(),
            self.triphones.len(),
            all * 4,
            self.senones,
            self.phones.len(),
        );
        for (id, (name, filler, [a, b, c])) in self.phones.iter().enumerate() {
            let attribute = if *filler { "filler" } else { "n/a" };
            text += &format!("{name:>5}   -   - - {attribute:>6} {id} {a} {b} {c} N\n");
        }
        for (center, left, right, position, [a, b, c]) in &self.triphones {
            let name = |id: &u8| self.phones[usize::from(*id)].0;
            let position = ["i", "b", "e", "s"][usize::from(*position)];
            text += &format!("{} {} {} {position} n/a {center} {a} {b} {c} N\n", name(center), name(left), name(right));
        }
        text
    }

    pub fn mdef_binary(&self, order: Order) -> Vec<u8> {
        let mut out = Writer::new(order);
        let all = self.phones.len() + self.triphones.len();
        out.u32(0x4644_4d42);
        out.u32(1);
        out.u32(8);
        out.bytes(b"format\0\0");
        for count in [self.phones.len(), all, 3, 12, self.senones, self.phones.len(), all, 3, 2, 3] {
            out.u32(count as u32);
        }
        let start = out.0.len();
        for (name, ..) in &self.phones {
            out.bytes(name.as_bytes());
            out.bytes(&[0]);
        }
        while !(out.0.len() - start).is_multiple_of(4) {
            out.bytes(&[0]);
        }
        for _ in 0..2 {
            // Tree nodes, which the reader has no use for.
            out.u16(0);
            out.u16(0);
            out.u32(u32::MAX);
        }
        for (id, (_, filler, _)) in self.phones.iter().enumerate() {
            out.u32(id as u32);
            out.u32(id as u32);
            out.bytes(&[u8::from(*filler), 0, 0, 0]);
        }
        for (id, (center, left, right, position, _)) in self.triphones.iter().enumerate() {
            out.u32((self.phones.len() + id) as u32);
            out.u32(u32::from(*center));
            out.bytes(&[*position, *center, *left, *right]);
        }
        out.u32(all as u32 * 3);
        let sequences = self.phones.iter().map(|phone| phone.2).chain(self.triphones.iter().map(|triphone| triphone.4));
        for senone in sequences.flatten() {
            out.u16(senone);
        }
        out.0
    }

    pub fn gaussians(&self, values: &[f32], order: Order) -> Vec<u8> {
        let mut head = vec![self.codebooks, self.stream_lengths.len(), self.densities];
        head.extend(&self.stream_lengths);
        s3(&head, values, order, true)
    }

    pub fn mixture_weights(&self, order: Order) -> Vec<u8> {
        s3(&[self.senones, self.stream_lengths.len(), self.densities], &self.counts, order, false)
    }

    pub fn transition_matrices(&self, order: Order) -> Vec<u8> {
        s3(&[self.phones.len(), 3, 4], &self.transitions, order, true)
    }

    /// Weights in steps of 0.1024 nats as the training tool makes them.
    pub fn quantized(&self) -> Vec<u8> {
        let streams = self.stream_lengths.len();
        let mut values = Vec::new();
        for stream in 0..streams {
            for density in 0..self.densities {
                for senone in 0..self.senones {
                    let counts = &self.counts[(senone * streams + stream) * self.densities..][..self.densities];
                    let weight = counts[density] / counts.iter().sum::<f32>();
                    values.push((-weight.ln() / 0.1024).round().clamp(0.0, 159.0) as u8);
                }
            }
        }
        values
    }

    /// A sendump of `values`; with `clusters` they are indices into those.
    pub fn sendump(&self, values: &[u8], clusters: Option<&[u8; 16]>, bits: usize, order: Order) -> Vec<u8> {
        let mut out = Writer::new(order);
        let (streams, clusters_given) = (self.stream_lengths.len(), clusters.is_some());
        let strings = [
            "title".to_string(),
            "header".to_string(),
            format!("feature_count {streams}"),
            format!("mixture_count {}", self.densities),
            format!("model_count {}", self.senones),
            format!("cluster_count {}", if clusters_given { 16 } else { 0 }),
            format!("cluster_bits {bits}"),
        ];
        for string in strings {
            out.u32(string.len() as u32 + 1);
            out.bytes(string.as_bytes());
            out.bytes(&[0]);
        }
        out.u32(0);
        match clusters {
            Some(clusters) => out.bytes(clusters),
            None => {
                out.u32(self.densities as u32);
                out.u32(self.senones as u32);
            }
        }
        for row in values.chunks_exact(self.senones) {
            match bits {
                8 => out.bytes(row),
                _ => row.chunks(2).for_each(|pair| out.bytes(&[pair[0] | pair.get(1).map_or(0, |second| second << 4)])),
            }
        }
        out.0
    }

    /// Writes the whole model, with weights as counts.
    pub fn write(&self, dir: &Path, order: Order) {
        std::fs::write(dir.join("mdef"), self.mdef_binary(order)).unwrap();
        std::fs::write(dir.join("means"), self.gaussians(&self.means, order)).unwrap();
        std::fs::write(dir.join("variances"), self.gaussians(&self.variances, order)).unwrap();
        std::fs::write(dir.join("mixture_weights"), self.mixture_weights(order)).unwrap();
        std::fs::write(dir.join("transition_matrices"), self.transition_matrices(order)).unwrap();
        std::fs::write(dir.join("feat.params"), self.feat_params()).unwrap();
    }

    /// Log-likelihood of a senone the plain way; `weight(stream, density)` in linear terms.
    pub fn score(&self, senone: usize, x: &[f32; 39], weight: impl Fn(usize, usize) -> f64) -> f64 {
        let codebook = self.codebook_of(senone);
        let dimensions: usize = self.stream_lengths.iter().sum();
        let mut total = 0.0;
        let mut before = 0;
        for (stream, &length) in self.stream_lengths.iter().enumerate() {
            let mut likelihood = 0.0f64;
            for density in 0..self.densities {
                let start = (codebook * dimensions + before) * self.densities + density * length;
                let mut log = 0.0f64;
                for d in 0..length {
                    let (mean, variance) = (f64::from(self.means[start + d]), f64::from(self.variances[start + d]));
                    let difference = f64::from(x[before + d]) - mean;
                    log -= 0.5 * ((2.0 * std::f64::consts::PI * variance).ln() + difference * difference / variance);
                }
                likelihood += weight(stream, density) * log.exp();
            }
            total += likelihood.ln();
            before += length;
        }
        total
    }
}

struct Writer(Vec<u8>, Order);

impl Writer {
    fn new(order: Order) -> Writer {
        Writer(Vec::new(), order)
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn u32(&mut self, value: u32) {
        let bytes = if self.1 == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes(&bytes);
    }

    fn u16(&mut self, value: u16) {
        let bytes = if self.1 == Order::Big { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes(&bytes);
    }
}

/// An s3 file of the dimensions in `head` (the total follows them).
pub fn s3(head: &[usize], values: &[f32], order: Order, checksum: bool) -> Vec<u8> {
    let mut body = Writer::new(order);
    head.iter().for_each(|&count| body.u32(count as u32));
    body.u32(values.len() as u32);
    values.iter().for_each(|value| body.u32(value.to_bits()));
    let mut out = Writer::new(order);
    out.bytes(b"s3\nversion 1.0\n");
    if checksum {
        out.bytes(b"chksum0 yes\n");
    }
    out.bytes(b"endhdr\n");
    out.u32(0x1122_3344);
    let sum = body.0.chunks_exact(4).fold(0u32, |sum, word| {
        let word: [u8; 4] = word.try_into().unwrap();
        let word = if order == Order::Big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
        sum.rotate_left(20).wrapping_add(word)
    });
    out.bytes(&body.0);
    if checksum {
        out.u32(sum);
    }
    out.0
}
