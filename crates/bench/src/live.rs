//! People who speak at the same time.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::Failure;
use crate::recordings::{RATE, Recordings};
use crate::server::Server;
use crate::speaker::{Seen, connect, speak};

/// What they saw. Delays are in seconds.
#[derive(Serialize)]
pub struct Figures {
    speakers: usize,
    refused: usize,
    /// How long the slowest refusal took.
    refusal: f64,
    utterances: usize,
    first_interim: Quantiles,
    final_result: Quantiles,
    /// Share of the words in interim results that were taken back.
    taken_back: f64,
    /// CPU seconds of the server for a second of audio.
    cpu: f64,
    memory: u64,
    peak_memory: u64,
    memory_each: u64,
}

#[derive(Serialize)]
struct Quantiles {
    median: f64,
    p95: f64,
    worst: f64,
}

impl Quantiles {
    fn of(mut values: Vec<f64>) -> Quantiles {
        values.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (values.len() as f64 * share) as usize;
            values.get(index).or(values.last()).copied().unwrap_or(f64::NAN)
        };
        Quantiles { median: at(0.5), p95: at(0.95), worst: at(1.0) }
    }
}

/// Lets so many speak, each beginning a little after the one before.
pub async fn run(server: &Server, recordings: &Recordings, speakers: usize) -> Result<Figures, Failure> {
    // The first session of a server fills caches that all share.
    warm_up(server, &recordings.speakers[0]).await?;
    let (memory, cpu) = (server.memory(), server.cpu());
    let mut tasks = Vec::new();
    let mut seconds = 0.0;
    let mut refused = Vec::new();
    for (index, said) in recordings.speakers.iter().take(speakers).enumerate() {
        let asked = Instant::now();
        match connect(&server.address).await? {
            Some(socket) => {
                seconds += said.len() as f64 / 2.0 / RATE as f64;
                let said = said.clone();
                tasks.push(tokio::spawn(async move {
                    let told = speak(socket, &said).await;
                    told.map_err(|failure| format!("speaker {index}: {failure}"))
                }));
            }
            None => refused.push(asked.elapsed().as_secs_f64()),
        }
        tokio::time::sleep(Duration::from_millis(137)).await;
    }
    let mut peak_memory = memory;
    let watch = async {
        loop {
            peak_memory = peak_memory.max(server.memory());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let admitted = tasks.len();
    let gather = async {
        let mut all = Seen::default();
        for task in tasks {
            let seen = task.await??;
            all.first.extend(seen.first);
            all.last.extend(seen.last);
            all.told += seen.told;
            all.taken_back += seen.taken_back;
        }
        Ok::<_, Failure>(all)
    };
    let all = tokio::select! {
        all = gather => all?,
        never = watch => never,
    };
    Ok(Figures {
        speakers,
        refused: refused.len(),
        refusal: refused.into_iter().fold(0.0, f64::max),
        utterances: all.last.len(),
        first_interim: Quantiles::of(all.first),
        final_result: Quantiles::of(all.last),
        taken_back: all.taken_back as f64 / all.told.max(1) as f64,
        cpu: (server.cpu() - cpu) / seconds,
        memory,
        peak_memory,
        memory_each: peak_memory.saturating_sub(memory) / admitted.max(1) as u64,
    })
}

async fn warm_up(server: &Server, said: &[u8]) -> Result<(), Failure> {
    let socket = connect(&server.address).await?.ok_or("the server is full before anything was asked of it")?;
    speak(socket, &said[..said.len().min(6 * 2 * RATE)]).await.map(drop)
}

impl Figures {
    /// Rows of a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let delays = |quantiles: &Quantiles| {
            let milliseconds = |seconds: f64| format!("{:.0} ms", seconds * 1e3);
            let [median, p95, worst] = [quantiles.median, quantiles.p95, quantiles.worst].map(milliseconds);
            format!("median {median}, 95 % {p95}, worst {worst}")
        };
        let who = format!("{} speak, {} refused", self.speakers, self.refused);
        let mut rows = vec![
            (format!("{who}: first interim result after the end of the first word"), delays(&self.first_interim)),
            (
                format!("{who}: final result after the end-of-phrase silence ({} results)", self.utterances),
                delays(&self.final_result),
            ),
            (format!("{who}: words taken back"), format!("{:.0} %", self.taken_back * 100.0)),
            (format!("{who}: CPU seconds for a second of audio"), format!("{:.3}", self.cpu)),
            (
                format!("{who}: memory before, at the peak, for each"),
                format!(
                    "{:.0} MB, {:.0} MB, {:.1} MB",
                    megabytes(self.memory),
                    megabytes(self.peak_memory),
                    megabytes(self.memory_each)
                ),
            ),
        ];
        if self.refused > 0 {
            rows.push((format!("{who}: slowest refusal"), format!("{:.0} ms", self.refusal * 1e3)));
        }
        rows
    }
}

/// Bytes as megabytes.
pub fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
