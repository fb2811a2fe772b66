//! Several processes of one installation.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::{Answer, command};

/// How soon a request must succeed somewhere.
const PATIENCE: Duration = Duration::from_secs(60);

/// Numbers that look random and are the same for the same seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }
}

/// A process, which is replaced when it is killed.
struct Member {
    child: Child,
    /// Of a server.
    url: Option<String>,
}

pub struct Fleet {
    work: PathBuf,
    arguments: Vec<String>,
    members: Vec<Mutex<Member>>,
    servers: usize,
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for member in &self.members {
            let mut member = member.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let _ = member.child.kill();
            let _ = member.child.wait();
        }
    }
}

impl Fleet {
    /// So many servers and workers on the store of these arguments.
    pub fn start(work: &Path, arguments: &[String], servers: usize, workers: usize) -> Fleet {
        let mut fleet = Fleet { work: work.to_owned(), arguments: arguments.to_vec(), members: Vec::new(), servers };
        for number in 0..servers + workers {
            let member = fleet.launch(number);
            fleet.members.push(Mutex::new(member));
        }
        fleet
    }

    /// Kills a process, whatever it is doing, and starts another in its place.
    pub fn kill_one(&self, random: &mut Random) {
        let number = random.next() as usize % self.members.len();
        let mut member = self.members[number].lock().unwrap();
        member.child.kill().unwrap(); // SIGKILL
        member.child.wait().unwrap();
        *member = self.launch(number);
    }

    /// Kills all processes, then starts others in their places.
    pub fn kill_all(&self) {
        let mut members: Vec<_> = self.members.iter().map(|member| member.lock().unwrap()).collect();
        for member in &mut members {
            member.child.kill().unwrap(); // SIGKILL
            member.child.wait().unwrap();
        }
        for (number, member) in members.iter_mut().enumerate() {
            **member = self.launch(number);
        }
    }

    fn launch(&self, number: usize) -> Member {
        let is_server = number < self.servers;
        let log = std::fs::File::options().create(true).append(true).open(self.log(number)).unwrap();
        let mut program = command();
        match is_server {
            true => program.args(["serve", "--listen", "127.0.0.1:0"]),
            false => program.arg("worker"),
        };
        program.arg("--data").arg(self.work.join("data")).args(&self.arguments);
        // One job at a time in each process, so that there is something left to do for a while; claims that run out soon.
        for setting in ["callbacks.allow=127.0.0.1", "jobs.lease_seconds=3", "jobs.recognitions=1", "server.threads=1"]
        {
            program.args(["--set", setting]);
        }
        let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut url = None;
        if is_server {
            let mut line = String::new();
            BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let text = line.trim().strip_prefix("listening on ");
            url = Some(text.unwrap_or_else(|| panic!("printed {line:?}: {}", self.logs())).to_owned());
        }
        Member { child, url }
    }

    fn log(&self, number: usize) -> PathBuf {
        self.work.join(format!("log-{number}"))
    }

    /// What all processes have said.
    pub fn logs(&self) -> String {
        let logs = (0..self.members.len()).map(|number| std::fs::read_to_string(self.log(number)).unwrap_or_default());
        logs.collect::<Vec<_>>().join("\n----\n")
    }

    /// Asks one server after the other until one answers with success, as a client with a list of them does.
    pub fn ask(&self, key: &str, arguments: &[&str], target: &str) -> Value {
        let answer = self.attempt(key, arguments, target);
        assert!(matches!(answer.status, 200 | 201), "{target} was answered {}: {}", answer.status, answer.body);
        answer.json()
    }

    /// The same until one answers anything but that it cannot now.
    pub fn attempt(&self, key: &str, arguments: &[&str], target: &str) -> Answer {
        let began = Instant::now();
        for attempt in 0.. {
            // A copy of the URL: the server may be killed while it is asked.
            let url = self.members[attempt % self.servers].lock().unwrap().url.clone().unwrap_or_default();
            let mut curl = Command::new("curl");
            curl.args(["-sS", "-m", "20", "-w", "\n%{http_code}", "-u", &format!("apikey:{key}")]).args(arguments);
            let answer = Answer::from(curl.arg(format!("{url}{target}")).stdin(Stdio::null()).output().unwrap());
            // Killed while it answered, or about to be ready.
            if !matches!(answer.status, 0 | 503) {
                return answer;
            }
            assert!(began.elapsed() < PATIENCE, "{target} is not answered: {}\n{}", answer.body, self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
        unreachable!("there is always another attempt");
    }

    /// Waits until nobody has anything to do any more: all are told of everything, also of jobs whose creation was not answered.
    pub fn wait_until_idle(&self, key: &str) {
        let began = Instant::now();
        loop {
            let list = self.ask(key, &[], "/v1/recognitions");
            let open = list["recognitions"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|job| matches!(job["status"].as_str(), Some("waiting" | "processing")));
            match open.count() {
                // The last notifications are on their way.
                0 => break std::thread::sleep(Duration::from_secs(4)),
                open => assert!(began.elapsed() < PATIENCE, "{open} jobs are not at their end"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
