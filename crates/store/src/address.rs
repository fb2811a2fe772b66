//! Where a store is: one URL for its rows, one for its blobs.

use std::fmt;
use std::path::{Path, PathBuf};

use url::Url;

use crate::{DATABASE_FILE, StoreError};

/// Name of the directory of blobs in the data directory.
pub const BLOBS_DIRECTORY: &str = "blobs";

/// Where the rows and the blobs of a store are. Printed with `{:?}` it shows no passwords.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `sqlite:PATH` or `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=...`, which takes the parameters that PostgreSQL's
    /// own programs take.
    pub database: String,
    /// `file:DIRECTORY` or `s3://BUCKET/PREFIX?endpoint=URL&region=NAME&path_style=true|false`. Credentials of S3 come from where
    /// AWS's own programs look (`AWS_ACCESS_KEY_ID` and so on), or are written before the bucket: `s3://ID:SECRET@BUCKET`.
    pub blobs: String,
}

impl StoreConfig {
    /// Rows and blobs under one directory: SQLite's `dictum.db` and the directory `blobs`.
    pub fn embedded(directory: &Path) -> StoreConfig {
        StoreConfig {
            database: format!("sqlite:{}", directory.join(DATABASE_FILE).display()),
            blobs: format!("file:{}", directory.join(BLOBS_DIRECTORY).display()),
        }
    }

    /// Whether there may be a database: an SQLite file that does not exist is none, and servers are not asked.
    pub fn exists(&self) -> bool {
        !matches!(DatabaseAddress::parse(&self.database), Ok(DatabaseAddress::Sqlite(path)) if !path.exists())
    }

    /// Whether both URLs can be understood; neither is tried.
    pub fn check(&self) -> Result<(), StoreError> {
        DatabaseAddress::parse(&self.database)?;
        BlobAddress::parse(&self.blobs)?;
        Ok(())
    }
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("StoreConfig")
            .field("database", &without_password(&self.database))
            .field("blobs", &without_password(&self.blobs))
            .finish()
    }
}

/// A URL of a store as it may be shown: with `***` for its password.
pub fn without_password(url: &str) -> String {
    let shown = |mut parsed: Url| {
        if parsed.password().is_some() && parsed.set_password(Some("***")).is_err() {
            return scheme_only(url);
        }
        // PostgreSQL takes the password as a parameter too.
        let hidden = |(key, value): (&str, &str)| match key {
            "password" => format!("{key}=***"),
            _ => format!("{key}={value}"),
        };
        if let Some(query) = parsed.query() {
            let pairs: Vec<String> =
                query.split('&').map(|pair| hidden(pair.split_once('=').unwrap_or((pair, "")))).collect();
            parsed.set_query(Some(&pairs.join("&")));
        }
        parsed.to_string()
    };
    match url.split_once(':') {
        Some(("sqlite" | "file", _)) => url.to_owned(),
        _ => Url::parse(url).map_or_else(|_| scheme_only(url), shown),
    }
}

/// What can be said of a URL that cannot be taken apart.
fn scheme_only(url: &str) -> String {
    url.split_once(':').map_or("...".to_owned(), |(scheme, _)| format!("{scheme}:..."))
}

/// A database URL, understood.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum DatabaseAddress {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(Url),
}

impl DatabaseAddress {
    pub(crate) fn parse(text: &str) -> Result<DatabaseAddress, StoreError> {
        let wrong = |problem: &str| StoreError::Address {
            url: without_password(text),
            problem: problem.to_owned(),
            wanted: "sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE",
        };
        match text.split_once(':') {
            Some(("sqlite", rest)) => {
                Ok(DatabaseAddress::Sqlite(path_of(rest).ok_or_else(|| wrong("it has no path"))?))
            }
            Some(("postgres" | "postgresql", _)) => {
                let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
                match url.path().trim_matches('/').is_empty() {
                    true => Err(wrong("it names no database")),
                    false => Ok(DatabaseAddress::Postgres(url)),
                }
            }
            _ => Err(wrong("it is of no kind that is known")),
        }
    }
}

/// A blob URL, understood.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum BlobAddress {
    /// A directory.
    Directory(PathBuf),
    /// A bucket of a service that speaks S3.
    S3(S3Address),
}

/// Where in which service.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct S3Address {
    pub bucket: String,
    /// Without slashes at its ends; may be empty.
    pub prefix: String,
    /// Another service than AWS: its URL.
    pub endpoint: Option<String>,
    pub region: Option<String>,
    /// Whether the bucket is written in the path or in the host name of requests.
    pub path_style: bool,
    /// Key id and secret, when they are written in the URL.
    pub credentials: Option<(String, String)>,
}

impl BlobAddress {
    pub(crate) fn parse(text: &str) -> Result<BlobAddress, StoreError> {
        let wrong = |problem: String| StoreError::Address {
            url: without_password(text),
            problem,
            wanted: "file:DIRECTORY or s3://BUCKET/PREFIX?endpoint=URL&region=NAME",
        };
        match text.split_once(':') {
            Some(("file", rest)) => {
                path_of(rest).map(BlobAddress::Directory).ok_or_else(|| wrong("it has no path".to_owned()))
            }
            Some(("s3", _)) => s3(text).map(BlobAddress::S3).map_err(wrong),
            _ => Err(wrong("it is of no kind that is known".to_owned())),
        }
    }
}

fn s3(text: &str) -> Result<S3Address, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    let decoded = |text: &str| form_urlencoded::parse(text.as_bytes()).next().map(|(key, _)| key.into_owned());
    let credentials = match (decoded(url.username()), url.password().and_then(decoded)) {
        (Some(id), Some(secret)) => Some((id, secret)),
        (None, None) => None,
        _ => return Err("it has a key id without a secret, or the other way round".to_owned()),
    };
    let mut address = S3Address {
        bucket: url.host_str().unwrap_or_default().to_owned(),
        prefix: url.path().trim_matches('/').to_owned(),
        credentials,
        ..S3Address::default()
    };
    let mut path_style = None;
    for (key, value) in url.query_pairs() {
        match (&*key, &*value) {
            ("endpoint", endpoint) if endpoint.starts_with("http://") || endpoint.starts_with("https://") => {
                address.endpoint = Some(endpoint.trim_end_matches('/').to_owned());
            }
            ("endpoint", _) => return Err("its endpoint must begin with http:// or https://".to_owned()),
            ("region", region) => address.region = Some(region.to_owned()),
            ("path_style", "true") => path_style = Some(true),
            ("path_style", "false") => path_style = Some(false),
            ("path_style", _) => return Err("its path_style must be true or false".to_owned()),
            (key, _) => return Err(format!("there is no parameter {key:?}")),
        }
    }
    // Services on a machine of one's own rarely have a host name for each bucket.
    address.path_style = path_style.unwrap_or(address.endpoint.is_some());
    match address.bucket.is_empty() {
        true => Err("it names no bucket".to_owned()),
        false => Ok(address),
    }
}

/// `PATH`, `//PATH` (two slashes, no host) as a path, taken literally.
fn path_of(rest: &str) -> Option<PathBuf> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    (!path.is_empty()).then(|| PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases() {
        let path = |text: &str| match DatabaseAddress::parse(text) {
            Ok(DatabaseAddress::Sqlite(path)) => path.display().to_string(),
            _ => panic!("{text}"),
        };
        assert_eq!(path("sqlite:a b.db"), "a b.db");
        assert_eq!(path("sqlite:/x/100%.db"), "/x/100%.db");
        assert_eq!(path("sqlite:///x/y.db"), "/x/y.db");
        assert!(matches!(DatabaseAddress::parse("postgres://u:p@h:1/d"), Ok(DatabaseAddress::Postgres(_))));
        assert!(matches!(DatabaseAddress::parse("postgresql://h/d"), Ok(DatabaseAddress::Postgres(_))));
        for wrong in
            ["", "sqlite:", "/x/y.db", "mysql://u:hush@h/d", "postgres://u:hush@h", "postgres://u:hush@h:port/d"]
        {
            let message = DatabaseAddress::parse(wrong).err().unwrap().to_string();
            assert!(message.contains("postgres://USER") && !message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn blobs() {
        let address = |text: &str| match BlobAddress::parse(text) {
            Ok(BlobAddress::S3(address)) => address,
            _ => panic!("{text}"),
        };
        assert!(matches!(BlobAddress::parse("file:/x"), Ok(BlobAddress::Directory(path)) if path == Path::new("/x")));
        let plain = address("s3://bucket");
        assert_eq!((plain.bucket.as_str(), plain.prefix.as_str(), plain.path_style), ("bucket", "", false));
        let full = address("s3://id:a%2Fb@bucket/some/where/?endpoint=http://h:9/&region=r");
        assert_eq!(full.credentials, Some(("id".to_owned(), "a/b".to_owned())));
        assert_eq!((full.prefix.as_str(), full.endpoint.as_deref()), ("some/where", Some("http://h:9")));
        assert_eq!((full.region.as_deref(), full.path_style), (Some("r"), true));
        assert!(!address("s3://b?endpoint=https://h&path_style=false").path_style);
        for wrong in
            ["", "s3:", "s3://", "s3://id@b", "s3://b?endpoint=h", "s3://b?colour=red", "ftp://u:hush@h", "file:"]
        {
            let message = BlobAddress::parse(wrong).err().unwrap().to_string();
            assert!(message.contains("file:DIRECTORY") && !message.contains("hush"), "{message}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        for (url, shown) in [
            ("postgres://u:hush@h/d?sslmode=require", "postgres://u:***@h/d?sslmode=require"),
            ("postgres://h/d?user=u&password=hush", "postgres://h/d?user=u&password=***"),
            ("s3://id:hush@b/p", "s3://id:***@b/p"),
            ("postgres://u:hush@h:port/d", "postgres:..."),
            ("sqlite:/x y", "sqlite:/x y"),
            ("nonsense", "..."),
        ] {
            assert_eq!(without_password(url), shown);
            let config = StoreConfig { database: url.to_owned(), blobs: url.to_owned() };
            assert!(!format!("{config:?}").contains("hush"));
        }
    }
}
