//! What exporters write into a network's metadata, read with bounds.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// The metadata of a network. Errors are sentences without the file's name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Metadata<'m> {
    entries: &'m BTreeMap<String, String>,
}

impl<'m> Metadata<'m> {
    pub fn new(entries: &'m BTreeMap<String, String>) -> Metadata<'m> {
        Metadata { entries }
    }

    /// An entry's text, without blanks around it.
    pub fn text(&self, key: &str) -> Option<&'m str> {
        self.entries.get(key).map(|text| text.trim())
    }

    /// A whole number, if it is there.
    pub fn optional(&self, key: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, String> {
        self.text(key).map(|text| number(key, text, &range)).transpose()
    }

    /// A whole number that must be there.
    pub fn number(&self, key: &str, range: RangeInclusive<usize>) -> Result<usize, String> {
        self.optional(key, range)?.ok_or_else(|| missing(key))
    }

    /// Whole numbers with commas between them.
    pub fn list(&self, key: &str, range: RangeInclusive<usize>) -> Result<Vec<usize>, String> {
        let text = self.text(key).ok_or_else(|| missing(key))?;
        text.split(',').map(|item| number(key, item.trim(), &range)).collect()
    }
}

fn missing(key: &str) -> String {
    format!("its metadata lack {key:?}, which this kind of model has when it is exported for sherpa-onnx")
}

fn number(key: &str, text: &str, range: &RangeInclusive<usize>) -> Result<usize, String> {
    text.parse().ok().filter(|number| range.contains(number)).ok_or_else(|| {
        let shown: String = text.chars().take(40).collect();
        format!("its metadata have {shown:?} as {key:?}: expected a number from {} to {}", range.start(), range.end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_lists_within_bounds() {
        let entries: BTreeMap<String, String> = [("T", " 45 "), ("dims", "192, 256,384"), ("bad", "-1"), ("empty", "")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        let metadata = Metadata::new(&entries);
        assert_eq!(metadata.number("T", 1..=100), Ok(45));
        assert_eq!(metadata.list("dims", 1..=1000), Ok(vec![192, 256, 384]));
        assert_eq!(metadata.optional("none", 1..=2), Ok(None));
        assert!(metadata.number("T", 1..=44).unwrap_err().contains("1 to 44"));
        assert!(metadata.number("none", 1..=2).unwrap_err().contains("\"none\""));
        assert!(metadata.number("bad", 0..=2).is_err() && metadata.list("empty", 0..=2).is_err());
    }
}
