//! Model packages: a directory with the files of a model and a `package.toml` that describes them.
//!
//! ```toml
//! format = 1                      # version of this format
//! name = "en-us-ptm"              # how configurations and messages call the package
//! language = "en-US"
//! kind = "sphinx"                 # CMU Sphinx acoustic model, dictionary and n-gram language model
//! released = "2022-09-28"         # YYYY-MM-DD, part of the version clients see
//! description = "US English, phonetically tied mixtures"
//! licence = "BSD-2-Clause"
//! sample_rates = [16000, 8000]    # bands it hears
//! serves = ["en-US_BroadbandModel", "en-US_Telephony"]   # Watson names; configurations can add to them
//! calibration = [[0.0, 0.0], [0.9, 0.6], [1.0, 0.95]]   # optional: confidence by posterior, as `dictum eval --calibrate` finds it
//!
//! [files]                         # relative to the package, or absolute
//! acoustic = "en-us"              # directory with mdef, means, variances, ...
//! dictionary = "cmudict-en-us.dict"
//! noise_dictionary = "en-us/noisedict"
//! language_model = "en-us.lm.bin"
//! narrowband_map = "narrowband.map"   # optional: how 8 kHz speech differs; `dictum_acoustic::NarrowbandMap`
//!
//! [checksums]                     # optional, SHA-256; compared by `dictum models check`
//! "en-us.lm.bin" = "db21d0642286677699e6dbc859d2e5395570222361999387ce60f6e1d01995d6"
//! ```
//!
//! A package of `kind = "ctc"` is a neural model in the layout that the sherpa-onnx project publishes ([`dictum_neural`]):
//!
//! ```toml
//! [files]
//! network = "."                   # directory with tokens.txt and model.onnx or model.int8.onnx; the package's own if left out
//! language_model = "en.lm.bin"    # optional: Sphinx trie, DMP or ARPA
//! words = "words.txt"             # optional, without a language model: a word a line, all equally likely
//! ```
//!
//! With neither, it spells what it hears. A directory with such files and without a manifest is a package too
//! ([`Package::bare`]).
//!
//! Debian's `pocketsphinx-en-us` has no manifest; [`Package::debian`] describes it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::calibration::Calibration;
use crate::catalogue;
use crate::error::ModelsError;
use crate::recogniser::Band;

/// Name of the manifest file in a package's directory.
pub const MANIFEST: &str = "package.toml";

/// Where Debian's `pocketsphinx-en-us` puts its files.
pub const DEBIAN_DIRECTORY: &str = "/usr/share/pocketsphinx/model/en-us";

/// Longest manifest that is read, bytes.
const LONGEST_MANIFEST: u64 = 1 << 20;

/// Kind of a package: what its files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageKind {
    /// CMU Sphinx: HMM acoustic model, pronunciation dictionary, n-gram language model.
    Sphinx,
    /// A neural network that scores tokens, and optionally an n-gram language model.
    Ctc,
}

/// The files a recogniser is built from, as absolute or working-directory-relative paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PackageFiles {
    /// Of a [`PackageKind::Sphinx`].
    Sphinx(SphinxFiles),
    /// Of a [`PackageKind::Ctc`].
    Ctc(CtcFiles),
}

/// The files of a neural model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CtcFiles {
    /// Directory with `tokens.txt` and `model.onnx` or `model.int8.onnx`.
    pub network: PathBuf,
    /// N-gram language model.
    pub language_model: Option<PathBuf>,
    /// A word a line, for want of a language model.
    pub words: Option<PathBuf>,
}

/// The files of a CMU Sphinx model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SphinxFiles {
    /// Directory of the acoustic model: `mdef`, `means`, `variances`, `transition_matrices`, `feat.params`, and
    /// `sendump` or `mixture_weights`.
    pub acoustic: PathBuf,
    /// Pronunciation dictionary.
    pub dictionary: PathBuf,
    /// Pronunciations of silence and noises.
    pub noise_dictionary: PathBuf,
    /// N-gram language model: `.lm.bin`, `.lm.DMP` or ARPA.
    pub language_model: PathBuf,
    /// What the model's Gaussians are over narrowband speech ([`dictum_acoustic::NarrowbandMap`]), when the package brings
    /// its own; otherwise the map for US English is used.
    pub narrowband_map: Option<PathBuf>,
}

impl SphinxFiles {
    /// The US English files as Debian names them.
    pub fn debian(directory: &Path) -> SphinxFiles {
        SphinxFiles {
            acoustic: directory.join("en-us"),
            dictionary: directory.join("cmudict-en-us.dict"),
            noise_dictionary: directory.join("en-us/noisedict"),
            language_model: directory.join("en-us.lm.bin"),
            narrowband_map: None,
        }
    }
}

/// A model package.
#[derive(Debug, Clone, PartialEq)]
pub struct Package {
    /// How configurations and messages call it.
    pub name: String,
    /// Language tag, e.g. `en-US`.
    pub language: String,
    /// What its files are.
    pub kind: PackageKind,
    /// Release date, `YYYY-MM-DD`.
    pub released: String,
    /// One line for people.
    pub description: String,
    /// Licence of the files, as an SPDX expression or in words.
    pub licence: String,
    /// Bands it hears.
    pub bands: Vec<Band>,
    /// Watson model names it answers to.
    pub serves: Vec<String>,
    /// Confidences by posteriors, where it has been measured.
    pub calibration: Option<Calibration>,
    /// Its directory.
    pub directory: PathBuf,
    /// Its files.
    pub files: PackageFiles,
    /// SHA-256 of files, in lower-case hexadecimal, where recorded.
    pub checksums: BTreeMap<PathBuf, String>,
}

/// What tells how the rest of a manifest is to be read.
#[derive(Deserialize)]
struct Kind {
    kind: PackageKind,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest<Files> {
    format: u32,
    name: String,
    language: String,
    kind: PackageKind,
    released: String,
    #[serde(default)]
    description: String,
    #[serde(default)]
    licence: String,
    sample_rates: Vec<u32>,
    #[serde(default)]
    serves: Vec<String>,
    calibration: Option<Vec<(f32, f32)>>,
    files: Files,
    #[serde(default)]
    checksums: BTreeMap<PathBuf, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CtcTable {
    #[serde(default)]
    network: PathBuf,
    language_model: Option<PathBuf>,
    words: Option<PathBuf>,
}

impl CtcTable {
    fn within(self, directory: &Path) -> PackageFiles {
        PackageFiles::Ctc(CtcFiles {
            network: directory.join(self.network),
            language_model: self.language_model.map(|file| directory.join(file)),
            words: self.words.map(|file| directory.join(file)),
        })
    }
}

impl SphinxTable {
    fn within(self, directory: &Path) -> PackageFiles {
        PackageFiles::Sphinx(SphinxFiles {
            acoustic: directory.join(self.acoustic),
            dictionary: directory.join(self.dictionary),
            noise_dictionary: directory.join(self.noise_dictionary),
            language_model: directory.join(self.language_model),
            narrowband_map: self.narrowband_map.map(|file| directory.join(file)),
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SphinxTable {
    acoustic: PathBuf,
    dictionary: PathBuf,
    noise_dictionary: PathBuf,
    language_model: PathBuf,
    narrowband_map: Option<PathBuf>,
}

impl Package {
    /// Reads the manifest of the package in `directory`.
    pub fn open(directory: &Path) -> Result<Package, ModelsError> {
        let path = directory.join(MANIFEST);
        let read = |source| ModelsError::Read { path: path.clone(), source };
        let length = std::fs::metadata(&path).map_err(read)?.len();
        if length > LONGEST_MANIFEST {
            return Err(ModelsError::Manifest { path, problem: format!("{length} bytes is too long for a manifest") });
        }
        let text = std::fs::read_to_string(&path).map_err(read)?;
        Package::parse(&text, directory)
    }

    /// Reads a manifest from `text`; `directory` is where its relative paths start.
    pub fn parse(text: &str, directory: &Path) -> Result<Package, ModelsError> {
        let problem = |problem: String| ModelsError::Manifest { path: directory.join(MANIFEST), problem };
        let odd = |error: toml::de::Error| problem(describe_toml_error(text, &error));
        match toml::from_str::<Kind>(text).map_err(odd)?.kind {
            PackageKind::Sphinx => {
                let manifest: Manifest<SphinxTable> = toml::from_str(text).map_err(odd)?;
                Package::described(manifest, directory, SphinxTable::within)
            }
            PackageKind::Ctc => {
                let manifest: Manifest<CtcTable> = toml::from_str(text).map_err(odd)?;
                Package::described(manifest, directory, CtcTable::within)
            }
        }
    }

    fn described<Files>(
        manifest: Manifest<Files>,
        directory: &Path,
        within: impl Fn(Files, &Path) -> PackageFiles,
    ) -> Result<Package, ModelsError> {
        let problem = |problem: String| ModelsError::Manifest { path: directory.join(MANIFEST), problem };
        if manifest.format != 1 {
            return Err(problem(format!(
                "format {} is not known to this version, which reads format 1",
                manifest.format
            )));
        }
        if manifest.name.is_empty() || !manifest.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) {
            return Err(problem(format!("name {:?} must consist of letters, digits, '-', '_' and '.'", manifest.name)));
        }
        if !is_date(&manifest.released) {
            return Err(problem(format!("released {:?} must be a date, YYYY-MM-DD", manifest.released)));
        }
        let mut bands = Vec::new();
        for rate in &manifest.sample_rates {
            let band = [Band::Broadband, Band::Narrowband].into_iter().find(|band| band.sample_rate() == *rate);
            bands.push(band.ok_or_else(|| problem(format!("sample rate {rate} must be 16000 or 8000")))?);
        }
        if bands.is_empty() {
            return Err(problem("sample_rates must name at least one of 16000 and 8000".to_owned()));
        }
        let calibration = manifest.calibration.map(Calibration::new).transpose();
        let calibration = calibration.map_err(|wrong| problem(format!("calibration: {wrong}")))?;
        let mut checksums = BTreeMap::new();
        for (file, sum) in manifest.checksums {
            if sum.len() != 64 || !sum.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(problem(format!("checksum of {} must be 64 hexadecimal digits (SHA-256)", file.display())));
            }
            checksums.insert(directory.join(file), sum.to_ascii_lowercase());
        }
        Ok(Package {
            name: manifest.name,
            language: manifest.language,
            kind: manifest.kind,
            released: manifest.released,
            description: manifest.description,
            licence: manifest.licence,
            bands,
            serves: manifest.serves,
            calibration,
            files: within(manifest.files, directory),
            checksums,
            directory: directory.to_owned(),
        })
    }

    /// The US English package as Debian installs it, or a copy of those files in another directory.
    ///
    /// Checksums are known for Debian's own directory only: whoever names another has their own files.
    pub fn debian(directory: &Path) -> Package {
        let checksums = match directory == Path::new(DEBIAN_DIRECTORY) {
            true => DEBIAN_CHECKSUMS.iter().map(|(file, sum)| (directory.join(file), (*sum).to_owned())).collect(),
            false => BTreeMap::new(),
        };
        Package {
            name: "en-us-ptm".to_owned(),
            language: "en-US".to_owned(),
            kind: PackageKind::Sphinx,
            released: "2022-09-28".to_owned(),
            description:
                "US English of the CMU Sphinx project: phonetically tied mixtures, 5126 senones, trigram model"
                    .to_owned(),
            licence: "BSD-2-Clause".to_owned(),
            bands: vec![Band::Broadband, Band::Narrowband],
            serves: [
                "en-US",
                "en-US_BroadbandModel",
                "en-US_Multimedia",
                "en-US_NarrowbandModel",
                "en-US_ShortForm_NarrowbandModel",
                "en-US_Telephony",
            ]
            .map(str::to_owned)
            .to_vec(),
            calibration: None,
            files: PackageFiles::Sphinx(SphinxFiles::debian(directory)),
            checksums,
            directory: directory.to_owned(),
        }
    }

    /// A neural model as it was published, with nothing that describes it: named like its directory. What language it is for, a part
    /// of that name says, as sherpa-onnx has it (`...-en-...`); it serves the names of that language then, and else those that the
    /// configuration gives it. `None` if the directory has no such files.
    pub fn bare(directory: &Path) -> Option<Package> {
        let has = |name: &str| directory.join(name).is_file();
        if !has("tokens.txt") || !(has("model.onnx") || has("model.int8.onnx")) {
            return None;
        }
        let name = directory
            .file_name()?
            .to_string_lossy()
            .replace(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c), "-");
        let parts = name.split(['-', '_', '.']);
        let language = parts.filter_map(language_of).next().unwrap_or(UNKNOWN);
        let serves = if language == UNKNOWN { Vec::new() } else { catalogue::names_of(language) };
        Some(Package {
            name,
            language: language.to_owned(),
            kind: PackageKind::Ctc,
            released: "1970-01-01".to_owned(),
            description: "a neural model without package.toml".to_owned(),
            licence: "unknown".to_owned(),
            bands: vec![Band::Broadband],
            serves,
            calibration: None,
            files: PackageFiles::Ctc(CtcFiles { network: directory.to_owned(), language_model: None, words: None }),
            checksums: BTreeMap::new(),
            directory: directory.to_owned(),
        })
    }
}

/// Language tag of what says nothing of its language.
const UNKNOWN: &str = "und";

/// The language that a part of a directory's name stands for, in the region that most clients ask for.
fn language_of(part: &str) -> Option<&'static str> {
    const LANGUAGES: [(&str, &str); 14] = [
        ("en", "en-US"),
        ("es", "es-ES"),
        ("de", "de-DE"),
        ("fr", "fr-FR"),
        ("it", "it-IT"),
        ("pt", "pt-BR"),
        ("nl", "nl-NL"),
        ("ja", "ja-JP"),
        ("ko", "ko-KR"),
        ("zh", "zh-CN"),
        ("ar", "ar-MS"),
        ("cs", "cs-CZ"),
        ("hi", "hi-IN"),
        ("sv", "sv-SE"),
    ];
    LANGUAGES.iter().find(|(code, _)| *code == part).map(|&(_, tag)| tag)
}

/// Files of `pocketsphinx-en-us` 0.8+5prealpha+1-15 (Debian 12).
const DEBIAN_CHECKSUMS: [(&str, &str); 9] = [
    ("cmudict-en-us.dict", "9de99dd2a24b63c653c1c30ab39388d05185cae36d0875f15c319b4ad6dc43af"),
    ("en-us.lm.bin", "db21d0642286677699e6dbc859d2e5395570222361999387ce60f6e1d01995d6"),
    ("en-us/feat.params", "9f8058c107ebbc42abef6d39c67c6aedbcf60ac371332e550994e12a0392cb02"),
    ("en-us/mdef", "2360f9a86889c1cfee8bd618a0269387911e5fb2920a594f506b18b8c79683b0"),
    ("en-us/means", "832019e32cac12eb318964f96f469034acb12d0348eeddc3831831a100cb4dd4"),
    ("en-us/noisedict", "7295b07df2c204c4f87c6782b6be1a3859d7006d4e3864181c955d6dab105a33"),
    ("en-us/sendump", "8c9564c0d5bef69ca9d9bf1014abe162f071644cf02cf1fa8a483c3dc165a7a8"),
    ("en-us/transition_matrices", "c1f7f28ea43177be734be1f88bd7f1b9a853d0e660f8599c67c6eaeca8bb539a"),
    ("en-us/variances", "b00d696f85e96834fc10f8e5f06428d8c4db6bffdbe5845b6f69bf6efbc48fa5"),
];

fn is_date(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').collect();
    let digits = |part: &str, count| part.len() == count && part.bytes().all(|b| b.is_ascii_digit());
    matches!(parts[..], [year, month, day] if digits(year, 4) && digits(month, 2) && digits(day, 2))
}

/// One line with the line number, instead of the multi-line excerpt that the TOML reader prints.
fn describe_toml_error(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().lines().next().unwrap_or_default();
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = r#"
format = 1
name = "fi-small"
language = "fi-FI"
kind = "sphinx"
released = "2024-02-29"
sample_rates = [16000]
serves = ["fi-FI_BroadbandModel"]
[files]
acoustic = "am"
dictionary = "fi.dict"
noise_dictionary = "am/noisedict"
language_model = "/models/fi.lm.bin"
[checksums]
"fi.dict" = "9DE99DD2A24B63C653C1C30AB39388D05185CAE36D0875F15C319B4AD6DC43AF"
"#;

    #[test]
    fn reads_a_manifest_relative_to_its_directory() {
        let package = Package::parse(GOOD, Path::new("/srv/fi")).unwrap();
        let PackageFiles::Sphinx(files) = package.files else { panic!("{:?}", package.files) };
        assert_eq!(files.acoustic, Path::new("/srv/fi/am"));
        assert_eq!(files.language_model, Path::new("/models/fi.lm.bin"));
        assert_eq!(package.bands, [Band::Broadband]);
        assert!(package.checksums[Path::new("/srv/fi/fi.dict")].starts_with("9de99dd2"));
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        let cases = [
            (GOOD.replace("format = 1", "format = 2"), "format 2 is not known"),
            (GOOD.replace("sphinx", "sphynx"), "line 5: unknown variant `sphynx`"),
            (GOOD.replace("[16000]", "[44100]"), "sample rate 44100 must be 16000 or 8000"),
            (GOOD.replace("[16000]", "[]"), "at least one of"),
            (GOOD.replace("2024-02-29", "yesterday"), "must be a date"),
            (GOOD.replace("9DE99", "9DE9"), "64 hexadecimal digits"),
            (GOOD.replace("fi-small", "fi/small"), "must consist of letters"),
            (GOOD.replace("[files]", "calibration = [[0.5, 1.0], [0.2, 1.0]]\n[files]"), "posteriors must rise"),
            (GOOD.replace("[files]", "calibration = [[0.5]]\n[files]"), "line 9: "),
            (GOOD.replace("acoustic", "accoustic"), "line 10: unknown field `accoustic`"),
            (GOOD.replace("language = \"fi-FI\"", ""), "missing field `language`"),
            ("name = ".to_owned(), "line 1"),
        ];
        for (text, expected) in cases {
            let message = Package::parse(&text, Path::new("/srv/fi")).unwrap_err().to_string();
            assert!(message.contains(expected), "{message:?} should contain {expected:?}");
            assert!(message.starts_with("/srv/fi/package.toml: "), "{message:?}");
            assert!(!message.contains('\n'), "{message:?}");
        }
    }

    #[test]
    fn own_copies_of_the_debian_files_have_no_recorded_checksums() {
        assert_eq!(Package::debian(Path::new(DEBIAN_DIRECTORY)).checksums.len(), DEBIAN_CHECKSUMS.len());
        assert!(Package::debian(Path::new("/srv/mine")).checksums.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_is_a_package_or_an_error(text in "(?s).{0,400}") {
            let _ = Package::parse(&text, Path::new("/x"));
        }

        #[test]
        fn damaged_manifests_do_not_panic(at in 0..GOOD.len(), byte in any::<u8>()) {
            let mut bytes = GOOD.as_bytes().to_vec();
            bytes[at] = byte;
            if let Ok(text) = std::str::from_utf8(&bytes) {
                let _ = Package::parse(text, Path::new("/x"));
            }
        }
    }
}
