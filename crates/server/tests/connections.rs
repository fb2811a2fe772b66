//! Connections as clients see them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{ConnectInfo, Extension};
use axum::http::uri::Scheme;
use axum::routing::get;
use dictum_server::{Limits, Tls, TlsError, TlsFiles, self_signed, serve};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;

const SECOND: Duration = Duration::from_secs(1);

struct Running {
    address: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

async fn start(tls: Option<Tls>, limits: Limits) -> Running {
    let app = Router::new()
        .route(
            "/who",
            get(|ConnectInfo(peer): ConnectInfo<SocketAddr>, Extension(scheme): Extension<Scheme>| async move {
                format!("{} {scheme}", peer.ip())
            }),
        )
        .route(
            "/slow",
            get(|| async {
                tokio::time::sleep(SECOND).await;
                "at last"
            }),
        );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, tls, app, limits, stop.clone()));
    Running { address, stop, task }
}

fn made(directory: &Path) -> TlsFiles {
    self_signed(directory, Some("stt.example")).unwrap()
}

/// A TLS connection that trusts `authority` alone and offers these protocols.
async fn connect(
    address: SocketAddr,
    authority: &Path,
    name: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(authority).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name.to_owned()).unwrap(), stream).await
}

async fn read_all(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut text = Vec::new();
    // A connection that is reset has been closed too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

const ASK: &[u8] = b"GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn requests_say_where_they_come_from() {
    let directory = tempfile::tempdir().unwrap();
    let files = made(directory.path());
    let plain = start(None, Limits::default()).await;
    let mut stream = TcpStream::connect(plain.address).await.unwrap();
    stream.write_all(ASK).await.unwrap();
    assert!(read_all(&mut stream).await.ends_with("127.0.0.1 http"));

    let encrypted = start(Some(Tls::load(files.clone()).unwrap()), Limits::default()).await;
    for name in ["localhost", "127.0.0.1", "::1", "stt.example"] {
        let mut stream = connect(encrypted.address, &files.certificates, name, &[]).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), None);
        stream.write_all(ASK).await.unwrap();
        assert!(read_all(&mut stream).await.contains("127.0.0.1 https"), "{name}");
    }
    let other = connect(encrypted.address, &files.certificates, "other.example", &[]).await;
    assert!(other.is_err(), "the certificate is not for every name");
}

#[tokio::test]
async fn protocols_are_settled_in_the_handshake() {
    let directory = tempfile::tempdir().unwrap();
    let files = made(directory.path());
    let server = start(Some(Tls::load(files.clone()).unwrap()), Limits::default()).await;
    for (offered, settled) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let stream = connect(server.address, &files.certificates, "localhost", offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(settled.as_bytes()));
    }
}

#[tokio::test]
async fn who_does_not_get_on_is_dropped() {
    let directory = tempfile::tempdir().unwrap();
    let limits = Limits { handshake: SECOND, idle: SECOND };
    let plain = start(None, limits).await;
    let encrypted = start(Some(Tls::load(made(directory.path())).unwrap()), limits).await;
    // Nothing at all; half a head, byte by byte; a request, then nothing.
    for (address, first) in [(plain.address, &b""[..]), (encrypted.address, b""), (plain.address, ASK_AND_STAY)] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(first).await.unwrap();
        let began = Instant::now();
        timeout(5 * SECOND, read_all(&mut stream)).await.expect("closed in time");
        assert!(began.elapsed() > SECOND / 2, "{:?}", began.elapsed());
    }
    let (mut reader, mut writer) = TcpStream::connect(plain.address).await.unwrap().into_split();
    let dripping = tokio::spawn(async move {
        writer.write_all(b"GET /who HTTP/1.1\r\n").await.unwrap();
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(SECOND / 5).await;
        }
    });
    timeout(5 * SECOND, read_all(&mut reader)).await.expect("closed in time");
    dripping.abort();
}

const ASK_AND_STAY: &[u8] = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n";

#[tokio::test]
async fn heads_are_bounded() {
    let server = start(None, Limits::default()).await;
    for head in ["x: ".to_owned() + &"y".repeat(100_000), "x: y\r\n".repeat(200)] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let request = format!("GET /who HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n");
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 431");
    }
}

#[tokio::test]
async fn the_end_waits_for_answers_and_not_for_idle_connections() {
    let server = start(None, Limits::default()).await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(ASK_AND_STAY).await.unwrap();
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    tokio::time::sleep(SECOND / 5).await;
    server.stop.cancel();
    let began = Instant::now();
    read_all(&mut idle).await;
    assert!(began.elapsed() < SECOND / 2, "idle connections are closed at once");
    assert!(read_all(&mut busy).await.ends_with("at last"));
    timeout(SECOND, server.task).await.expect("all are gone").unwrap();
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[tokio::test]
async fn certificates_are_replaced_while_connections_are_served() {
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (files, fresh) = (made(first.path()), made(second.path()));
    let old_authority = first.path().join("old.crt");
    std::fs::copy(&files.certificates, &old_authority).unwrap();
    let tls = Tls::load(files.clone()).unwrap();
    let server = start(Some(tls.clone()), Limits::default()).await;
    let mut long_lived = connect(server.address, &old_authority, "localhost", &[]).await.unwrap();
    let following = tokio::spawn({
        let tls = tls.clone();
        async move { tls.follow(SECOND / 10).await }
    });

    // Half replaced: the key does not belong to the certificate, so the one before stays.
    tokio::time::sleep(SECOND / 5).await;
    std::fs::copy(&fresh.certificates, &files.certificates).unwrap();
    assert!(matches!(tls.reload(), Err(TlsError::Mismatch { .. })));
    tokio::time::sleep(SECOND / 2).await;
    connect(server.address, &old_authority, "localhost", &[]).await.unwrap();

    std::fs::copy(&fresh.key, &files.key).unwrap();
    let mut replaced = false;
    for _ in 0..50 {
        tokio::time::sleep(SECOND / 10).await;
        replaced = connect(server.address, &fresh.certificates, "localhost", &[]).await.is_ok();
        if replaced {
            break;
        }
    }
    assert!(replaced, "new connections get the new certificate");
    assert!(connect(server.address, &old_authority, "localhost", &[]).await.is_err());
    long_lived.write_all(ASK).await.unwrap();
    assert!(read_all(&mut long_lived).await.contains("https"), "old connections go on");
    following.abort();
}

#[test]
fn a_self_signed_certificate_stays_the_same_and_its_key_private() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let kept = directory.path().join("tls");
    let files = self_signed(&kept, Some("not a host name")).unwrap();
    let before = std::fs::read(&files.certificates).unwrap();
    assert_eq!(self_signed(&kept, None).unwrap(), files);
    assert_eq!(std::fs::read(&files.certificates).unwrap(), before);
    assert_eq!(std::fs::metadata(&files.key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 2);
}

#[test]
fn what_is_wrong_with_the_files_is_said_in_a_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let good = made(directory.path());
    let other = made(&directory.path().join("other"));
    let junk = directory.path().join("junk");
    std::fs::write(&junk, "no PEM at all").unwrap();
    let broken = directory.path().join("broken");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let missing = directory.path().join("missing");
    let problem = |certificates: &Path, key: &Path| {
        let files = TlsFiles { certificates: certificates.to_owned(), key: key.to_owned() };
        Tls::load(files).err().expect("refused").to_string()
    };
    let cases = [
        (problem(&missing, &good.key), "cannot read the certificate file", "missing"),
        (problem(&good.certificates, &missing), "cannot read the private key file", "missing"),
        (problem(&junk, &good.key), "has no certificate in it: it should be a PEM file", "junk"),
        (problem(&good.certificates, &junk), "has no private key in it: it should be a PEM file", "junk"),
        (problem(&good.key, &good.key), "has no certificate in it", "self-signed.key"),
        (problem(&broken, &good.key), "has no certificate in it", "broken"),
        (problem(&good.certificates, &other.key), "does not belong to the certificate", "other"),
    ];
    for (message, expected, file) in cases {
        assert!(message.contains(expected) && message.contains(file), "{message:?} should have {expected:?}");
        assert!(!message.contains('\n'), "{message:?}");
    }
}
