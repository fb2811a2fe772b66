//! Manifests of recordings with known transcripts: tab-separated, a header line, no quoting.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// One line of a manifest.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The recording as the manifest names it.
    pub name: String,
    /// The recording, found from the directory of the manifest.
    pub path: PathBuf,
    /// What is said in it.
    pub transcript: String,
    /// All columns, in the order of the header.
    fields: Vec<String>,
}

/// A manifest, read.
#[derive(Debug)]
pub struct Manifest {
    columns: Vec<String>,
    /// Its lines.
    pub rows: Vec<Row>,
}

impl Manifest {
    /// Reads a manifest.
    pub fn open(path: &Path) -> Result<Manifest, Failure> {
        let text = read(path)?;
        let directory = path.parent().unwrap_or(Path::new(""));
        Manifest::parse(&text, directory).map_err(|problem| Failure::new(format!("{}: {problem}", path.display())))
    }

    fn parse(text: &str, directory: &Path) -> Result<Manifest, String> {
        let mut lines = text.trim_start_matches('\u{feff}').lines().enumerate();
        let columns: Vec<String> =
            lines.next().ok_or("the manifest is empty")?.1.split('\t').map(|name| name.trim().to_owned()).collect();
        let position = |wanted: &str| {
            let found = columns.iter().position(|name| name == wanted);
            found.ok_or_else(|| {
                format!(
                    "the first line must name the columns, separated by tabs; there is no column \"{wanted}\" among {}",
                    columns.join(", ")
                )
            })
        };
        let (path, transcript) = (position("path")?, position("transcript")?);
        let mut rows = Vec::new();
        for (number, line) in lines.filter(|(_, line)| !line.trim().is_empty()) {
            let fields: Vec<String> = line.split('\t').map(str::to_owned).collect();
            if fields.len() != columns.len() {
                return Err(format!(
                    "line {}: {} columns, but the header has {}",
                    number + 1,
                    fields.len(),
                    columns.len()
                ));
            }
            rows.push(Row {
                name: fields[path].clone(),
                path: directory.join(&fields[path]),
                transcript: fields[transcript].clone(),
                fields,
            });
        }
        match rows.is_empty() {
            true => Err("there are no recordings below the header".to_owned()),
            false => Ok(Manifest { columns, rows }),
        }
    }

    /// Position of a column, by name.
    pub fn column(&self, name: &str) -> Result<usize, Failure> {
        let found = self.columns.iter().position(|column| column == name);
        found.ok_or_else(|| {
            Failure::usage(format!("the manifest has no column \"{name}\"; it has {}", self.columns.join(", ")))
        })
    }
}

impl Row {
    /// The value of a column, by its position.
    pub fn value(&self, column: usize) -> &str {
        &self.fields[column]
    }
}

/// Transcripts by recording name, from lines of name, tab, transcript.
pub fn hypotheses(path: &Path) -> Result<HashMap<String, String>, Failure> {
    let mut transcripts = HashMap::new();
    for (number, line) in read(path)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let Some((name, transcript)) = line.split_once('\t') else {
            return Err(Failure::new(format!("{}: line {} must be path, tab, transcript", path.display(), number + 1)));
        };
        transcripts.insert(name.to_owned(), transcript.to_owned());
    }
    Ok(transcripts)
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| Failure::new(format!("cannot read {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_in_any_order_paths_from_the_manifest() {
        let text = "speaker\ttranscript\tpath\r\nann\tHello, world.\tx/a.wav\r\n\nbob\tBye\t/abs/b.wav\n";
        let manifest = Manifest::parse(text, Path::new("/data")).unwrap();
        assert_eq!(manifest.rows.len(), 2);
        assert_eq!(manifest.rows[0].path, Path::new("/data/x/a.wav"));
        assert_eq!(
            (manifest.rows[0].name.as_str(), manifest.rows[0].transcript.as_str()),
            ("x/a.wav", "Hello, world.")
        );
        assert_eq!(manifest.rows[1].path, Path::new("/abs/b.wav"));
        let speaker = manifest.column("speaker").unwrap();
        assert_eq!(manifest.rows[1].value(speaker), "bob");
        assert!(manifest.column("accent").unwrap_err().to_string().contains("speaker, transcript, path"));
    }

    #[test]
    fn mistakes_are_told() {
        let cases = [
            ("", "empty"),
            ("path\ttext\n", "no column \"transcript\""),
            ("path\ttranscript\n", "no recordings"),
            ("path\ttranscript\na.wav\n", "line 2: 1 columns"),
        ];
        for (text, expected) in cases {
            let message = Manifest::parse(text, Path::new("")).unwrap_err();
            assert!(message.contains(expected), "{message:?} should contain {expected:?}");
        }
    }
}
