//! Connections to addresses that were looked at, plain or in TLS.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use url::Host;

use crate::client::CallError;
use crate::guard::Target;

/// What is read from and written to.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The authorities that this machine trusts. Those of the environment (`SSL_CERT_FILE`) count, so operators may add theirs.
pub(crate) fn trust() -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        tracing::warn!("no certificates of authorities were found on this machine: callbacks by https will fail");
    }
    trusting(roots)
}

pub(crate) fn trusting(roots: RootCertStore) -> Arc<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    // The provider has both versions of TLS.
    let builder = builder.unwrap_or_else(|_| unreachable!("ring has cipher suites for both versions"));
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Connects to the first of the addresses that answers.
pub(crate) async fn connect(
    target: &Target,
    addresses: &[SocketAddr],
    tls: &Arc<ClientConfig>,
) -> Result<TokioIo<Box<dyn Io>>, CallError> {
    let stream = TcpStream::connect(addresses).await.map_err(|_| CallError::Unreachable)?;
    // One request in one or two writes; waiting to fill packets only delays it.
    let _ = stream.set_nodelay(true);
    if !target.tls {
        return Ok(TokioIo::new(Box::new(stream)));
    }
    let name = match target.url.host() {
        Some(Host::Domain(name)) => ServerName::try_from(name.trim_end_matches('.').to_owned()).ok(),
        Some(Host::Ipv4(address)) => Some(ServerName::IpAddress(std::net::IpAddr::V4(address).into())),
        Some(Host::Ipv6(address)) => Some(ServerName::IpAddress(std::net::IpAddr::V6(address).into())),
        None => None,
    };
    let connected = TlsConnector::from(Arc::clone(tls)).connect(name.ok_or(CallError::Unreachable)?, stream);
    Ok(TokioIo::new(Box::new(connected.await.map_err(|_| CallError::Certificate)?)))
}
