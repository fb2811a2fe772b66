//! A certificate that nobody vouches for, for development.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

use crate::tls::{TlsError, TlsFiles};

/// The files `self-signed.crt` and `self-signed.key` in `directory`, made when they are missing. They stay the same from
/// start to start, so that a client which was told to trust the certificate goes on trusting it.
///
/// The certificate is for `localhost`, `127.0.0.1`, `::1` and `host_name`, and is an authority for itself: clients that take a
/// file of authorities take `self-signed.crt`. Only the owner may read the key.
pub fn self_signed(directory: &Path, host_name: Option<&str>) -> Result<TlsFiles, TlsError> {
    let files = TlsFiles { certificates: directory.join("self-signed.crt"), key: directory.join("self-signed.key") };
    if !(files.certificates.exists() && files.key.exists()) {
        make(directory, &files, host_name)
            .map_err(|error| TlsError::SelfSigned { directory: directory.to_owned(), problem: error.to_string() })?;
    }
    Ok(files)
}

fn make(directory: &Path, files: &TlsFiles, host_name: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let mut names: Vec<String> = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
    let plain = |name: &&str| name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
    names.extend(host_name.filter(plain).filter(|name| !name.is_empty() && *name != "localhost").map(str::to_owned));
    let mut parameters = CertificateParams::new(names)?;
    parameters.distinguished_name.push(DnType::CommonName, "Dictum (self-signed)");
    parameters.not_before = date_time_ymd(2024, 1, 1);
    parameters.not_after = date_time_ymd(2049, 12, 31);
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let key = KeyPair::generate()?;
    let certificate = parameters.self_signed(&key)?;

    std::fs::create_dir_all(directory)?;
    // The key first: with the certificate there, both are.
    write(&files.key, 0o600, &key.serialize_pem())?;
    write(&files.certificates, 0o644, &certificate.pem())?;
    Ok(())
}

/// Writes beside and renames, so that no other start of the program finds half a file.
fn write(path: &Path, mode: u32, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension(format!("{}-new", std::process::id()));
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&beside, path)
}
