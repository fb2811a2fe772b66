//! How long opening a model and asking it takes: `cargo run --release --example time_lookups [LM] [DICTIONARY]`.
//!
//! Times are of the processor where Linux tells them, so that other work on the machine counts only through its caches.

use std::time::{Duration, Instant};

use dictum_language::{Dictionary, LanguageModel, LmState, NgramModel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = "/usr/share/pocketsphinx/model/en-us";
    let lm = arguments.next().unwrap_or_else(|| format!("{folder}/en-us.lm.bin"));
    let dictionary = arguments.next().unwrap_or_else(|| format!("{folder}/cmudict-en-us.dict"));

    let clock = Clock::start();
    let model = NgramModel::open(&lm)?;
    println!("{model:?} opened in {:.1?}, {} states of two words", clock.elapsed(), model.history_count());
    let clock = Clock::start();
    model.prepare();
    println!("bigrams by history indexed in {:.1?}", clock.elapsed());
    let clock = Clock::start();
    let dictionary = Dictionary::open(&dictionary)?;
    println!("{} pronunciations read in {:.1?}", dictionary.pronunciation_count(), clock.elapsed());
    let clock = Clock::start();
    let known = model.vocabulary().iter().filter(|(_, word)| dictionary.contains(word)).count();
    println!("{known} words of the model found in it in {:.1?}", clock.elapsed());

    // Random histories and words: the worst case for caches; and random walks along the model's own bigrams, which are
    // closer to what a search asks.
    let words = model.vocabulary().len() as u64;
    let mut random = Random(1);
    const STEPS: usize = 2_000_000;
    let mut queries = Vec::with_capacity(STEPS);
    let mut state = model.start();
    for _ in 0..STEPS {
        let word = (random.next() % words) as u32;
        queries.push((state, word));
        state = model.step(state, word).0;
    }
    time("uniformly random words", &model, &queries);
    queries.clear();
    let mut state = model.start();
    let mut followers = Vec::new();
    while queries.len() < STEPS {
        followers.clear();
        model.bigrams_after(state.last_word().unwrap_or(0), &mut |word, _| followers.push(word));
        for _ in 0..100 {
            // A search tries many continuations, few of them known n-grams.
            let word = if random.next().is_multiple_of(2) || followers.is_empty() {
                (random.next() % words) as u32
            } else {
                followers[(random.next() % followers.len() as u64) as usize]
            };
            queries.push((state, word));
        }
        state = match followers.is_empty() {
            true => model.start(),
            false => model.step(state, followers[(random.next() % followers.len() as u64) as usize]).0,
        };
    }
    time("walks, half the words explicit bigrams", &model, &queries);
    Ok(())
}

fn time(what: &str, model: &NgramModel, queries: &[(LmState, u32)]) {
    let clock = Clock::start();
    let mut sum = 0.0f64;
    for &(state, word) in queries {
        sum += f64::from(model.step(state, word).1);
    }
    let each = clock.elapsed().as_secs_f64() / queries.len() as f64;
    println!("{what}: {:.0} ns a step (mean ln p {:.3})", each * 1e9, sum / queries.len() as f64);
}

struct Clock {
    processor: Option<Duration>,
    wall: Instant,
}

impl Clock {
    fn start() -> Self {
        Clock { processor: Self::processor_time(), wall: Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        match (self.processor, Self::processor_time()) {
            (Some(start), Some(now)) => now - start,
            _ => self.wall.elapsed(),
        }
    }

    /// Nanoseconds that this thread has run: the first field of schedstat.
    fn processor_time() -> Option<Duration> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(Duration::from_nanos(text.split(' ').next()?.parse().ok()?))
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}
