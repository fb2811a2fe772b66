//! Which package answers to which model name, and the recognisers loaded so far.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use dictum_neural::{Runtime, load_onnx_runtime};
use parking_lot::Mutex;

use crate::calibration::Calibration;
use crate::catalogue::{self, Bandwidth, CatalogueEntry};
use crate::error::{ModelsError, NameError};
use crate::package::{DEBIAN_DIRECTORY, MANIFEST, Package};
use crate::recogniser::{Band, Recogniser};
use crate::tuning::Tuning;

/// The model that answers when a request names none (MODEL-01).
pub const DEFAULT_MODEL: &str = "en-US_BroadbandModel";

/// What the registry is built from.
#[derive(Debug, Clone, PartialEq)]
pub struct RegistryConfig {
    /// Directories of packages, or of directories of packages. Earlier ones win where two serve the same name.
    pub package_dirs: Vec<PathBuf>,
    /// Where the files of Debian's `pocketsphinx-en-us` are; they serve what no package of `package_dirs` does. `None`: do
    /// without them.
    pub default_package: Option<PathBuf>,
    /// Further model names, each with the name of the package that serves it; they win over what packages say.
    pub names: BTreeMap<String, String>,
    /// The model that answers when a request names none.
    pub default_model: String,
    /// Leave confidences uncalibrated, to estimate a calibration from them.
    pub uncalibrated: bool,
    /// What runs the networks of neural models.
    pub runtime: Runtime,
    /// The shared library of ONNX Runtime, where that runs them. `None`: where `ORT_DYLIB_PATH` says, or the system finds it.
    pub onnx_runtime: Option<PathBuf>,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        RegistryConfig {
            package_dirs: Vec::new(),
            default_package: Some(PathBuf::from(DEBIAN_DIRECTORY)),
            names: BTreeMap::new(),
            default_model: DEFAULT_MODEL.to_owned(),
            uncalibrated: false,
            runtime: Runtime::default(),
            onnx_runtime: None,
        }
    }
}

/// A model name that is served, with its properties and the package behind it.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    /// What the name promises.
    pub info: Arc<CatalogueEntry>,
    /// The package that serves it.
    pub package: Arc<Package>,
}

impl ModelEntry {
    /// The band in which audio sampled at `source_rate` Hz is heard, or `None` when the rate is below the model's
    /// minimum (REC-L10, MODEL-08).
    ///
    /// A package that hears one band only is given that band whatever the name says: a telephony name served by a
    /// wideband-only package is a matter of the operator's configuration.
    pub fn band_for(&self, source_rate: u32) -> Option<Band> {
        if source_rate < self.info.rate() {
            return None;
        }
        let wanted = match self.info.bandwidth {
            Bandwidth::Broadband => Band::Broadband,
            Bandwidth::Narrowband => Band::Narrowband,
            Bandwidth::Either if source_rate >= Band::Broadband.sample_rate() => Band::Broadband,
            Bandwidth::Either => Band::Narrowband,
        };
        match self.package.bands.contains(&wanted) {
            true => Some(wanted),
            false => self.package.bands.first().copied(),
        }
    }

    /// The version clients see, e.g. `en-US_BroadbandModel.v2022-09-28` (MODEL-07).
    pub fn version(&self) -> String {
        format!("{}.v{}", self.info.name, self.package.released)
    }
}

/// A package and its recogniser, once that is loaded.
struct Slot {
    package: Arc<Package>,
    /// Locked while loading, so that of several sessions that want the same model one loads it and the others wait.
    recogniser: Mutex<Option<Arc<Recogniser>>>,
}

/// The installed packages, the names they answer to, and the recognisers loaded so far.
pub struct Registry {
    slots: BTreeMap<String, Slot>,
    entries: BTreeMap<String, ModelEntry>,
    default_model: String,
    uncalibrated: bool,
    runtime: Runtime,
}

impl Registry {
    /// Finds the packages and maps the names. Reads manifests only; models are loaded by [`Registry::recogniser`]. That the runtime
    /// of neural models is there is seen to here, so that it is not missed when somebody speaks.
    pub fn open(config: &RegistryConfig) -> Result<Registry, ModelsError> {
        if let Runtime::OnnxRuntime(_) = config.runtime {
            load_onnx_runtime(config.onnx_runtime.as_deref())?;
        }
        let mut packages = Vec::new();
        for directory in &config.package_dirs {
            packages.extend(packages_in(directory)?);
        }
        if let Some(directory) = config.default_package.as_deref().filter(|directory| directory.exists()) {
            packages.push(match directory.join(MANIFEST).exists() {
                true => Package::open(directory)?,
                false => Package::debian(directory),
            });
        }
        if packages.is_empty() {
            let looked = config.package_dirs.iter().chain(&config.default_package);
            let looked = looked.map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ");
            return Err(ModelsError::NothingInstalled {
                looked: if looked.is_empty() { "the configuration".into() } else { looked },
            });
        }

        let mut slots: BTreeMap<String, Slot> = BTreeMap::new();
        let mut entries = BTreeMap::new();
        for package in packages {
            if let Some(first) = slots.get(&package.name) {
                return Err(ModelsError::SameName {
                    name: package.name,
                    first: first.package.directory.clone(),
                    second: package.directory,
                });
            }
            let package = Arc::new(package);
            for name in &package.serves {
                let info = properties(name).ok_or_else(|| ModelsError::Manifest {
                    path: package.directory.join(MANIFEST),
                    problem: format!("serves {name:?}, which says neither language nor kind; names look like en-US_BroadbandModel, en-US_Telephony or en-US"),
                })?;
                let package = Arc::clone(&package);
                entries.entry(info.name.clone()).or_insert(ModelEntry { info: Arc::new(info), package });
            }
            slots.insert(package.name.clone(), Slot { package, recogniser: Mutex::new(None) });
        }
        for (model, package) in &config.names {
            let info = properties(model).ok_or_else(|| ModelsError::OddName { model: model.clone() })?;
            let slot = slots.get(package).ok_or_else(|| ModelsError::NoSuchPackage {
                model: model.clone(),
                package: package.clone(),
                installed: slots.keys().cloned().collect::<Vec<_>>().join(", "),
            })?;
            let package = Arc::clone(&slot.package);
            entries.insert(info.name.clone(), ModelEntry { info: Arc::new(info), package });
        }
        Ok(Registry {
            slots,
            entries,
            default_model: config.default_model.clone(),
            uncalibrated: config.uncalibrated,
            runtime: config.runtime,
        })
    }

    /// The model of a name, by its present or a former spelling (MODEL-03, MODEL-05).
    pub fn resolve(&self, name: &str) -> Result<ModelEntry, NameError> {
        match self.entries.get(catalogue::current_name(name)) {
            Some(entry) => Ok(entry.clone()),
            None if catalogue::find(name).is_some() => Err(NameError::NotInstalled(name.to_owned())),
            None => Err(NameError::Unknown(name.to_owned())),
        }
    }

    /// The name that answers when a request names none; it need not be installed (MODEL-01).
    pub fn default_model(&self) -> &str {
        &self.default_model
    }

    /// The names that are served, in alphabetical order.
    pub fn installed(&self) -> Vec<&ModelEntry> {
        self.entries.values().collect()
    }

    /// The installed packages, by name.
    pub fn packages(&self) -> Vec<&Package> {
        self.slots.values().map(|slot| slot.package.as_ref()).collect()
    }

    /// The recogniser of a model. The first call for a package loads it, which takes seconds and a CPU: not on an async
    /// task. Calls meanwhile wait for it; names served by the same package share one recogniser.
    pub fn recogniser(&self, entry: &ModelEntry) -> Result<Arc<Recogniser>, ModelsError> {
        self.load_package(&entry.package.name)
    }

    /// The recogniser of a package, whichever names lead to it; as [`Registry::recogniser`].
    pub fn load_package(&self, name: &str) -> Result<Arc<Recogniser>, ModelsError> {
        let slot = self
            .slots
            .get(name)
            .ok_or_else(|| ModelsError::Damaged { package: name.to_owned(), problem: "is not installed".to_owned() })?;
        let mut recogniser = slot.recogniser.lock();
        if let Some(recogniser) = recogniser.as_ref() {
            return Ok(Arc::clone(recogniser));
        }
        let began = Instant::now();
        let loaded = Arc::new(self.load(&slot.package)?);
        tracing::info!(package = name, seconds = began.elapsed().as_secs_f64(), "model loaded");
        *recogniser = Some(Arc::clone(&loaded));
        Ok(loaded)
    }

    fn load(&self, package: &Package) -> Result<Recogniser, ModelsError> {
        crate::check::files_present(package)?;
        let mut tuning = Tuning::of(package);
        if self.uncalibrated {
            tuning.calibration = Calibration::NONE;
        }
        Recogniser::load_with(package, tuning, self.runtime)
    }

    /// Whether the recogniser of a model is loaded already. Does not wait.
    pub fn is_loaded(&self, entry: &ModelEntry) -> bool {
        let slot = self.slots.get(&entry.package.name);
        slot.and_then(|slot| slot.recogniser.try_lock()).is_some_and(|recogniser| recogniser.is_some())
    }
}

/// The properties of a name of the catalogue, or of one made up on its pattern.
fn properties(name: &str) -> Option<CatalogueEntry> {
    catalogue::find(name).cloned().or_else(|| catalogue::on_pattern(name))
}

/// The package in `directory`, or those in its subdirectories, in alphabetical order.
fn packages_in(directory: &Path) -> Result<Vec<Package>, ModelsError> {
    if let Some(package) = package_in(directory)? {
        return Ok(vec![package]);
    }
    let read = |source| ModelsError::Read { path: directory.to_owned(), source };
    let mut inner = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(read)? {
        inner.push(entry.map_err(read)?.path());
    }
    inner.sort();
    inner.iter().filter_map(|inner| package_in(inner).transpose()).collect()
}

/// The package whose files are in `directory` itself.
fn package_in(directory: &Path) -> Result<Option<Package>, ModelsError> {
    match directory.join(MANIFEST).exists() {
        true => Package::open(directory).map(Some),
        false => Ok(Package::bare(directory)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST_TEXT: &str = r#"
format = 1
name = "NAME"
language = "fi-FI"
kind = "sphinx"
released = "2024-02-29"
sample_rates = [16000]
serves = ["fi-FI_BroadbandModel", "SERVES"]
[files]
acoustic = "am"
dictionary = "fi.dict"
noise_dictionary = "am/noisedict"
language_model = "fi.lm.bin"
"#;

    fn directory_with(packages: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, serves) in packages {
            let directory = root.path().join(name);
            std::fs::create_dir(&directory).unwrap();
            let text = MANIFEST_TEXT.replace("NAME", name).replace("SERVES", serves);
            std::fs::write(directory.join(MANIFEST), text).unwrap();
        }
        root
    }

    fn config(root: &Path) -> RegistryConfig {
        RegistryConfig { package_dirs: vec![root.to_owned()], default_package: None, ..RegistryConfig::default() }
    }

    #[test]
    fn the_debian_package_serves_six_names() {
        // An existing directory is enough: opening a registry reads no model files.
        let root = tempfile::tempdir().unwrap();
        let config = RegistryConfig { default_package: Some(root.path().to_owned()), ..RegistryConfig::default() };
        let registry = Registry::open(&config).unwrap();
        let names: Vec<_> = registry.installed().iter().map(|entry| entry.info.name.clone()).collect();
        assert_eq!(
            names,
            [
                "en-US",
                "en-US_BroadbandModel",
                "en-US_Multimedia",
                "en-US_NarrowbandModel",
                "en-US_ShortForm_NarrowbandModel",
                "en-US_Telephony"
            ]
        );
        assert_eq!(registry.default_model(), "en-US_BroadbandModel");
        assert_eq!(registry.resolve("en-US_BroadbandModel").unwrap().version(), "en-US_BroadbandModel.v2022-09-28");
    }

    /// MODEL-03
    #[test]
    fn tells_unknown_names_from_names_that_are_not_installed() {
        let root = directory_with(&[("one", "en-GB_Telephony")]);
        let registry = Registry::open(&config(root.path())).unwrap();
        assert_eq!(registry.resolve("xx-XX_Nonsense").unwrap_err(), NameError::Unknown("xx-XX_Nonsense".into()));
        assert_eq!(registry.resolve("xx-XX_Nonsense").unwrap_err().to_string(), "Model 'xx-XX_Nonsense' not found");
        let missing = registry.resolve("de-DE_BroadbandModel").unwrap_err();
        assert_eq!(missing, NameError::NotInstalled("de-DE_BroadbandModel".into()));
        assert_eq!(missing.to_string(), "Requested model is not available");
    }

    /// MODEL-05
    #[test]
    fn former_names_answer_with_the_present_one() {
        let root = directory_with(&[("one", "en-GB_BroadbandModel")]);
        let registry = Registry::open(&config(root.path())).unwrap();
        assert_eq!(registry.resolve("en-UK_BroadbandModel").unwrap().info.name, "en-GB_BroadbandModel");
    }

    /// REC-L10, MODEL-06, MODEL-08
    #[test]
    fn the_band_follows_name_and_rate() {
        let root = tempfile::tempdir().unwrap();
        let config = RegistryConfig { default_package: Some(root.path().to_owned()), ..RegistryConfig::default() };
        let registry = Registry::open(&config).unwrap();
        let band = |name, rate| registry.resolve(name).unwrap().band_for(rate);
        assert_eq!(band("en-US_BroadbandModel", 8_000), None);
        assert_eq!(band("en-US_BroadbandModel", 44_100), Some(Band::Broadband));
        assert_eq!(band("en-US_Telephony", 44_100), Some(Band::Narrowband));
        assert_eq!(band("en-US_Telephony", 7_999), None);
        assert_eq!(band("en-US", 8_000), Some(Band::Narrowband));
        assert_eq!(band("en-US", 16_000), Some(Band::Broadband));
    }

    #[test]
    fn the_first_package_that_serves_a_name_wins_unless_the_configuration_says_otherwise() {
        let root = directory_with(&[("b", "fi-FI_Telephony"), ("a", "fi-FI")]);
        let mut config = config(root.path());
        let registry = Registry::open(&config).unwrap();
        assert_eq!(registry.resolve("fi-FI_BroadbandModel").unwrap().package.name, "a");
        config.names.insert("fi-FI_BroadbandModel".into(), "b".into());
        config.names.insert("sv-SE_Telephony".into(), "a".into());
        let registry = Registry::open(&config).unwrap();
        assert_eq!(registry.resolve("fi-FI_BroadbandModel").unwrap().package.name, "b");
        assert_eq!(registry.resolve("sv-SE_Telephony").unwrap().package.name, "a");
    }

    #[test]
    fn configuration_mistakes_are_told() {
        let root = directory_with(&[("a", "fi-FI")]);
        let mut with_unknown_package = config(root.path());
        with_unknown_package.names.insert("fi-FI_Telephony".into(), "c".into());
        let message = Registry::open(&with_unknown_package).err().unwrap().to_string();
        assert!(
            message.contains("maps model fi-FI_Telephony to package \"c\"") && message.contains("installed: a"),
            "{message}"
        );

        let mut with_odd_name = config(root.path());
        with_odd_name.names.insert("what?".into(), "a".into());
        assert!(matches!(Registry::open(&with_odd_name), Err(ModelsError::OddName { .. })));

        let mut twice = config(root.path());
        twice.package_dirs.push(root.path().join("a"));
        assert!(matches!(Registry::open(&twice), Err(ModelsError::SameName { .. })));

        let mut nothing = config(root.path());
        nothing.package_dirs.clear();
        nothing.default_package = Some(root.path().join("absent"));
        let message = Registry::open(&nothing).err().unwrap().to_string();
        assert!(message.contains("apt-get install pocketsphinx-en-us"), "{message}");
    }

    #[test]
    fn a_package_is_loaded_once_whoever_asks() {
        if !Path::new(DEBIAN_DIRECTORY).exists() {
            println!("skipped: a_package_is_loaded_once_whoever_asks: {DEBIAN_DIRECTORY} is not installed");
            return;
        }
        let registry = Registry::open(&RegistryConfig::default()).unwrap();
        let load = |name: &str| registry.recogniser(&registry.resolve(name).unwrap()).unwrap();
        let loaded = std::thread::scope(|scope| {
            let names = ["en-US", "en-US_BroadbandModel", "en-US_Telephony", "en-US"];
            let threads = names.map(|name| scope.spawn(move || load(name)));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(loaded.iter().all(|recogniser| Arc::ptr_eq(recogniser, &loaded[0])));
        assert!(registry.installed().iter().all(|entry| registry.is_loaded(entry)));
    }

    #[test]
    fn missing_files_are_named_when_the_model_is_loaded() {
        let root = directory_with(&[("a", "fi-FI")]);
        let registry = Registry::open(&config(root.path())).unwrap();
        let entry = registry.resolve("fi-FI").unwrap();
        let message = registry.recogniser(&entry).err().unwrap().to_string();
        assert!(message.contains("model package \"a\"") && message.contains("am"), "{message}");
        assert!(!registry.is_loaded(&entry));
    }
}
