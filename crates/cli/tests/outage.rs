//! A server on PostgreSQL and S3 when one of them goes away in the middle: requests that need it are answered 503, nothing is lost, and
//! service returns by itself. Then a backup while it serves.

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{SPEECH, Server, can_run, dictum, speak, stderr, stdout};
use dictum_testbed::Places;

/// Longest wait for service to return, and for jobs to end.
const PATIENCE: Duration = Duration::from_secs(90);

struct Client<'a> {
    server: &'a Server,
    user: String,
    speech: &'a Path,
}

impl Client<'_> {
    /// Status of an attempt to create a job, and the job's id when that is 201.
    fn create(&self) -> (u16, String) {
        let data = format!("@{}", self.speech.display());
        let audio = ["-H", "Content-Type: audio/wav", "--data-binary", &data, "/v1/recognitions"];
        let answer = self.server.curl(&[&["-u", self.user.as_str()], audio.as_slice()].concat());
        let id = if answer.status == 201 { answer.json()["id"].as_str().unwrap().to_owned() } else { answer.body };
        (answer.status, id)
    }

    fn status_of(&self, path: &str) -> u16 {
        self.server.curl(&["-u", &self.user, path]).status
    }

    /// Creates jobs until one is accepted; what is refused meanwhile is refused with 503.
    fn create_at_last(&self) -> String {
        let began = Instant::now();
        loop {
            match self.create() {
                (201, id) => return id,
                (status, body) => assert!(status == 503 && began.elapsed() < PATIENCE, "{status}: {body}"),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Waits until a job has results.
    fn completed(&self, id: &str) {
        let began = Instant::now();
        loop {
            let answer = self.server.curl(&["-u", &self.user, &format!("/v1/recognitions/{id}")]);
            assert!(began.elapsed() < PATIENCE, "{} {}", answer.status, answer.body);
            match answer.status {
                200 if answer.json()["status"] == "completed" => return,
                200 => assert_ne!(answer.json()["status"], "failed", "{}", answer.body),
                status => assert_eq!(status, 503),
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }
}

#[test]
fn servers_behind_the_server_go_away() {
    let test = "servers_behind_the_server_go_away";
    if !can_run(test, &["curl", SPEECH]) {
        return;
    }
    let Some(places) = Places::private_servers(test) else { return };
    let (postgres, s3) = (places.postgres().unwrap(), places.s3().unwrap());
    let work = tempfile::tempdir().unwrap();
    let speech = speak(work.path(), "speech.wav", "we will go to the city on monday");
    let store = ["--database", &places.database, "--blobs", &places.blobs];
    let key = dictum(&[&["keys", "create"], store.as_slice()].concat());
    assert!(key.status.success(), "{}", stderr(&key));
    let server = Server::start_with(&store);
    let client = Client { server: &server, user: format!("apikey:{}", stdout(&key).trim()), speech: &speech };

    let mut jobs = vec![client.create_at_last()];
    client.completed(&jobs[0]);

    s3.stop();
    let began = Instant::now();
    let (status, body) = client.create();
    assert!(status == 503 && began.elapsed() < Duration::from_secs(30), "{status} after {:?}: {body}", began.elapsed());
    assert!(!body.contains("127.0.0.1"), "what is behind the server is not the client's business: {body}");
    assert_eq!(client.status_of("/v1/recognitions"), 200, "the database is there");
    assert_eq!(client.status_of("/health/ready"), 503);
    s3.start_again();
    jobs.push(client.create_at_last());

    postgres.stop();
    // Keys are believed for some seconds, and then nobody can be let in.
    let began = Instant::now();
    assert_eq!(client.create().0, 503);
    assert_eq!(client.status_of("/v1/recognitions"), 503);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(client.status_of("/health/live"), 200);
    postgres.start_again();
    jobs.push(client.create_at_last());
    for job in &jobs {
        client.completed(job);
    }

    let saved = work.path().join("saved").display().to_string();
    let done = dictum(&[&["backup", &saved], store.as_slice()].concat());
    assert!(done.status.success(), "{}", stderr(&done));
    let copy = work.path().join("copy").display().to_string();
    assert!(dictum(&["restore", &saved, "--data", &copy]).status.success());
    let server = Server::start_with(&[
        "--database",
        &format!("sqlite:{copy}/dictum.db"),
        "--blobs",
        &format!("file:{copy}/blobs"),
    ]);
    let client = Client { server: &server, ..client };
    for job in &jobs {
        client.completed(job);
    }
}
