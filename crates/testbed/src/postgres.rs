//! A PostgreSQL of one's own.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nix::unistd::{Uid, User};
use tempfile::TempDir;

use crate::{POSTGRES_VARIABLE, free_port, new_name};

/// Name and password of the user who owns everything in it.
const OWNER: &str = "dictum";
const PASSWORD: &str = "p@ss/word";
/// The same in a URL.
const ESCAPED: &str = "p%40ss%2Fword";
/// Longest wait for a server to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server. When it is private it can be stopped, and ends with its value or with the process, whichever is first.
pub struct Postgres {
    programs: PathBuf,
    /// Up to the name of the database.
    server: String,
    private: Option<Private>,
}

struct Private {
    directory: TempDir,
    port: u16,
    /// Of the watcher that ends the server when this process is gone.
    process: Mutex<Option<Child>>,
}

impl Postgres {
    /// The server that the environment names, or else a private one. None, and `skipped: TEST: ...` is printed, when PostgreSQL is
    /// not installed.
    pub fn start(test: &str) -> Option<Postgres> {
        let Ok(url) = std::env::var(POSTGRES_VARIABLE) else {
            return Postgres::start_private(test);
        };
        let (server, _) = url.rsplit_once('/').expect("a URL of PostgreSQL with a database");
        Some(Postgres { programs: programs(test)?, server: server.to_owned(), private: None })
    }

    /// A private server, which can be stopped.
    pub fn start_private(test: &str) -> Option<Postgres> {
        let programs = programs(test)?;
        let directory = tempfile::Builder::new().prefix("dictum-postgres").tempdir().expect("a temporary directory");
        let data = directory.path().join("data");
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).expect("a file is written");
        // PostgreSQL refuses to run as root; Debian's package comes with a user for it.
        if let Some(user) = other_user() {
            std::fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).expect("permissions are set");
            for path in [directory.path(), &password] {
                chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("the owner is changed");
            }
        }
        let mut initdb = as_user(&programs.join("initdb"));
        initdb.arg("-D").arg(&data).args(["-U", OWNER, "-A", "scram-sha-256", "--no-sync", "-E", "UTF8", "--locale=C"]);
        let made = initdb.arg(format!("--pwfile={}", password.display())).output().expect("initdb runs");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        let port = free_port();
        let server = format!("postgres://{OWNER}:{ESCAPED}@127.0.0.1:{port}");
        let private = Private { directory, port, process: Mutex::new(None) };
        let postgres = Postgres { programs, server, private: Some(private) };
        postgres.start_again();
        Some(postgres)
    }

    /// URL of a database of this server.
    pub fn url(&self, database: &str) -> String {
        format!("{}/{database}", self.server)
    }

    /// A new, empty database; its URL.
    pub fn new_database(&self) -> String {
        let name = new_name("test");
        self.query(&format!("CREATE DATABASE \"{name}\""));
        self.url(&name)
    }

    /// Carries out a statement in the database `postgres`; what it prints.
    pub fn query(&self, sql: &str) -> String {
        self.query_in(&self.url("postgres"), sql)
    }

    /// Carries out a statement in the database of a URL; what it prints.
    pub fn query_in(&self, url: &str, sql: &str) -> String {
        let mut psql = Command::new(self.programs.join("psql"));
        let done = psql.args([url, "-AtX", "-v", "ON_ERROR_STOP=1", "-c", sql]).output();
        let done = done.expect("psql runs");
        assert!(done.status.success(), "{sql}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    /// Ends the server at once, as a loss of power would: connections break, what was committed is kept.
    pub fn stop(&self) {
        let private = self.private.as_ref().expect("a server of one's own");
        if let Some(mut watcher) = private.process.lock().expect("a lock").take() {
            drop(watcher.stdin.take());
            watcher.wait().expect("the server ends");
        }
    }

    /// Starts a server that was stopped, with what it had, and waits until it answers.
    pub fn start_again(&self) {
        let private = self.private.as_ref().expect("a server of one's own");
        // The shell outlives whatever becomes of this process by as long as it takes to see the end of its input.
        const WATCH: &str = "\"$@\" & server=$!; cat >/dev/null; kill -QUIT $server; wait $server";
        let mut command = as_user(Path::new("/bin/sh"));
        command.args(["-c", WATCH, "sh"]).arg(self.programs.join("postgres"));
        command.arg("-D").arg(private.directory.path().join("data")).args(["-p", &private.port.to_string()]);
        command.args([
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            "-c",
            "max_connections=200",
        ]);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        *private.process.lock().expect("a lock") = Some(command.spawn().expect("postgres starts"));
        let began = Instant::now();
        while !self.answers(private.port) {
            assert!(began.elapsed() < PATIENCE, "PostgreSQL does not start");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn answers(&self, port: u16) -> bool {
        let mut command = Command::new(self.programs.join("pg_isready"));
        let asked = command.args(["-q", "-h", "127.0.0.1", "-p", &port.to_string()]).status();
        asked.is_ok_and(|status| status.success())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if self.private.is_some() {
            self.stop();
        }
    }
}

/// Where the server's programs are: in the path, or where Debian puts them.
fn programs(test: &str) -> Option<PathBuf> {
    let in_path = std::env::var_os("PATH");
    let in_path = in_path.iter().flat_map(std::env::split_paths).map(|path| (0, path));
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.map(|entry| {
        let version = entry.file_name().to_string_lossy().parse().unwrap_or(0);
        (version, entry.path().join("bin"))
    });
    // The links that Debian has in the path lead to programs for clients only.
    let complete =
        |path: &PathBuf| ["initdb", "postgres", "psql", "pg_isready"].iter().all(|name| path.join(name).exists());
    let found =
        in_path.chain(versions).filter(|(_, path)| complete(path)).max_by_key(|(version, _): &(u32, _)| *version);
    if found.is_none() {
        println!("skipped: {test}: PostgreSQL is not installed (Debian's package postgresql)");
    }
    found.map(|(_, path)| path)
}

/// Whom to run it as, when we are root.
fn other_user() -> Option<User> {
    let find = |name| User::from_name(name).ok().flatten();
    Uid::effective()
        .is_root()
        .then(|| find("postgres").or_else(|| find("nobody")).expect("a user to run PostgreSQL as"))
}

fn as_user(program: &Path) -> Command {
    let mut command = match other_user() {
        Some(user) => {
            let mut command = Command::new("setpriv");
            command.args([
                format!("--reuid={}", user.uid),
                format!("--regid={}", user.gid),
                "--clear-groups".to_owned(),
            ]);
            command.arg(program);
            command
        }
        None => Command::new(program),
    };
    // Where we are may be out of bounds for that user.
    command.current_dir("/");
    command
}
