//! The published models that can be fetched by name: `published.toml`, compiled in.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::catalogue::names_of;

/// A published model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// What people type, and what the package is called.
    pub name: String,
    /// URL of the archive.
    pub archive: String,
    /// SHA-256 of the archive in lower-case hexadecimal, where it is on record.
    pub sha256: Option<String>,
    /// Size of the archive, megabytes, where it is known.
    pub megabytes: Option<u64>,
    /// One line for people.
    pub description: String,
    /// Kind of the network, in words.
    pub architecture: String,
    /// Whether the network takes a stream in chunks of its own.
    #[serde(default)]
    pub streaming: bool,
    /// Language tags whose Watson names it serves.
    pub languages: Vec<String>,
    /// Whether it writes capitals and punctuation.
    #[serde(default)]
    pub cased: bool,
    /// Licence of the weights as an SPDX expression, where it is known.
    pub licence: Option<String>,
    /// Whose work it is.
    pub attribution: String,
    /// Word error rates as published, with the source.
    pub accuracy: Option<String>,
    /// `YYYY-MM-DD`, where it is known.
    pub released: Option<String>,
}

impl Published {
    /// The Watson names it serves: every documented name of its languages, but for dictation in medicine.
    pub fn serves(&self) -> Vec<String> {
        self.languages.iter().flat_map(|language| names_of(language)).collect()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    model: Vec<Published>,
}

static PUBLISHED: LazyLock<Vec<Published>> = LazyLock::new(|| {
    let list: Result<List, _> = toml::from_str(include_str!("published.toml"));
    // A test reads the file, so that what is compiled in is well formed.
    list.map(|list| list.model).unwrap_or_default()
});

/// Every published model, in the order of the file.
pub fn published() -> &'static [Published] {
    &PUBLISHED
}

/// The published model of a name, or the one that its publisher's name for the archive stands for.
pub fn find(name: &str) -> Option<&'static Published> {
    published().iter().find(|model| model.name == name || archive_name(&model.archive) == name)
}

/// The last segment of a URL without the endings of archives: `a/b/c.tar.bz2` is `c`.
pub(super) fn archive_name(url: &str) -> &str {
    let last = url.rsplit('/').next().unwrap_or(url);
    let last = last.split(['?', '#']).next().unwrap_or(last);
    let endings = [".tar.bz2", ".tar.gz", ".tbz2", ".tgz", ".tar", ".zip"];
    endings.iter().find_map(|ending| last.strip_suffix(ending)).unwrap_or(last)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue;

    #[test]
    fn the_list_is_well_formed() {
        let list: List = toml::from_str(include_str!("published.toml")).unwrap();
        assert!(list.model.len() >= 15);
        let names: BTreeSet<_> = list.model.iter().map(|model| &model.name).collect();
        assert_eq!(names.len(), list.model.len(), "a name twice");
        for model in &list.model {
            assert!(crate::pull::is_package_name(&model.name), "{}", model.name);
            assert!(model.archive.starts_with("https://"), "{}", model.name);
            let digits = |sum: &String| sum.len() == 64 && sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            assert!(model.sha256.as_ref().is_none_or(digits), "{}", model.name);
            assert!(!model.languages.is_empty(), "{}", model.name);
            for language in &model.languages {
                assert!(catalogue::catalogue().iter().any(|entry| entry.language == *language), "{language}");
            }
        }
    }

    #[test]
    fn a_model_serves_the_names_of_its_languages() {
        let german = find("fastconformer-de").unwrap().serves();
        assert!(german.iter().any(|name| name == "de-DE") && german.iter().any(|name| name == "de-DE_Telephony"));
        assert_eq!(names_of("fi-FI"), ["fi-FI"]);
    }

    #[test]
    fn the_publishers_name_leads_there_too() {
        let found = find("sherpa-onnx-nemo-fast-conformer-ctc-es-1424-int8").unwrap();
        assert_eq!(found.name, "fastconformer-es");
        assert_eq!(archive_name("https://a.example/x/model.tar.bz2?download=1"), "model");
        assert!(find("nothing").is_none());
    }
}
