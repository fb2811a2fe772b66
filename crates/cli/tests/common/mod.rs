//! What the end-to-end tests share: the binary, a server, speech, and curl.
#![allow(dead_code)] // each test program uses its part

pub mod installed;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

pub const DICTUM: &str = env!("CARGO_BIN_EXE_dictum");

pub fn model_directory() -> PathBuf {
    std::env::var_os("DICTUM_MODEL_DIR").map_or("/usr/share/pocketsphinx/model/en-us".into(), PathBuf::from)
}

pub fn shared_audio() -> PathBuf {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/audio");
    std::env::var_os("DICTUM_SHARED_AUDIO").map_or(beside, PathBuf::from)
}

/// As a tool to [`can_run`]: any speech synthesiser.
pub const SPEECH: &str = "a speech synthesiser (flite or espeak-ng)";

pub fn found(tool: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(tool).is_file())
}

/// Whether model and tools are there; says by name what is skipped when they are not.
pub fn can_run(test: &str, tools: &[&str]) -> bool {
    let missing = |tool: &&&str| match **tool {
        SPEECH => !found("flite") && !found("espeak-ng"),
        tool => !found(tool),
    };
    let missing_tool = tools.iter().find(missing).map(|tool| format!("{tool} is not installed"));
    let missing_model =
        (!model_directory().exists()).then(|| "the model pocketsphinx-en-us is not installed".to_owned());
    match missing_tool.or(missing_model) {
        Some(reason) => {
            println!("skipped: {test}: {reason}");
            false
        }
        None => true,
    }
}

/// Runs dictum to its end, away from the configuration of whoever runs the tests.
pub fn dictum(arguments: &[&str]) -> Output {
    command().args(arguments).stdin(Stdio::null()).output().unwrap()
}

pub fn command() -> Command {
    let mut command = Command::new(DICTUM);
    let ours = std::env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("DICTUM_"));
    for name in ours.filter(|name| name != "DICTUM_MODEL_DIR") {
        command.env_remove(name);
    }
    command
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Speaks `text` into `name` in `directory` as WAV, with flite (16 kHz) or else espeak-ng (22.05 kHz).
pub fn speak(directory: &Path, name: &str, text: &str) -> PathBuf {
    let path = directory.join(name);
    let mut synthesiser = match found("flite") {
        true => Command::new("flite"),
        false => Command::new("espeak-ng"),
    };
    match found("flite") {
        true => synthesiser.args(["-voice", "rms", "-t", text, "-o"]).arg(&path),
        false => synthesiser.args(["-v", "en-us+f2", "-s", "140", "-w"]).arg(&path).arg(text),
    };
    assert!(synthesiser.status().unwrap().success());
    path
}

/// How many of the words of `said` occur in `heard` in order, as a fraction. Synthetic speech is not what the model was made
/// for, so end-to-end tests ask only that most of it arrives.
pub fn fraction_heard(said: &str, heard: &str) -> f64 {
    let said: Vec<&str> = said.split_whitespace().collect();
    let heard: Vec<&str> = heard.split_whitespace().collect();
    let mut longest = vec![vec![0; heard.len() + 1]; said.len() + 1];
    for (i, a) in said.iter().enumerate() {
        for (j, b) in heard.iter().enumerate() {
            longest[i + 1][j + 1] = if a == b { longest[i][j] + 1 } else { longest[i][j + 1].max(longest[i + 1][j]) };
        }
    }
    longest[said.len()][heard.len()] as f64 / said.len() as f64
}

/// A running server; stopped when dropped.
pub struct Server {
    child: Child,
    pub url: String,
    /// From starting the process to the address on standard output, and to readiness.
    pub listening_after: Duration,
    pub ready_after: Duration,
    data: Option<TempDir>,
    authority: PathBuf,
}

impl Server {
    /// A server that serves everybody: most tests are not about credentials.
    pub fn start() -> Server {
        Server::start_with(&["--no-auth"])
    }

    pub fn start_with(arguments: &[&str]) -> Server {
        Server::start_on(tempfile::tempdir().unwrap(), arguments)
    }

    /// A server with its data in `data/data`.
    pub fn start_on(data: TempDir, arguments: &[&str]) -> Server {
        Server::launch(data, arguments, None)
    }

    /// A server whose certificate this authority vouches for.
    pub fn start_trusting(authority: &Path, arguments: &[&str]) -> Server {
        Server::launch(tempfile::tempdir().unwrap(), arguments, Some(authority.to_owned()))
    }

    fn launch(data: TempDir, arguments: &[&str], authority: Option<PathBuf>) -> Server {
        let began = Instant::now();
        let mut child = command()
            .args(["serve", "--data"])
            .arg(data.path().join("data"))
            .args(["--listen", "127.0.0.1:0"].iter().filter(|_| !arguments.contains(&"--listen")))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::from(std::fs::File::create(data.path().join("log")).unwrap()))
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listening_after = began.elapsed();
        let url = line.trim().strip_prefix("listening on ").unwrap_or_else(|| panic!("printed {line:?}")).to_owned();
        let authority = authority.unwrap_or_else(|| data.path().join("data/tls/self-signed.crt"));
        let mut server =
            Server { child, url, listening_after, ready_after: Duration::ZERO, data: Some(data), authority };
        while server.curl(&["/health/ready"]).status != 200 {
            assert!(began.elapsed() < Duration::from_secs(60), "not ready after a minute: {}", server.log());
            std::thread::sleep(Duration::from_millis(20));
        }
        server.ready_after = began.elapsed();
        server
    }

    /// Whom clients must trust: as a rule the certificate that the server has made for itself.
    pub fn authority(&self) -> PathBuf {
        self.authority.clone()
    }

    /// The data directory.
    pub fn data(&self) -> String {
        self.directory().join("data").display().to_string()
    }

    fn directory(&self) -> &Path {
        self.data.as_ref().unwrap().path()
    }

    /// What [`Server::start_on`] takes, for another server after this one.
    pub fn into_directory(mut self) -> TempDir {
        self.data.take().unwrap()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory().join("log")).unwrap()
    }

    /// curl with these arguments, of which the one that begins with `/` is the path.
    pub fn curl(&self, arguments: &[&str]) -> Answer {
        Answer::from(self.curl_command(arguments).output().unwrap())
    }

    pub fn curl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "120", "-w", "\n%{http_code}"]);
        if self.url.starts_with("https:") {
            command.arg("--cacert").arg(self.authority());
        }
        for argument in arguments {
            match ["/health", "/v1", "/identity"].iter().any(|path| argument.starts_with(path)) {
                true => command.arg(format!("{}{argument}", self.url)),
                false => command.arg(argument),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Posts a file to /v1/recognize.
    pub fn recognize(&self, file: &Path, content_type: &str, query: &str) -> Answer {
        let (header, data) = (format!("Content-Type: {content_type}"), format!("@{}", file.display()));
        self.curl(&["-X", "POST", "-H", &header, "--data-binary", &data, &format!("/v1/recognize{query}")])
    }

    /// Resident memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for the process to end.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

impl Answer {
    pub fn from(output: Output) -> Answer {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
        Answer { status: status.parse().unwrap_or(0), body: body.to_owned() + stderr(&output).trim() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// All transcripts of a recognition answer.
    pub fn transcript(&self) -> String {
        assert_eq!(self.status, 200, "{}", self.body);
        let json = self.json();
        let results = json["results"].as_array().unwrap().iter();
        results.map(|result| result["alternatives"][0]["transcript"].as_str().unwrap()).collect()
    }
}

/// Reads everything a child still writes.
pub fn drain(child: Child) -> Output {
    let mut child = child;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    if let Some(mut pipe) = child.stdout.take() {
        pipe.read_to_end(&mut out).unwrap();
    }
    if let Some(mut pipe) = child.stderr.take() {
        pipe.read_to_end(&mut err).unwrap();
    }
    Output { status: child.wait().unwrap(), stdout: out, stderr: err }
}
