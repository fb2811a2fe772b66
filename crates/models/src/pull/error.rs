//! What can go wrong between a name and an installed package.

use std::path::PathBuf;

/// A package could not be fetched, unpacked, installed or removed.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// What was asked for is none of the forms that are understood.
    #[error(
        "\"{0}\" is neither a published model (\"dictum models list --available\"), nor a URL, nor hf:OWNER/REPOSITORY"
    )]
    Unknown(String),
    /// A URL or a name that cannot be right.
    #[error("{what}: {problem}")]
    Malformed {
        /// What was given.
        what: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The way there is not encrypted.
    #[error(
        "{url} is not fetched: what comes over plain HTTP may have been changed on the way. Use https, or --insecure-http where you trust the network"
    )]
    Insecure {
        /// The URL, possibly after redirects.
        url: String,
    },
    /// The server sends from one address to the next without an end.
    #[error("{url}: more than {most} redirects")]
    Redirects {
        /// The URL at which it began.
        url: String,
        /// How many are followed.
        most: usize,
    },
    /// The server answered, but not with the file.
    #[error("{url}: the server answered {status}{hint}")]
    Refused {
        /// The URL.
        url: String,
        /// The status, in words.
        status: String,
        /// What may help, with a separator before it.
        hint: &'static str,
    },
    /// The connection failed again and again.
    #[error("{url}: {reason}. What has come so far is kept; the same command goes on from there")]
    Broken {
        /// The URL.
        url: String,
        /// The last reason.
        reason: String,
    },
    /// The file is larger than anything that is fetched.
    #[error("{url}: {bytes} bytes are more than the {most} that are fetched at most")]
    TooLarge {
        /// The URL.
        url: String,
        /// Length, announced or received.
        bytes: u64,
        /// Most that is fetched.
        most: u64,
    },
    /// The file is not the one it should be.
    #[error("{url}: the file is not the one that {known_by}: its SHA-256 is {found}, and should be {wanted}{hint}")]
    Checksum {
        /// The URL.
        url: String,
        /// Who says what it should be.
        known_by: &'static str,
        /// What came.
        found: String,
        /// What was wanted.
        wanted: String,
        /// What to do, with a separator before it.
        hint: &'static str,
    },
    /// The archive is damaged or hostile.
    #[error("the archive is not unpacked: {problem}")]
    Archive {
        /// Which entry, and why.
        problem: String,
    },
    /// The answer of the hub is not understood.
    #[error("{url}: {problem}")]
    Hub {
        /// What was asked.
        url: String,
        /// What is wrong with the answer.
        problem: String,
    },
    /// What came is no package.
    #[error("what was fetched is no model package: {problem}")]
    NotAPackage {
        /// What is missing.
        problem: String,
    },
    /// Nobody said which language the model hears.
    #[error("{0} does not say which language it hears: add --language, for example --language en-US")]
    NoLanguage(String),
    /// A package of that name is there already, and was not pulled.
    #[error("{path} is there already and was not pulled by this program; move it away, or choose another --name", path = .0.display())]
    Taken(PathBuf),
    /// There is no such pulled package.
    #[error("no package \"{name}\" was pulled{pulled}")]
    NotPulled {
        /// The name.
        name: String,
        /// Those that were, with a separator before them.
        pulled: String,
    },
    /// Another process is at the same package.
    #[error("\"{0}\" is being pulled or removed by another process")]
    Busy(String),
    /// A file or directory could not be read or written.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    File {
        /// What was tried.
        action: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The HTTP client could not be made.
    #[error("cannot set up the HTTP client: {0}")]
    Client(String),
}

impl PullError {
    /// For `map_err` on file operations.
    pub(super) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(std::io::Error) -> PullError {
        let path = path.to_owned();
        move |source| PullError::File { action, path, source }
    }
}
