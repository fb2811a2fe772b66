//! Repositories of Hugging Face: which files they have, and where those are.
//!
//! `GET /api/models/OWNER/REPOSITORY/tree/REVISION` lists files with their length and, for large ones, their SHA-256; for
//! small ones the hash of Git's blob. Files are at `/OWNER/REPOSITORY/resolve/REVISION/PATH`.

use reqwest::header::HeaderValue;
use serde::Deserialize;
use sha1::{Digest, Sha1};
use url::Url;

use super::error::PullError;
use super::fetch::Fetcher;

/// Where the hub is, unless `HF_ENDPOINT` or the command line says otherwise.
pub const HUB: &str = "https://huggingface.co";

/// Files that are fetched besides the network, its tokens and language models in ARPA format.
const COMPANIONS: [&str; 6] =
    ["package.toml", "README.md", "LICENSE", "LICENSE.txt", "words.txt", "language-model.bin"];

/// What Hugging Face knows an account by (`HF_TOKEN`): for repositories that not everybody may see. It goes there alone,
/// encrypted; not to mirrors, nor to where redirects lead. `Debug` does not show it.
#[derive(Debug, Clone)]
pub struct HubToken(HeaderValue);

impl HubToken {
    /// A token as the hub gives them out.
    ///
    /// # Errors
    /// When it is none: they are words of visible ASCII characters.
    pub fn new(text: &str) -> Result<HubToken, PullError> {
        let wrong =
            || PullError::Malformed { what: "the token of the hub".to_owned(), problem: "it is none".to_owned() };
        let text = Some(text.trim()).filter(|text| !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic()));
        let mut value = HeaderValue::try_from(format!("Bearer {}", text.ok_or_else(wrong)?)).map_err(|_| wrong())?;
        value.set_sensitive(true);
        Ok(HubToken(value))
    }

    /// The header to send to a URL, if this is the hub itself.
    pub(super) fn for_url(&self, url: &Url) -> Option<&HeaderValue> {
        let hub = url.scheme() == "https" && url.host_str() == Some("huggingface.co") && url.port().is_none();
        hub.then_some(&self.0)
    }
}

/// A file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubFile {
    /// Its name; files in folders are left alone.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its hash, as the hub keeps it.
    pub hash: Hash,
}

/// How a hub says what a file has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256 of the file.
    Sha256(String),
    /// SHA-1 of Git's blob: `blob LENGTH\0` and the file.
    Blob(String),
}

#[derive(Deserialize)]
struct Entry {
    #[serde(rename = "type")]
    kind: String,
    path: String,
    #[serde(default)]
    oid: String,
    #[serde(default)]
    size: u64,
    lfs: Option<Large>,
}

#[derive(Deserialize)]
struct Large {
    oid: String,
    size: u64,
}

/// The files of a repository that make a package: tokens, the network (in 8 bits where there is a choice) and what
/// describes them.
pub(super) async fn files(
    fetcher: &Fetcher,
    hub: &Url,
    repository: &str,
    revision: &str,
) -> Result<Vec<HubFile>, PullError> {
    let url = at(hub, &["api", "models"], repository, "tree", revision, None);
    let wrong = |problem: String| PullError::Hub { url: url.to_string(), problem };
    let document = fetcher.document(&url).await?;
    let entries: Vec<Entry> = serde_json::from_slice(&document)
        .map_err(|error| wrong(format!("the answer is no list of files ({error})")))?;
    let files: Vec<HubFile> = entries
        .into_iter()
        .filter(|entry| entry.kind == "file" && !entry.path.contains(['/', '\\']))
        .map(|entry| match entry.lfs {
            Some(large) => HubFile { name: entry.path, bytes: large.size, hash: Hash::Sha256(large.oid) },
            None => HubFile { name: entry.path, bytes: entry.size, hash: Hash::Blob(entry.oid) },
        })
        .collect();
    choose(files).map_err(wrong)
}

/// The URL of a file of a repository.
pub(super) fn file_url(hub: &Url, repository: &str, revision: &str, name: &str) -> Url {
    at(hub, &[], repository, "resolve", revision, Some(name))
}

fn at(hub: &Url, before: &[&str], repository: &str, verb: &str, revision: &str, name: Option<&str>) -> Url {
    let mut url = hub.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(before).extend(repository.split('/')).push(verb).push(revision).extend(name);
    }
    url
}

fn choose(files: Vec<HubFile>) -> Result<Vec<HubFile>, String> {
    let is_network = |file: &HubFile| file.name.ends_with(".onnx") || file.name.ends_with(".onnx.data");
    let networks: Vec<&HubFile> = files.iter().filter(|file| file.name.ends_with(".onnx")).collect();
    if !files.iter().any(|file| file.name == "tokens.txt") {
        return Err(
            "the repository has no tokens.txt: only CTC models as sherpa-onnx takes them can be pulled".to_owned()
        );
    }
    let stem = |name: &str| name.trim_end_matches(".onnx").trim_end_matches(".int8").to_owned();
    let mut wanted: Vec<String> = Vec::new();
    for file in &networks {
        // Of the same network in 8 and in 32 bits the first is taken.
        let small = format!("{}.int8.onnx", stem(&file.name));
        if file.name == small || !networks.iter().any(|other| other.name == small) {
            wanted.push(file.name.clone());
        }
    }
    if wanted.is_empty() {
        return Err("the repository has no file that ends in .onnx".to_owned());
    }
    let keep = |file: &HubFile| match is_network(file) {
        true => wanted.iter().any(|name| *name == file.name || format!("{name}.data") == file.name),
        false => file.name == "tokens.txt" || file.name.ends_with(".arpa") || COMPANIONS.contains(&file.name.as_str()),
    };
    let mut chosen: Vec<HubFile> = files.into_iter().filter(|file| keep(file)).collect();
    chosen.sort_by(|a, b| a.name.cmp(&b.name));
    match chosen.iter().find(|file| !super::is_package_name(&file.name)) {
        Some(odd) => Err(format!("a file is called {:?}", odd.name)),
        None => Ok(chosen),
    }
}

/// The SHA-1 by which Git knows a file of this content.
pub(super) fn blob_hash(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(names: &[&str]) -> Vec<HubFile> {
        let file = |name: &&str| HubFile { name: (*name).to_owned(), bytes: 1, hash: Hash::Blob(String::new()) };
        names.iter().map(file).collect()
    }

    fn chosen(names: &[&str]) -> Result<Vec<String>, String> {
        Ok(choose(listed(names))?.into_iter().map(|file| file.name).collect())
    }

    #[test]
    fn the_smaller_network_is_enough() {
        let names =
            ["README.md", ".gitattributes", "model.int8.onnx", "model.onnx", "tokens.txt", "bpe.model", "words.arpa"];
        assert_eq!(chosen(&names).unwrap(), ["README.md", "model.int8.onnx", "tokens.txt", "words.arpa"]);
        assert_eq!(
            chosen(&["model.onnx", "model.onnx.data", "tokens.txt"]).unwrap(),
            ["model.onnx", "model.onnx.data", "tokens.txt"]
        );
        assert!(chosen(&["model.onnx"]).unwrap_err().contains("tokens.txt"));
        assert!(chosen(&["tokens.txt"]).unwrap_err().contains(".onnx"));
        assert!(chosen(&["tokens.txt", "-rf .onnx"]).is_err());
    }

    #[test]
    fn urls_keep_the_path_of_the_hub() {
        let hub = Url::parse("http://127.0.0.1:9/mirror/").unwrap();
        assert_eq!(
            file_url(&hub, "a/b", "main", "x?.onnx").as_str(),
            "http://127.0.0.1:9/mirror/a/b/resolve/main/x%3F.onnx"
        );
    }

    #[test]
    fn the_token_goes_to_the_hub_alone() {
        let token = HubToken::new("hf_secret\n").unwrap();
        let sent = |url: &str| token.for_url(&Url::parse(url).unwrap()).map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(sent("https://huggingface.co/a/b/resolve/main/x").as_deref(), Some("Bearer hf_secret"));
        assert_eq!(sent("https://huggingface.co:443/a").as_deref(), Some("Bearer hf_secret"));
        for elsewhere in [
            "http://huggingface.co/a",
            "https://huggingface.co:8443/a",
            "https://cdn-lfs.huggingface.co/a",
            "https://huggingface.co.example.org/a",
            "https://huggingface.co@example.org/a",
            "https://hf-mirror.example.org/huggingface.co",
            "http://127.0.0.1:8080/a",
        ] {
            assert_eq!(sent(elsewhere), None, "{elsewhere}");
        }
        assert!(!format!("{token:?}").contains("secret"));
        for wrong in ["", " ", "two words", "\u{e9}", "a\r\nb"] {
            assert!(HubToken::new(wrong).is_err(), "{wrong:?}");
        }
    }

    /// `git hash-object` of a file with the five letters and a line feed.
    #[test]
    fn hashes_as_git_does() {
        assert_eq!(blob_hash(b"hello\n"), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
