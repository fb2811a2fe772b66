//! A server of our own: started, watched and ended.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use crate::Failure;

/// A running server. It ends with this.
pub struct Server {
    process: Child,
    data: tempfile::TempDir,
    /// Where it listens.
    pub address: String,
}

impl Server {
    /// Starts `dictum serve` on a free port with room for so many sessions, and waits until its models are loaded.
    pub async fn start(dictum: &Path, sessions: usize) -> Result<Server, Failure> {
        Server::start_with(dictum, sessions, &[]).await
    }

    /// The same with more arguments.
    pub async fn start_with(dictum: &Path, sessions: usize, arguments: &[&str]) -> Result<Server, Failure> {
        let data = tempfile::tempdir()?;
        let mut process = Command::new(dictum)
            .args(["serve", "--no-auth", "--listen", "127.0.0.1:0", "--data"])
            .arg(data.path())
            .args(arguments)
            .env("DICTUM_SERVER_SESSIONS", sessions.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", dictum.display()))?;
        let mut lines = BufReader::new(process.stdout.take().ok_or("the server has no output")?).lines();
        let line = lines.next_line().await?.ok_or("the server ended at once; start it by hand to see why")?;
        let address = line.rsplit("://").next().unwrap_or_default().trim().to_owned();
        let server = Server { process, data, address };
        while !server.is_ready().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(server)
    }

    /// Where it keeps what it keeps.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    async fn is_ready(&self) -> bool {
        let asked = async {
            let mut stream = TcpStream::connect(&self.address).await?;
            stream.write_all(b"GET /health/ready HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n").await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.map(|_| answer)
        };
        asked.await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
    }

    fn proc(&self, file: &str) -> String {
        let id = self.process.id().unwrap_or_default();
        std::fs::read_to_string(format!("/proc/{id}/{file}")).unwrap_or_default()
    }

    /// Resident memory, bytes.
    pub fn memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kilobytes.unwrap_or_default() * 1024
    }

    /// CPU time used so far, seconds.
    pub fn cpu(&self) -> f64 {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        // Linux counts in hundredths of a second whatever the kernel's own tick is.
        (ticks(11) + ticks(12)) / 100.0
    }
}
