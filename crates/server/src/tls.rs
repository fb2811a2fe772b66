//! Certificates: read from files, checked before they are used, and replaced when the files are.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Longest certificate or key file that is read, bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// Where the certificate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file with the server's certificate, followed by those that lead to its authority.
    pub certificates: PathBuf,
    /// PEM file with its private key: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub key: PathBuf,
}

/// Why a certificate cannot be used. Each message names the file and says what should be in it.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file could not be read.
    #[error("cannot read the {what} file {path}: {source}", path = path.display())]
    Read {
        /// Which of the two.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file has something else in it.
    #[error("{path} has no {what} in it: {problem}", path = path.display())]
    Content {
        /// What was looked for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What was found.
        problem: String,
    },
    /// The key belongs to another certificate.
    #[error(
        "the private key {key} does not belong to the certificate {certificates}; name the two files that were issued together",
        key = key.display(), certificates = certificates.display()
    )]
    Mismatch {
        /// The file of the certificate.
        certificates: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// The self-signed certificate could not be made or kept.
    #[error("cannot keep a self-signed certificate in {directory}: {problem}", directory = directory.display())]
    SelfSigned {
        /// Where it was to be kept.
        directory: PathBuf,
        /// Why.
        problem: String,
    },
    /// The cryptographic library does not do what is asked of it.
    #[error("TLS cannot be set up: {0}")]
    Setup(#[from] rustls::Error),
}

/// TLS with a certificate that may be replaced. Clones share it.
#[derive(Clone)]
pub struct Tls {
    files: Arc<TlsFiles>,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    acceptor: TlsAcceptor,
}

/// The certificate that the next handshake gets.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read()))
    }
}

impl Tls {
    /// Reads and checks the files.
    pub fn load(files: TlsFiles) -> Result<Tls, TlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let current = Arc::new(Current(RwLock::new(read(&files, &provider)?)));
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Ok(Tls { files: Arc::new(files), provider, current, acceptor })
    }

    /// The files it was read from.
    pub fn files(&self) -> &TlsFiles {
        &self.files
    }

    /// Reads the files again. New connections get the certificate that is in them now; when it cannot be used they go on
    /// getting the one before.
    pub fn reload(&self) -> Result<(), TlsError> {
        let fresh = read(&self.files, &self.provider)?;
        *self.current.0.write() = fresh;
        Ok(())
    }

    /// Reloads whenever the files have changed, looking `every` so often. Never returns. What cannot be used is said in the
    /// log, once for each change.
    pub async fn follow(&self, every: Duration) {
        let mut seen = self.stamps();
        loop {
            tokio::time::sleep(every).await;
            let now = self.stamps();
            if now != seen {
                seen = now;
                self.reload_and_say();
            }
        }
    }

    /// [`Tls::reload`] with its outcome in the log.
    pub fn reload_and_say(&self) {
        match self.reload() {
            Ok(()) => tracing::info!("certificate reloaded"),
            Err(error) => tracing::error!(%error, "certificate not reloaded; the one before stays in use"),
        }
    }

    /// What tells one state of the files from another: modification time, length and, where links are swapped, the file.
    fn stamps(&self) -> [Option<(std::time::SystemTime, u64, u64)>; 2] {
        [&self.files.certificates, &self.files.key].map(|path| {
            use std::os::unix::fs::MetadataExt;
            let metadata = std::fs::metadata(path).ok()?;
            Some((metadata.modified().ok()?, metadata.len(), metadata.ino()))
        })
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<Arc<CertifiedKey>, TlsError> {
    const CERTIFICATE: &str = "certificate";
    const KEY: &str = "private key";
    let (path, key_path) = (&files.certificates, &files.key);
    let no = |what, path: &Path, problem: String| TlsError::Content { what, path: path.to_owned(), problem };

    let text = read_bounded(path, CERTIFICATE)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| no(CERTIFICATE, path, pem_problem(&error)))?;
    if chain.is_empty() {
        return Err(no(CERTIFICATE, path, pem_problem(&pem::Error::NoItemsFound)));
    }
    let text = read_bounded(key_path, KEY)?;
    let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| no(KEY, key_path, pem_problem(&error)))?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|error| no(KEY, key_path, format!("{error} (RSA, ECDSA and Ed25519 keys can be used)")))?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        Ok(()) => Ok(Arc::new(certified)),
        Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)) => {
            Err(TlsError::Mismatch { certificates: path.clone(), key: key_path.clone() })
        }
        Err(error) => Err(no(CERTIFICATE, path, error.to_string())),
    }
}

fn read_bounded(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { what, path: path.to_owned(), source };
    let mut text = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(LONGEST_FILE).read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

fn pem_problem(error: &pem::Error) -> String {
    match error {
        pem::Error::NoItemsFound => "it should be a PEM file, with a \"-----BEGIN ...-----\" line".to_owned(),
        error => error.to_string(),
    }
}
