//! The model names that Watson clients send, and what each promises.
//!
//! The names are not installed models: the [registry](crate::registry) says which package answers to which name.
//! A name says how it wants to be treated (which parameters it takes, what rate its audio must have), so two names
//! served by the same package still differ on the wire.

use std::sync::LazyLock;

/// Which generation of models a name belongs to; parameters and defaults depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// `*_BroadbandModel`, `*_NarrowbandModel`: keyword spotting, word alternatives, acoustic customization.
    Previous,
    /// `*_Multimedia`, `*_Telephony`: low latency, character insertion bias.
    Next,
    /// A bare language tag: takes audio of either band.
    Large,
}

impl Generation {
    /// The letter by which the parameter tables know the generation: `P`, `N` or `L`.
    pub fn letter(self) -> char {
        match self {
            Generation::Previous => 'P',
            Generation::Next => 'N',
            Generation::Large => 'L',
        }
    }
}

/// The audio a name takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bandwidth {
    /// Sampled at 16 kHz or more.
    Broadband,
    /// Sampled at 8 kHz or more, heard up to 4 kHz.
    Narrowband,
    /// Sampled at 8 kHz or more, heard up to 8 kHz where the audio reaches that far.
    Either,
}

impl Bandwidth {
    /// Least sampling rate of acceptable audio, Hz: the `rate` of a model document.
    pub fn minimum_rate(self) -> u32 {
        match self {
            Bandwidth::Broadband => 16_000,
            Bandwidth::Narrowband | Bandwidth::Either => 8_000,
        }
    }
}

/// A model name with its documented properties.
#[derive(Debug, Clone, PartialEq)]
pub struct CatalogueEntry {
    /// The name, e.g. `en-US_BroadbandModel`; case matters.
    pub name: String,
    /// Language tag, the part of the name before `_`.
    pub language: String,
    /// The language in English, e.g. `US English`.
    pub language_name: String,
    /// Generation, on which parameters and defaults depend.
    pub generation: Generation,
    /// Audio it takes.
    pub bandwidth: Bandwidth,
    /// One line for people.
    pub description: String,
    /// Whether custom language models can be based on it.
    pub custom_language_model: bool,
    /// Whether custom acoustic models can be based on it.
    pub custom_acoustic_model: bool,
    /// Whether it takes `low_latency`; `None` where the document has no such member.
    pub low_latency: Option<bool>,
    /// Whether grammars can be added to its custom models.
    pub grammars: bool,
    /// Whether a request may ask it for speaker labels. (The model document says `true` for every name; this is what
    /// requests are judged by.)
    pub speaker_labels: bool,
    /// Default `customization_weight`; `None` where there are no custom language models.
    pub customization_weight: Option<f32>,
    /// Whether `speech_detector_sensitivity` and `background_audio_suppression` have an effect.
    pub speech_detection: bool,
}

impl CatalogueEntry {
    /// Least sampling rate of acceptable audio, Hz.
    pub fn rate(&self) -> u32 {
        self.bandwidth.minimum_rate()
    }
}

/// The kinds of names a language has.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Large,
    Broadband,
    Narrowband,
    ShortForm,
    Multimedia,
    Telephony,
    Medical,
}

impl Kind {
    const SUFFIXES: [(Kind, &str); 7] = [
        (Kind::Large, ""),
        (Kind::Broadband, "_BroadbandModel"),
        (Kind::Narrowband, "_NarrowbandModel"),
        (Kind::ShortForm, "_ShortForm_NarrowbandModel"),
        (Kind::Multimedia, "_Multimedia"),
        (Kind::Telephony, "_Telephony"),
        (Kind::Medical, "_Medical_Telephony"),
    ];

    fn suffix(self) -> &'static str {
        Kind::SUFFIXES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, suffix)| suffix)
    }

    fn generation(self) -> Generation {
        match self {
            Kind::Large => Generation::Large,
            Kind::Broadband | Kind::Narrowband | Kind::ShortForm => Generation::Previous,
            Kind::Multimedia | Kind::Telephony | Kind::Medical => Generation::Next,
        }
    }

    fn bandwidth(self) -> Bandwidth {
        match self {
            Kind::Large => Bandwidth::Either,
            Kind::Broadband | Kind::Multimedia => Bandwidth::Broadband,
            Kind::Narrowband | Kind::ShortForm | Kind::Telephony | Kind::Medical => Bandwidth::Narrowband,
        }
    }

    fn description(self, language: &str) -> String {
        match self {
            Kind::Large => format!("Large {language} model"),
            Kind::Broadband => format!("{language} broadband model."),
            Kind::Narrowband => format!("{language} narrowband model."),
            Kind::ShortForm => format!("{language} short-form narrowband model."),
            Kind::Multimedia => {
                format!("{language} multimedia model for broadband audio (16kHz or more)")
            }
            Kind::Telephony => format!("{language} telephony model for narrowband audio (8kHz)"),
            Kind::Medical => {
                format!("{language} medical telephony model for narrowband audio (8kHz)")
            }
        }
    }
}

/// Languages and the kinds each has: `L`arge, `B`roadband, `N`arrowband, `S`hort form, `M`ultimedia, `T`elephony, medical (`D`).
const LANGUAGES: [(&str, &str, &str); 27] = [
    ("ar-MS", "Modern Standard Arabic", "BT"),
    ("cs-CZ", "Czech", "T"),
    ("de-DE", "German", "LBNMT"),
    ("en-AU", "Australian English", "LBNMT"),
    ("en-GB", "UK English", "LBNMT"),
    ("en-IN", "Indian English", "LT"),
    ("en-US", "US English", "LBNSMT"),
    ("en-WW", "English (all dialects)", "D"),
    ("es-AR", "Argentinian Spanish", "LBN"),
    ("es-CL", "Chilean Spanish", "LBN"),
    ("es-CO", "Colombian Spanish", "LBN"),
    ("es-ES", "Castilian Spanish", "LBNMT"),
    ("es-LA", "Latin American Spanish", "T"),
    ("es-MX", "Mexican Spanish", "LBN"),
    ("es-PE", "Peruvian Spanish", "LBN"),
    ("fr-CA", "Canadian French", "LBNMT"),
    ("fr-FR", "French", "LBNMT"),
    ("hi-IN", "Hindi", "T"),
    ("it-IT", "Italian", "LBNMT"),
    ("ja-JP", "Japanese", "LBNMT"),
    ("ko-KR", "Korean", "BNMT"),
    ("nl-BE", "Belgian Dutch", "T"),
    ("nl-NL", "Netherlands Dutch", "LBNMT"),
    ("pt-BR", "Brazilian Portuguese", "LBNMT"),
    ("pt-PT", "European Portuguese", "L"),
    ("sv-SE", "Swedish", "T"),
    ("zh-CN", "Mandarin Chinese", "BNT"),
];

/// Names whose speech detector cannot be adjusted.
const FIXED_SPEECH_DETECTION: [&str; 5] = [
    "ar-MS_BroadbandModel",
    "de-DE_BroadbandModel",
    "pt-BR_BroadbandModel",
    "zh-CN_BroadbandModel",
    "zh-CN_NarrowbandModel",
];

/// Names that were given up, and what they are called now.
const RENAMED: [(&str, &str); 5] = [
    ("ar-AR_BroadbandModel", "ar-MS_BroadbandModel"),
    ("en-UK_BroadbandModel", "en-GB_BroadbandModel"),
    ("en-UK_NarrowbandModel", "en-GB_NarrowbandModel"),
    ("en-UK_Multimedia", "en-GB_Multimedia"),
    ("en-UK_Telephony", "en-GB_Telephony"),
];

fn entry(language: &str, language_name: &str, kind: Kind) -> CatalogueEntry {
    let name = format!("{language}{}", kind.suffix());
    let generation = kind.generation();
    let improved_customization = language.starts_with("en-") || language == "ja-JP";
    let custom_language_model = !(generation == Generation::Previous && matches!(language, "ar-MS" | "zh-CN"));
    let weight = match generation {
        Generation::Previous => 0.3,
        Generation::Next if improved_customization => 0.1,
        Generation::Next => 0.2,
        Generation::Large => 0.5,
    };
    let speaker_labels = match kind {
        Kind::Medical => false,
        Kind::Broadband | Kind::Narrowband | Kind::ShortForm => {
            matches!(language, "en-AU" | "en-US" | "de-DE" | "ja-JP" | "ko-KR")
                || language.starts_with("es-")
                || name == "en-GB_NarrowbandModel"
        }
        Kind::Large | Kind::Multimedia | Kind::Telephony => true,
    };
    CatalogueEntry {
        language: language.to_owned(),
        language_name: language_name.to_owned(),
        generation,
        bandwidth: kind.bandwidth(),
        description: kind.description(language_name),
        custom_language_model,
        custom_acoustic_model: generation == Generation::Previous,
        low_latency: match generation {
            Generation::Previous => None,
            Generation::Next => Some(true),
            Generation::Large => Some(false),
        },
        grammars: custom_language_model && generation != Generation::Large,
        speaker_labels,
        customization_weight: custom_language_model.then_some(weight),
        speech_detection: !FIXED_SPEECH_DETECTION.contains(&name.as_str()),
        name,
    }
}

static CATALOGUE: LazyLock<Vec<CatalogueEntry>> = LazyLock::new(|| {
    let mut entries = Vec::new();
    for (language, language_name, kinds) in LANGUAGES {
        entries.extend(kinds.chars().map(|letter| {
            let kind = match letter {
                'L' => Kind::Large,
                'B' => Kind::Broadband,
                'N' => Kind::Narrowband,
                'S' => Kind::ShortForm,
                'M' => Kind::Multimedia,
                'T' => Kind::Telephony,
                _ => Kind::Medical,
            };
            entry(language, language_name, kind)
        }));
    }
    entries
});

/// Every name of the catalogue, by language.
pub fn catalogue() -> &'static [CatalogueEntry] {
    &CATALOGUE
}

/// The present name of a model that was renamed; any other name as it is.
pub fn current_name(name: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == name).map_or(name, |(_, new)| new)
}

/// The entry of a name, by its present or a former spelling.
pub fn find(name: &str) -> Option<&'static CatalogueEntry> {
    let name = current_name(name);
    CATALOGUE.iter().find(|entry| entry.name == name)
}

/// The entry of a name an operator made up on the pattern of the catalogue's (`fi-FI_BroadbandModel`, `fi-FI_Telephony`,
/// `fi-FI`), for languages the catalogue lacks. `None` when the name does not follow the pattern.
///
/// Only the longest matching suffix counts, so `x-Y_ShortForm_NarrowbandModel` is a short-form name.
pub fn on_pattern(name: &str) -> Option<CatalogueEntry> {
    let (kind, language) = Kind::SUFFIXES
        .iter()
        .filter_map(|(kind, suffix)| name.strip_suffix(suffix).map(|language| (*kind, language)))
        .min_by_key(|(_, language)| language.len())?;
    let well_formed = language.len() >= 2
        && language.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    well_formed.then(|| entry(language, language, kind))
}

/// The documented Watson names of a language; for a language that Watson lacks, the bare tag.
pub fn names_of(language: &str) -> Vec<String> {
    let of_language = catalogue().iter().filter(|entry| entry.language == language);
    let names: Vec<String> = of_language.map(|entry| entry.name.clone()).collect();
    match names.is_empty() {
        true => vec![language.to_owned()],
        false => names,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_89_documented_names_once_each() {
        let mut names: Vec<_> = catalogue().iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names.len(), 89);
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 89);
        for kind in ["_BroadbandModel", "_NarrowbandModel", "_Multimedia", "_Telephony"] {
            let count = names.iter().filter(|name| name.ends_with(kind)).count();
            let expected = match kind {
                "_BroadbandModel" => 19,
                "_NarrowbandModel" => 19,
                "_Multimedia" => 12,
                _ => 21,
            };
            assert_eq!(count, expected, "{kind}");
        }
    }

    #[test]
    fn documented_examples() {
        let broadband = find("en-US_BroadbandModel").unwrap();
        assert_eq!(broadband.description, "US English broadband model.");
        assert_eq!((broadband.rate(), broadband.low_latency), (16_000, None));
        assert!(broadband.custom_language_model && broadband.custom_acoustic_model);
        assert_eq!(broadband.customization_weight, Some(0.3));

        let telephony = find("en-US_Telephony").unwrap();
        assert_eq!(telephony.description, "US English telephony model for narrowband audio (8kHz)");
        assert_eq!((telephony.rate(), telephony.low_latency), (8_000, Some(true)));
        assert!(!telephony.custom_acoustic_model);

        let large = find("en-US").unwrap();
        assert_eq!(large.description, "Large US English model");
        assert_eq!((large.rate(), large.low_latency, large.bandwidth), (8_000, Some(false), Bandwidth::Either));
        assert_eq!((large.customization_weight, large.grammars), (Some(0.5), false));
    }

    #[test]
    fn exceptions_to_the_pattern() {
        assert_eq!(find("ar-MS_BroadbandModel").unwrap().customization_weight, None);
        assert!(!find("zh-CN_NarrowbandModel").unwrap().grammars);
        assert!(find("zh-CN_Telephony").unwrap().custom_language_model);
        assert_eq!(find("ja-JP_Multimedia").unwrap().customization_weight, Some(0.1));
        assert_eq!(find("fr-FR_Multimedia").unwrap().customization_weight, Some(0.2));
        assert!(!find("en-WW_Medical_Telephony").unwrap().speaker_labels);
        assert!(find("en-GB_NarrowbandModel").unwrap().speaker_labels);
        assert!(!find("en-GB_BroadbandModel").unwrap().speaker_labels);
        assert_eq!(catalogue().iter().filter(|entry| !entry.speech_detection).count(), 5);
    }

    /// MODEL-05
    #[test]
    fn renamed_models_keep_their_old_names() {
        assert_eq!(find("ar-AR_BroadbandModel").unwrap().name, "ar-MS_BroadbandModel");
        assert_eq!(find("en-UK_NarrowbandModel").unwrap().name, "en-GB_NarrowbandModel");
        assert!(find("en-us_BroadbandModel").is_none(), "case matters");
    }

    #[test]
    fn names_on_the_pattern_are_understood() {
        let finnish = on_pattern("fi-FI_NarrowbandModel").unwrap();
        assert_eq!((finnish.language.as_str(), finnish.rate()), ("fi-FI", 8_000));
        assert_eq!(on_pattern("fi-FI").unwrap().generation, Generation::Large);
        assert_eq!(on_pattern("en-XX_ShortForm_NarrowbandModel").unwrap().language, "en-XX");
        for bad in ["", "_BroadbandModel", "x", "a b_Telephony", "fi-FI_Whatever", "../x_Telephony"] {
            assert_eq!(on_pattern(bad), None, "{bad:?}");
        }
    }
}
