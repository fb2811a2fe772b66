//! What a job costs beside its recognition, and what a large upload takes of memory.

use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Failure;
use crate::live::megabytes;
use crate::recordings::{RATE, Recordings};
use crate::server::Server;

/// Bytes of the large upload that are sent at a time.
const PIECE: usize = 1 << 16;
/// How long a job may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Jobs one after another, each beside the same recording recognised at once. Medians, milliseconds.
#[derive(Serialize)]
pub struct Overhead {
    jobs: usize,
    at_once: f64,
    /// From the request for a job to its results.
    from_request: f64,
    /// From the row of a job to its results.
    from_creation: f64,
    /// The answer to its creation.
    creation: f64,
}

/// One upload of many bytes.
#[derive(Serialize)]
pub struct Upload {
    bytes: u64,
    before: u64,
    peak: u64,
    seconds: f64,
}

/// A whole answer: status and body.
pub async fn request(server: &Server, head: &str, body: &[u8]) -> Result<(u16, Value), Failure> {
    let mut stream = TcpStream::connect(&server.address).await?;
    let head = format!("{head} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Length: {}\r\n", body.len());
    let kind = format!("Content-Type: audio/l16;rate={RATE};endianness=little-endian\r\n\r\n");
    stream.write_all(format!("{head}{kind}").as_bytes()).await?;
    stream.write_all(body).await?;
    answer(&mut stream).await
}

async fn answer(stream: &mut TcpStream) -> Result<(u16, Value), Failure> {
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or("the server closed the connection")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    // Without keep-alive spaces the object is all of the body, in one chunk or none.
    let object = body.find('{').zip(body.rfind('}')).map_or("null", |(from, to)| &body[from..=to]);
    Ok((status, serde_json::from_str(object)?))
}

/// Milliseconds of a timestamp since the beginning of its day.
fn milliseconds(timestamp: &Value) -> Option<f64> {
    let time = timestamp.as_str()?.split_once('T')?.1.trim_end_matches('Z');
    let mut parts = time.split(':').map(|part| part.parse::<f64>().ok());
    Some(((parts.next()?? * 60.0 + parts.next()??) * 60.0 + parts.next()??) * 1_000.0)
}

pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Recognises the same seconds of speech at once and as a job, in turn.
pub async fn overhead(server: &Server, recordings: &Recordings, jobs: usize) -> Result<Overhead, Failure> {
    let speech = &recordings.speakers[0];
    let (mut at_once, mut from_creation, mut creation) = (Vec::new(), Vec::new(), Vec::new());
    let mut from_request = Vec::new();
    for number in 0..=jobs {
        let began = Instant::now();
        let (status, _) = request(server, "POST /v1/recognize", speech).await?;
        let took = began.elapsed();
        let asked = since_midnight();
        let began = Instant::now();
        let (created, job) = request(server, "POST /v1/recognitions", speech).await?;
        let answered = began.elapsed();
        if (status, created) != (200, 201) {
            return Err(format!("answered {status} and {created}: {job}").into());
        }
        let ended = wait(server, job["id"].as_str().unwrap_or_default()).await?;
        let times = milliseconds(&ended["updated"]).zip(milliseconds(&ended["created"]));
        let (updated, row) = times.ok_or("a job without times")?;
        // The first is for whatever happens once; midnight comes between few.
        if number > 0 && updated >= row && row >= asked - 1.0 {
            // The server's clock is this machine's.
            from_request.push(updated - asked);
            at_once.push(took.as_secs_f64() * 1_000.0);
            from_creation.push(updated - row);
            creation.push(answered.as_secs_f64() * 1_000.0);
        }
    }
    let jobs = at_once.len();
    let [at_once, from_request] = [at_once, from_request].map(median);
    Ok(Overhead { jobs, at_once, from_request, from_creation: median(from_creation), creation: median(creation) })
}

/// Milliseconds since the beginning of the day.
fn since_midnight() -> f64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    now.as_secs_f64() % 86_400.0 * 1_000.0
}

async fn wait(server: &Server, id: &str) -> Result<Value, Failure> {
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let (_, job) = request(server, &format!("GET /v1/recognitions/{id}"), &[]).await?;
        match job["status"].as_str() {
            Some("completed") => return Ok(job),
            Some("waiting" | "processing") => tokio::time::sleep(Duration::from_millis(20)).await,
            _ => return Err(format!("a job came to {job}").into()),
        }
    }
    Err("a job did not end within a minute".into())
}

/// Sends so many bytes as the audio of one job, which is not recognised.
pub async fn upload(server: &Server, bytes: u64) -> Result<Upload, Failure> {
    let before = server.memory();
    let began = Instant::now();
    let mut stream = TcpStream::connect(&server.address).await?;
    let head = format!(
        "POST /v1/recognitions HTTP/1.1\r\nHost: bench\r\nConnection: close\r\nContent-Length: {bytes}\r\n\
         Content-Type: audio/l16;rate={RATE};endianness=little-endian\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    // Different blobs each time: a backup has each content once.
    let mut random = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64 | 1;
    let (mut piece, mut left, mut peak) = (vec![0_u8; PIECE], bytes, before);
    while left > 0 {
        let next = left.min(PIECE as u64) as usize;
        for bytes in piece.chunks_exact_mut(8) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            bytes.copy_from_slice(&random.to_le_bytes());
        }
        stream.write_all(&piece[..next]).await?;
        left -= next as u64;
        if left % (1 << 20) == 0 {
            peak = peak.max(server.memory());
        }
    }
    let (status, job) = answer(&mut stream).await?;
    if status != 201 {
        return Err(format!("the upload was answered {status}: {job}").into());
    }
    peak = peak.max(server.memory());
    Ok(Upload { bytes, before, peak, seconds: began.elapsed().as_secs_f64() })
}

impl Overhead {
    /// Rows of a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let Overhead { jobs, at_once, from_request, from_creation, creation } = self;
        let what = |text: &str| format!("{text}, median of {jobs}");
        vec![
            (
                what("job: from the request to its results, less the recognition at once"),
                format!("{:+.1} ms", from_request - at_once),
            ),
            (what("job: from the request to its results"), format!("{from_request:.1} ms")),
            (what("job: from its row to its results"), format!("{from_creation:.1} ms")),
            (what("the same recording recognised at once"), format!("{at_once:.1} ms")),
            (what("job: answer to its creation"), format!("{creation:.1} ms")),
        ]
    }
}

impl Upload {
    /// A row of a table.
    pub fn row(&self) -> (String, String) {
        let [size, before, peak] = [self.bytes, self.before, self.peak].map(megabytes);
        let what = format!("upload of {size:.0} MB as a job: memory before, at the peak, growth; time");
        (what, format!("{before:.0} MB, {peak:.0} MB, {:.0} MB; {:.1} s", peak - before, self.seconds))
    }
}
