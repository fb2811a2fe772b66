//! Regression of narrowband features on wideband ones.

use dictum_acoustic::{NarrowbandMap, NarrowbandRow, PhoneMap, Units};

const CEPSTRA: usize = 13;
const KINDS: usize = 3;
/// Inputs: 13 coefficients and a constant.
const INPUTS: usize = CEPSTRA + 1;
/// Regularisation, in frames of unit variance.
const RIDGE: f64 = 50.0;

/// Sums over frames, for each kind of feature.
#[derive(Debug, Clone)]
pub struct Regression {
    frames: usize,
    /// Inputs times inputs; inputs times outputs; outputs squared.
    squares: [[[f64; INPUTS]; INPUTS]; KINDS],
    products: [[[f64; CEPSTRA]; INPUTS]; KINDS],
    outputs: [[f64; CEPSTRA]; KINDS],
}

impl Default for Regression {
    fn default() -> Self {
        Regression {
            frames: 0,
            squares: [[[0.0; INPUTS]; INPUTS]; KINDS],
            products: [[[0.0; CEPSTRA]; INPUTS]; KINDS],
            outputs: [[0.0; CEPSTRA]; KINDS],
        }
    }
}

fn of_kind(features: &[f32; 39], kind: usize) -> [f64; CEPSTRA] {
    std::array::from_fn(|k| f64::from(features[kind * CEPSTRA + k]))
}

impl Regression {
    pub fn frames(&self) -> usize {
        self.frames
    }

    pub fn add(&mut self, wide: &[f32; 39], narrow: &[f32; 39]) {
        self.frames += 1;
        for kind in 0..KINDS {
            let (x, y) = (of_kind(wide, kind), of_kind(narrow, kind));
            let x: [f64; INPUTS] = std::array::from_fn(|i| x.get(i).copied().unwrap_or(1.0));
            for i in 0..INPUTS {
                (0..INPUTS).for_each(|j| self.squares[kind][i][j] += x[i] * x[j]);
                (0..CEPSTRA).for_each(|k| self.products[kind][i][k] += x[i] * y[k]);
            }
            (0..CEPSTRA).for_each(|k| self.outputs[kind][k] += y[k] * y[k]);
        }
    }

    pub fn merge(&mut self, other: &Regression) {
        self.frames += other.frames;
        let add = |sums: &mut [f64], others: &[f64]| sums.iter_mut().zip(others).for_each(|(sum, other)| *sum += other);
        add(self.squares.as_flattened_mut().as_flattened_mut(), other.squares.as_flattened().as_flattened());
        add(self.products.as_flattened_mut().as_flattened_mut(), other.products.as_flattened().as_flattened());
        add(self.outputs.as_flattened_mut(), other.outputs.as_flattened());
    }

    /// The rows that predict best.
    pub fn solve(&self) -> Result<PhoneMap, String> {
        if self.frames == 0 {
            return Err("no recording could be aligned with its transcript".into());
        }
        Ok(std::array::from_fn(|kind| self.solve_kind(kind)))
    }

    fn solve_kind(&self, kind: usize) -> [NarrowbandRow; CEPSTRA] {
        let frames = self.frames as f64;
        let mut squares = self.squares[kind];
        for (i, row) in squares.iter_mut().enumerate().take(CEPSTRA) {
            let mean = self.squares[kind][i][CEPSTRA] / frames;
            row[i] += RIDGE * (row[i] / frames - mean * mean + 1e-6);
        }
        let solution = solve(squares, self.products[kind]);
        std::array::from_fn(|k| {
            // What is left of the squares: y² - 2 y (w x) + (w x)².
            let mut left = self.outputs[kind][k];
            for i in 0..INPUTS {
                left -= 2.0 * solution[i][k] * self.products[kind][i][k];
                left += (0..INPUTS).map(|j| solution[i][k] * self.squares[kind][i][j] * solution[j][k]).sum::<f64>();
            }
            NarrowbandRow {
                bias: rounded(solution[CEPSTRA][k]),
                variance: rounded((left / frames).max(1e-4)),
                weights: std::array::from_fn(|i| rounded(solution[i][k])),
            }
        })
    }
}

/// Five digits: more than the estimate is worth, and short to write.
pub fn rounded(value: f64) -> f32 {
    format!("{value:.4e}").parse().expect("a number that was written can be read")
}

/// Solves symmetric positive definite equations by elimination.
fn solve(mut matrix: [[f64; INPUTS]; INPUTS], mut right: [[f64; CEPSTRA]; INPUTS]) -> [[f64; CEPSTRA]; INPUTS] {
    for pivot in 0..INPUTS {
        let (pivot_row, pivot_right) = (matrix[pivot], right[pivot]);
        for i in (0..INPUTS).filter(|&i| i != pivot) {
            let factor = matrix[i][pivot] / pivot_row[pivot];
            matrix[i].iter_mut().zip(pivot_row).for_each(|(value, other)| *value -= factor * other);
            right[i].iter_mut().zip(pivot_right).for_each(|(value, other)| *value -= factor * other);
        }
    }
    std::array::from_fn(|i| right[i].map(|value| value / matrix[i][i]))
}

/// A recording that was held out: phones, wideband features, narrowband features.
pub type HeldOut = (Vec<u8>, Vec<[f32; 39]>, Vec<[f32; 39]>);

/// Share of the variance of narrowband features that the map explains, for each kind.
pub fn explained(map: &NarrowbandMap, units: &Units, held_out: &[HeldOut]) -> [f64; KINDS] {
    let (mut errors, mut totals) = ([0.0; KINDS], [0.0; KINDS]);
    for (phones, wide, narrow) in held_out {
        for ((&phone, wide), narrow) in phones.iter().zip(wide).zip(narrow) {
            let rows = map.phone(units.phone_name(phone));
            for kind in 0..KINDS {
                let (x, y) = (of_kind(wide, kind), of_kind(narrow, kind));
                for (row, y) in rows[kind].iter().zip(y) {
                    let sum: f64 = row.weights.iter().zip(x).map(|(&weight, x)| f64::from(weight) * x).sum();
                    errors[kind] += (y - sum - f64::from(row.bias)).powi(2);
                    totals[kind] += y * y;
                }
            }
        }
    }
    std::array::from_fn(|kind| 1.0 - errors[kind] / totals[kind])
}
