//! Servers and workers that are killed without warning, again and again, while there is work to do: every job ends, once, and
//! every callback comes.
//!
//! The suite does this briefly. For longer: `DICTUM_KILL_ROUNDS=20 DICTUM_KILL_JOBS=200 cargo nextest run -p dictum-cli --test kill`.

#[path = "../common/mod.rs"]
mod common;
mod fleet;
mod hook;
mod teaching;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{SPEECH, can_run, dictum, speak, stderr, stdout};
use dictum_store::{Store, StoreConfig};
use dictum_testbed::Postgres;
use fleet::{Fleet, Random};
use hook::Hook;
use serde_json::Value;

/// How long all jobs of a round may take after the last was created.
const LIMIT: Duration = Duration::from_secs(240);

fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).map_or(usual, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// One server and one worker that share a data directory.
#[test]
fn kill_on_sqlite() {
    if can_run("kill_on_sqlite", &["curl", SPEECH]) {
        rounds(StoreConfig::embedded, 1, 1);
    }
}

/// Two servers and two workers that share a PostgreSQL, and a directory of blobs.
#[test]
fn kill_on_postgres() {
    if !can_run("kill_on_postgres", &["curl", SPEECH]) {
        return;
    }
    let Some(postgres) = Postgres::start("kill_on_postgres") else { return };
    rounds(|data| StoreConfig { database: postgres.new_database(), ..StoreConfig::embedded(data) }, 2, 2);
}

/// Rounds of a number of jobs, each on a store of its own.
fn rounds(new_store: impl Fn(&Path) -> StoreConfig, servers: usize, workers: usize) {
    let (rounds, jobs) = (number("DICTUM_KILL_ROUNDS", 1), number("DICTUM_KILL_JOBS", 30));
    for round in 0..rounds {
        let work = tempfile::tempdir().unwrap();
        let data = work.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let store = new_store(&data);
        let arguments = ["--database", &store.database, "--blobs", &store.blobs].map(str::to_owned);
        let seed = number("DICTUM_KILL_SEED", std::process::id() as usize) + round;
        println!("round {} of {rounds}: {jobs} jobs, {servers} servers, {workers} workers, seed {seed}", round + 1);
        let outcome = Round::new(work.path(), &arguments, servers, workers, seed).run(jobs);
        println!("  {outcome}");
        nothing_is_left(&store);
    }
}

/// No ticket and no notification waits or is claimed: nothing stays locked.
fn nothing_is_left(config: &StoreConfig) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = Store::connect(config).await.unwrap();
        for count in store.queue_counts().await.unwrap() {
            assert_eq!((count.waiting, count.running), (0, 0), "{:?}", count.queue);
        }
        store.close().await;
    });
}

/// Says so when it goes.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Round {
    fleet: Fleet,
    hook: Hook,
    key: String,
    recording: String,
    random: Random,
}

impl Round {
    fn new(work: &Path, arguments: &[String], servers: usize, workers: usize, seed: usize) -> Round {
        let data = work.join("data").display().to_string();
        let created = dictum(
            &[&["keys", "create", "--data", &data], &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]]
                .concat(),
        );
        assert!(created.status.success(), "{}", stderr(&created));
        let recording = speak(work, "speech.wav", "go forward ten meters");
        Round {
            fleet: Fleet::start(work, arguments, servers, workers),
            hook: Hook::new(),
            key: stdout(&created).trim().to_owned(),
            recording: format!("@{}", recording.display()),
            random: Random::new(seed as u64),
        }
    }

    /// Creates the jobs while processes are killed, waits for their ends, and compares what was told with what is there.
    fn run(mut self, jobs: usize) -> String {
        let began = Instant::now();
        let key = self.key.clone();
        self.fleet.ask(
            &key,
            &["-X", "POST"],
            &format!("/v1/register_callback?user_secret=s&callback_url={}", self.hook.url),
        );
        let calm = self.create("");
        let expected = self.ended(&calm)["results"].clone();
        assert!(expected[0]["results"][0]["alternatives"][0]["transcript"].as_str().is_some(), "{expected}");
        let over = AtomicBool::new(false);
        let (fleet, random) = (&self.fleet, &mut self.random);
        let mut other = Random::new(random.next());
        let callback = format!(
            "?callback_url={}&user_token=t&events=recognitions.started,recognitions.completed_with_results,recognitions.failed",
            self.hook.url
        );
        let (kills, ids) = std::thread::scope(|scope| {
            let killer = scope.spawn(|| {
                let mut kills = 0;
                while !over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(200 + other.next() % 1_300));
                    fleet.kill_one(&mut other);
                    kills += 1;
                }
                kills
            });
            // Also when a check fails: the killer would go on for ever.
            let _over = Over(&over);
            let ids: Vec<String> = (0..jobs).map(|_| self.create(&callback)).collect();
            let created = Instant::now();
            for id in &ids {
                let job = self.ended(id);
                assert_eq!((job["status"].as_str(), &job["results"]), (Some("completed"), &expected), "{job}");
                assert!(created.elapsed() < LIMIT, "still not at the end: {id}");
            }
            over.store(true, Ordering::Relaxed);
            (killer.join().unwrap(), ids)
        });
        self.check_told(&ids, &expected);
        self.fleet.wait_until_idle(&self.key);
        format!(
            "{jobs} jobs ended in {:.0} s, {kills} kills, {} callbacks",
            began.elapsed().as_secs_f64(),
            self.hook.told().len()
        )
    }

    /// Every job was told of: begun, then completed with its results, signed; repeated perhaps, but never otherwise.
    fn check_told(&self, ids: &[String], expected: &Value) {
        let began = Instant::now();
        loop {
            let mut events: BTreeMap<String, Vec<String>> = BTreeMap::new();
            for told in self.hook.told() {
                assert!(told.signed, "{}", told.body);
                let id = told.body["id"].as_str().unwrap().to_owned();
                let event = told.body["event"].as_str().unwrap().trim_start_matches("recognitions.").to_owned();
                if event == "completed_with_results" {
                    assert_eq!(&told.body["results"], expected);
                }
                assert_eq!(told.body["user_token"], "t");
                let events = events.entry(id).or_default();
                // The same again means that who sent it was killed before it could note that it had.
                if events.last() != Some(&event) {
                    events.push(event);
                }
            }
            let whole = ["started".to_owned(), "completed_with_results".to_owned()];
            let missing: Vec<&String> =
                ids.iter().filter(|id| events.get(*id).is_none_or(|events| *events != whole)).collect();
            if missing.is_empty() {
                return;
            }
            for id in &missing {
                let so_far = events.get(*id).map_or(&[][..], |events| &events[..]);
                assert!(whole.starts_with(so_far), "{id}: {so_far:?}");
            }
            assert!(began.elapsed() < LIMIT, "not told of: {missing:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn create(&self, query: &str) -> String {
        let headers = ["-H", "Content-Type: audio/wav", "-H", "X-Watson-Metadata: customer_id=c", "--data-binary"];
        let answer = self.fleet.ask(
            &self.key,
            &[&headers[..], &[&self.recording]].concat(),
            &format!("/v1/recognitions{query}"),
        );
        answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    fn ended(&self, id: &str) -> Value {
        let began = Instant::now();
        loop {
            let job = self.fleet.ask(&self.key, &[], &format!("/v1/recognitions/{id}"));
            match job["status"].as_str() {
                Some("completed" | "failed") => return job,
                _ => assert!(began.elapsed() < LIMIT, "{job}\n{}", self.fleet.logs()),
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}
