//! What the clients are given: servers, keys, recordings and what a plain request makes of them. They find it in a JSON document
//! that the environment variable `INTEROP_MATERIAL` names.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::common::{Server, dictum, found, fraction_heard, shared_audio, speak, stderr, stdout};

const FIRST: &str = "we will go to the city on monday and come back on friday";
const SECOND: &str = "the train will leave at seven in the morning";

/// Two servers, one that asks for credentials and one that does not, and the document.
pub struct Material {
    work: TempDir,
    server: Server,
    open: Server,
}

impl Material {
    /// With arguments of their own for the server that asks for credentials and for the open one.
    pub fn new(arguments: &[&str], open: &[&str]) -> Material {
        // The callback servers of the tests are on this machine.
        let arguments = [arguments, &["--set", "callbacks.allow=127.0.0.1"]].concat();
        let material = Material {
            work: tempfile::tempdir().unwrap(),
            server: Server::start_with(&arguments),
            open: Server::start_with(&[&["--no-auth"], open].concat()),
        };
        let (key, revoked) = (material.key(), material.key());
        let revoke = dictum(&["keys", "revoke", &revoked, "--data", &material.server.data()]);
        assert!(revoke.status.success(), "{}", stderr(&revoke));
        let document = json!({
            "url": material.server.url,
            "open_url": material.open.url,
            "authority": material.server.authority(),
            "key": key,
            "revoked_key": revoked,
            "said": FIRST,
            "recordings": material.recordings(),
        });
        std::fs::write(material.document(), document.to_string()).unwrap();
        material
    }

    fn document(&self) -> PathBuf {
        self.work.path().join("material.json")
    }

    fn key(&self) -> String {
        let output = dictum(&["keys", "create", "--data", &self.server.data()]);
        assert!(output.status.success(), "{}", stderr(&output));
        stdout(&output).trim().to_owned()
    }

    /// By name: where it is, and the transcripts that a plain request gets for it.
    fn recordings(&self) -> Map<String, Value> {
        let mut recordings = Map::new();
        for (name, path) in self.files() {
            let answer = self.open.recognize(&path, "application/octet-stream", "").json();
            let results = answer["results"].as_array().unwrap_or_else(|| panic!("{name}: {answer}"));
            let transcripts: Vec<&Value> =
                results.iter().map(|result| &result["alternatives"][0]["transcript"]).collect();
            recordings.insert(name.to_owned(), json!({ "path": path, "transcripts": transcripts }));
        }
        // What everything is compared with has to be worth it.
        let heard = recordings["wav"]["transcripts"][0].as_str().unwrap();
        assert!(fraction_heard(FIRST, heard) >= 0.6, "{heard}");
        assert_eq!(recordings["pauses"]["transcripts"].as_array().unwrap().len(), 2, "{recordings:?}");
        assert_eq!(recordings["silence"]["transcripts"], json!([]));
        recordings
    }

    fn files(&self) -> Vec<(&'static str, PathBuf)> {
        let directory = self.work.path();
        let first = Samples::read(&speak(directory, "first.wav", FIRST));
        let second = Samples::read(&speak(directory, "second.wav", SECOND));
        let (silence, pause) = (first.silence(4.0), first.silence(1.5));
        let mut files = vec![
            ("wav", first.write(directory, "speech.wav")),
            ("pauses", first.then(&pause).then(&second).then(&pause).write(directory, "pauses.wav")),
            ("silence", silence.write(directory, "silence.wav")),
            ("microphone", pause.then(&first).then(&pause).then(&pause).write(directory, "microphone.wav")),
        ];
        for (name, codec) in [("flac", "flac"), ("ogg", "libopus"), ("mp3", "libmp3lame"), ("webm", "libopus")] {
            files.extend(convert(&files[0].1, name, codec).map(|path| (name, path)));
        }
        files.extend(person().map(|path| ("person", path)));
        files
    }

    /// Runs a client to its end, which must come within `limit` and be a good one, and prints how much it did and
    /// what it skipped, or else all it said.
    pub fn run(&self, mut command: Command, limit: Duration) {
        let log = self.work.path().join("client.log");
        let output = std::fs::File::create(&log).unwrap();
        command.env("INTEROP_MATERIAL", self.document()).env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let began = Instant::now();
        let mut child = command.spawn().unwrap();
        let status = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if began.elapsed() > limit => {
                    let _ = child.kill();
                    let _ = child.wait();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(50)),
            }
        };
        let said = std::fs::read_to_string(&log).unwrap_or_default();
        let good = status.is_some_and(|status| status.success());
        if !good {
            let how = status.map_or(format!("not at its end after {limit:?}"), |status| status.to_string());
            panic!("{how}\n{said}\n{}", self.server.log());
        }
        assert!(tests_run(&said) > 0, "no test was run: {said}");
        let told = |line: &&str| COUNTS.iter().any(|count| line.starts_with(count)) || line.contains("skip");
        said.lines().filter(told).for_each(|line| println!("{line}"));
    }
}

/// How Python and Node begin the line with the number of tests.
const COUNTS: [&str; 2] = ["Ran ", "ℹ tests "];

fn tests_run(said: &str) -> u32 {
    let counted = said.lines().find_map(|line| COUNTS.iter().find_map(|count| line.strip_prefix(count)));
    counted.and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// The same in another format, when there is ffmpeg and it can write that.
fn convert(wav: &Path, extension: &str, codec: &str) -> Option<PathBuf> {
    let path = wav.with_extension(extension);
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-y", "-i"]).arg(wav).args(["-c:a", codec]).arg(&path);
    let done = found("ffmpeg") && command.stdin(Stdio::null()).output().unwrap().status.success();
    if !done {
        println!("skipped: {extension}: no ffmpeg that writes it");
    }
    done.then_some(path)
}

/// A recorded person, when there are recordings.
fn person() -> Option<PathBuf> {
    let clips = std::fs::read_dir(shared_audio().join("en/arctic_kathleen")).ok()?;
    clips
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|e| e == "flac"))
        .min()
}

/// Sound of one channel, 16 bits.
struct Samples {
    rate: u32,
    samples: Vec<u8>,
}

impl Samples {
    /// From a WAV file of a synthesiser: a header of 44 bytes, then nothing but samples.
    fn read(path: &Path) -> Samples {
        let file = std::fs::read(path).unwrap();
        assert!(&file[..4] == b"RIFF" && &file[36..40] == b"data", "an unusual WAV file: {path:?}");
        let rate = u32::from_le_bytes(file[24..28].try_into().unwrap());
        Samples { rate, samples: file[44..].to_vec() }
    }

    fn silence(&self, seconds: f64) -> Samples {
        Samples { rate: self.rate, samples: vec![0; 2 * (f64::from(self.rate) * seconds) as usize] }
    }

    fn then(&self, next: &Samples) -> Samples {
        Samples { rate: self.rate, samples: [&self.samples[..], &next.samples].concat() }
    }

    fn write(&self, directory: &Path, name: &str) -> PathBuf {
        let length = self.samples.len() as u32;
        let mut file = Vec::with_capacity(44 + self.samples.len());
        file.extend(b"RIFF");
        file.extend((36 + length).to_le_bytes());
        file.extend(b"WAVEfmt ");
        file.extend(16u32.to_le_bytes());
        for field in [1u16, 1] {
            file.extend(field.to_le_bytes());
        }
        file.extend(self.rate.to_le_bytes());
        file.extend((2 * self.rate).to_le_bytes());
        for field in [2u16, 16] {
            file.extend(field.to_le_bytes());
        }
        file.extend(b"data");
        file.extend(length.to_le_bytes());
        file.extend(&self.samples);
        let path = directory.join(name);
        std::fs::write(&path, file).unwrap();
        path
    }
}
