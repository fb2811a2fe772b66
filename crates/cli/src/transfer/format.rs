//! What is in an exported directory, and how it is found there again.

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io::Read;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::customize::is_xml;
use crate::customize::models::Kind;
use crate::failure::Failure;

/// Version of the format that this program writes; the only one it reads.
const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const MODEL: &str = "model.json";
const WORDS: &str = "words.json";
/// What earlier imports have made, by where they made it and by former ids.
const IMPORTED: &str = "imported.json";
/// Characters of a name that the name of a file takes from it.
const LONGEST_STEM: usize = 40;
/// Endings under which the text of a resource is looked for, beside its bare name.
const CORPUS_ENDINGS: [&str; 2] = ["txt", "text"];
const GRAMMAR_ENDINGS: [&str; 6] = ["abnf", "gram", "xml", "grxml", "srgs", "txt"];

/// `manifest.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Manifest {
    format: u32,
    /// When it was written (RFC 3339).
    pub created: String,
    /// The server, as it was named.
    pub source: String,
    pub models: Vec<Listed>,
    /// What could not be saved, in sentences.
    pub not_saved: Vec<String>,
}

/// A model in the manifest.
#[derive(Debug, Serialize, Deserialize)]
pub struct Listed {
    pub customization_id: String,
    pub name: String,
    /// Below the exported directory.
    pub directory: String,
}

/// `model.json`.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedModel {
    /// As the server describes it.
    pub definition: Value,
    /// Corpora, then grammars.
    pub texts: Vec<SavedText>,
}

/// A corpus or a grammar.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedText {
    pub kind: Kind,
    pub name: String,
    /// Where its text is, below the directory of the model; it may be put there later.
    pub file: String,
    /// As the server describes it.
    pub description: Value,
}

/// `words.json`, which is as the interface has it.
#[derive(Debug, Serialize, Deserialize)]
pub struct SavedWords {
    pub words: Vec<Value>,
}

impl Manifest {
    pub fn new(created: String, source: String, models: Vec<Listed>, not_saved: Vec<String>) -> Manifest {
        Manifest { format: FORMAT, created, source, models, not_saved }
    }
}

/// An exported directory.
pub struct Export(pub PathBuf);

impl Export {
    /// Makes a directory with nothing in it. What goes into it is its owner's alone.
    pub fn create(path: &Path) -> Result<Export, Failure> {
        make_directory(path)?;
        let mut entries = std::fs::read_dir(path).map_err(|error| unusable(path, &error))?;
        match entries.next() {
            None => Ok(Export(path.to_owned())),
            Some(_) => {
                Err(Failure::new(format!("{} is not empty; an export needs a directory of its own", path.display())))
            }
        }
    }

    /// An exported directory, and what it says of itself.
    pub fn open(path: &Path) -> Result<(Export, Manifest), Failure> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let file = path.join(MANIFEST);
        let no_export =
            |why: &str| Failure::new(format!("{} is no export, or one that was not finished: {why}", path.display()));
        if !file.is_file() {
            return Err(no_export("there is no manifest.json in it"));
        }
        let version: Version = read(&file)?;
        if version.format != FORMAT {
            let found = version.format;
            return Err(no_export(&format!("its format is {found}, and this version of Dictum reads {FORMAT} only")));
        }
        Ok((Export(path.to_owned()), read(&file)?))
    }

    /// Where a model is. The directory is a name in a file that anybody may have written.
    pub fn model(&self, listed: &Listed) -> Result<PathBuf, Failure> {
        below(&self.0, &listed.directory)
    }

    pub fn write_model(&self, directory: &Path, model: &SavedModel, words: &SavedWords) -> Result<(), Failure> {
        write(&directory.join(WORDS), words)?;
        write(&directory.join(MODEL), model)
    }

    pub fn read_model(&self, listed: &Listed) -> Result<(SavedModel, SavedWords), Failure> {
        let directory = self.model(listed)?;
        Ok((read(&directory.join(MODEL))?, read(&directory.join(WORDS))?))
    }

    pub fn write_manifest(&self, manifest: &Manifest) -> Result<(), Failure> {
        write(&self.0.join(MANIFEST), manifest)
    }

    /// Ids that earlier imports to `target` have made, by former ids.
    pub fn imported(&self, target: &str) -> Result<BTreeMap<String, String>, Failure> {
        Ok(self.all_imported()?.remove(target).unwrap_or_default())
    }

    pub fn note_imported(&self, target: &str, former: &str, made: &str) -> Result<(), Failure> {
        let mut all = self.all_imported()?;
        all.entry(target.to_owned()).or_default().insert(former.to_owned(), made.to_owned());
        write(&self.0.join(IMPORTED), &all)
    }

    fn all_imported(&self) -> Result<BTreeMap<String, BTreeMap<String, String>>, Failure> {
        let path = self.0.join(IMPORTED);
        if path.exists() { read(&path) } else { Ok(BTreeMap::new()) }
    }
}

/// The path of something that a file of an export names, which must not lead out of it.
pub fn below(directory: &Path, name: &str) -> Result<PathBuf, Failure> {
    let relative = Path::new(name);
    let inside = relative.components().all(|part| matches!(part, Component::Normal(_)));
    match inside && !name.is_empty() {
        true => Ok(directory.join(relative)),
        false => Err(Failure::new(format!("the export is damaged: {name:?} is no file in it"))),
    }
}

/// A name for the file of the `number`-th of something, by which people know it again.
pub fn file_name(number: usize, name: &str, ending: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' };
    let stem: String = name.chars().take(LONGEST_STEM).map(plain).collect();
    format!("{number:03}-{stem}{ending}")
}

/// The text of a resource among the sources that somebody has kept: under the name of its model or directly, under its own name
/// with one of the usual endings or none.
pub fn find_source(sources: &Path, model: &str, kind: Kind, name: &str) -> Option<PathBuf> {
    let single = |name: &str| Path::new(name).components().count() == 1 && below(sources, name).is_ok();
    if !single(name) {
        return None;
    }
    let endings = match kind {
        Kind::Corpus => &CORPUS_ENDINGS[..],
        Kind::Grammar => &GRAMMAR_ENDINGS[..],
    };
    let names: Vec<String> =
        std::iter::once(name.to_owned()).chain(endings.iter().map(|ending| format!("{name}.{ending}"))).collect();
    let of_model = single(model).then(|| sources.join(model));
    let places = of_model.into_iter().chain([sources.to_owned()]);
    places
        .flat_map(|place| names.iter().map(move |name| place.join(name)).collect::<Vec<_>>())
        .find(|path| path.is_file())
}

/// The media type of a text.
pub fn media(kind: Kind, path: &Path) -> Result<&'static str, Failure> {
    if kind == Kind::Corpus {
        return Ok("text/plain");
    }
    let mut beginning = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| unusable(path, &error))?;
    file.take(256).read_to_end(&mut beginning).map_err(|error| unusable(path, &error))?;
    Ok(if is_xml(&beginning) { "application/srgs+xml" } else { "application/srgs" })
}

pub fn make_directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| unusable(path, &error))
}

pub fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(format!("{}: {error}", path.display()))
}

/// Writes a document so that it is there whole or not at all.
pub fn write(path: &Path, document: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_vec_pretty(document)?;
    text.push(b'\n');
    let new = PathBuf::from(format!("{}.new", path.display()));
    let written = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, path));
    written.map_err(|error| unusable(path, &error))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T, Failure> {
    let text = std::fs::read(path).map_err(|error| unusable(path, &error))?;
    serde_json::from_slice(&text).map_err(|error| unusable(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_an_export() {
        let directory = Path::new("/export");
        assert_eq!(below(directory, "models/001-a").unwrap(), Path::new("/export/models/001-a"));
        for name in ["", "..", "/etc/passwd", "models/../../x", "./x/../.."] {
            assert!(below(directory, name).is_err(), "{name}");
        }
    }

    #[test]
    fn files_are_named_after_what_is_in_them() {
        assert_eq!(file_name(1, "a visit/to town", ".txt"), "001-a-visit-to-town.txt");
        assert_eq!(file_name(12, "../..", ""), "012------");
        assert!(file_name(1, &"ü".repeat(128), ".txt").len() < 60);
    }

    #[test]
    fn sources_are_found_under_their_names() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("Travel")).unwrap();
        for name in ["days.abnf", "a.txt", "Travel/a.txt", "b"] {
            std::fs::write(directory.path().join(name), "x").unwrap();
        }
        let found = |model, kind, name| {
            let path = find_source(directory.path(), model, kind, name)?;
            Some(path.strip_prefix(directory.path()).unwrap().display().to_string())
        };
        assert_eq!(found("Travel", Kind::Corpus, "a").as_deref(), Some("Travel/a.txt"));
        assert_eq!(found("Other/x", Kind::Corpus, "a").as_deref(), Some("a.txt"));
        assert_eq!(found("Travel", Kind::Corpus, "b").as_deref(), Some("b"));
        assert_eq!(found("Travel", Kind::Grammar, "days").as_deref(), Some("days.abnf"));
        assert_eq!(found("..", Kind::Corpus, "Travel"), None, "a directory is no text");
        assert_eq!(found("x", Kind::Corpus, "../x"), None);
    }

    #[test]
    fn an_export_is_empty_at_first_and_finished_at_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("export");
        let export = Export::create(&path).unwrap();
        assert!(Export::open(&path).is_err(), "not finished");
        export.write_manifest(&Manifest::new("now".to_owned(), "here".to_owned(), Vec::new(), Vec::new())).unwrap();
        assert!(Export::open(&path).is_ok());
        assert!(Export::create(&path).is_err(), "not empty");
        export.note_imported("a", "1", "2").unwrap();
        export.note_imported("a", "3", "4").unwrap();
        assert_eq!(export.imported("a").unwrap().into_values().collect::<Vec<_>>(), ["2", "4"]);
        assert!(export.imported("b").unwrap().is_empty());
        std::fs::write(path.join(MANIFEST), r#"{"format": 2}"#).unwrap();
        assert!(Export::open(&path).err().unwrap().to_string().contains("format is 2"));
    }
}
