//! What can be pulled: a published model by its name, an archive at a URL, a repository of Hugging Face.

use url::Url;

use super::error::PullError;
use super::published::{self, Published, archive_name};

/// Who has the published archives as repositories of the same names.
const PUBLISHERS: [&str; 2] = ["csukuangfj", "k2-fsa"];

/// Where a package comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A model of the list of published ones.
    Published(&'static Published),
    /// An archive.
    Archive(Url),
    /// A repository of Hugging Face, `hf:OWNER/REPOSITORY` or `hf:OWNER/REPOSITORY@REVISION`.
    Hub {
        /// `OWNER/REPOSITORY`.
        repository: String,
        /// Branch, tag or commit.
        revision: String,
    },
}

impl Source {
    /// Reads what a person typed.
    pub fn parse(text: &str) -> Result<Source, PullError> {
        if let Some(rest) = text.strip_prefix("hf:") {
            let (repository, revision) = rest.split_once('@').unwrap_or((rest, "main"));
            let parts: Vec<&str> = repository.split('/').collect();
            let plain = |part: &&str| super::is_package_name(part);
            return match parts.len() == 2 && parts.iter().all(plain) && super::is_package_name(revision) {
                true => Ok(Source::Hub { repository: repository.to_owned(), revision: revision.to_owned() }),
                false => Err(PullError::Malformed {
                    what: text.to_owned(),
                    problem: "repositories are written hf:OWNER/REPOSITORY, or hf:OWNER/REPOSITORY@REVISION".to_owned(),
                }),
            };
        }
        if let Some(model) = published::find(text) {
            return Ok(Source::Published(model));
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(Source::Archive(url)),
            _ => Err(PullError::Unknown(text.to_owned())),
        }
    }

    /// The published model behind it, also when its archive was named in full, or the repository of its publisher.
    pub fn published(&self) -> Option<&'static Published> {
        match self {
            Source::Published(model) => Some(model),
            Source::Archive(url) => {
                published::find(archive_name(url.path())).filter(|model| model.archive == url.as_str())
            }
            Source::Hub { repository, .. } => {
                let (owner, name) = repository.split_once('/')?;
                published::find(name).filter(|model| PUBLISHERS.contains(&owner) && model.name != name)
            }
        }
    }

    /// What the package is called if nobody says otherwise.
    pub fn package_name(&self) -> &str {
        match self {
            Source::Published(model) => &model.name,
            Source::Archive(url) => self.published().map_or(archive_name(url.path()), |model| &model.name),
            Source::Hub { repository, .. } => {
                self.published().map_or(repository.rsplit('/').next().unwrap_or(repository), |model| &model.name)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_urls_and_repositories() {
        assert!(
            matches!(Source::parse("fastconformer-de"), Ok(Source::Published(model)) if model.name == "fastconformer-de")
        );
        let url = Source::parse("https://models.example/x/finnish.tar.gz").unwrap();
        assert_eq!(url.package_name(), "finnish");
        assert_eq!(url.published(), None);
        let published = Source::parse(&published::published()[0].archive).unwrap();
        assert_eq!(published.package_name(), published::published()[0].name);
        let hub = Source::parse("hf:someone/a-model").unwrap();
        assert_eq!(hub, Source::Hub { repository: "someone/a-model".to_owned(), revision: "main".to_owned() });
        assert_eq!(hub.package_name(), "a-model");
        let mirrored = Source::parse("hf:csukuangfj/sherpa-onnx-nemo-fast-conformer-ctc-es-1424-int8").unwrap();
        assert_eq!(mirrored.package_name(), "fastconformer-es");
        let copied = Source::parse("hf:someone/sherpa-onnx-nemo-fast-conformer-ctc-es-1424-int8").unwrap();
        assert_eq!(copied.published(), None);
        assert!(matches!(Source::parse("hf:someone/a@v1.0"), Ok(Source::Hub { revision, .. }) if revision == "v1.0"));
    }

    #[test]
    fn refuses_what_names_no_place() {
        for text in ["", "nothing", "ftp://a.example/x", "file:///etc/passwd", "https://", "../x"] {
            assert!(matches!(Source::parse(text), Err(PullError::Unknown(_))), "{text}");
        }
        for text in ["hf:", "hf:a", "hf:a/b/c", "hf:../b", "hf:a/..", "hf:a/b@../../x", "hf:a/b?c"] {
            assert!(matches!(Source::parse(text), Err(PullError::Malformed { .. })), "{text}");
        }
    }
}
