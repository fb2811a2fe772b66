//! What a parameter's value may be, and reading it from a query or from JSON.

use serde_json::Value as Json;

/// The value of a parameter, read and in range.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A switch.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// A string.
    Text(String),
    /// Several strings.
    List(Vec<String>),
}

/// What values a parameter takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// `true` or `false`, also `1`, `0` and any capitals (REC-P1).
    Flag,
    /// A whole number from `least` to `most`, but not `except`. `2.0` is one.
    Integer {
        /// Least value.
        least: i64,
        /// Greatest value.
        most: i64,
        /// A value in the range that is not allowed all the same.
        except: Option<i64>,
    },
    /// A number from `least` to `most`.
    Number {
        /// Least value.
        least: f64,
        /// Greatest value.
        most: f64,
    },
    /// A string of at most so many characters.
    Text {
        /// Most characters.
        longest: usize,
    },
    /// A GUID in its 36-character form.
    Guid,
    /// Strings: a JSON array, or one query value with commas (REC-P2).
    List {
        /// Most items.
        items: usize,
        /// Most characters of an item.
        longest: usize,
    },
}

/// Why a value was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// Not of the kind at all.
    WrongType,
    /// Of the kind, but out of range.
    OutOfRange,
    /// An item of a list is too long.
    LongItem(String),
}

impl Kind {
    /// Reads a query value. `None`: there is nothing in it, as if the parameter had not been given.
    pub fn read_text(&self, text: &str) -> Result<Option<Value>, Refusal> {
        let trimmed = text.trim();
        let value = match *self {
            Kind::Flag => Value::Flag(match trimmed.to_ascii_lowercase().as_str() {
                "true" | "1" => true,
                "false" | "0" => false,
                _ => return Err(Refusal::WrongType),
            }),
            Kind::Integer { least, most, except } => {
                let number = whole_number(trimmed).ok_or(Refusal::WrongType)?;
                if number < least || number > most || except == Some(number) {
                    return Err(Refusal::OutOfRange);
                }
                Value::Integer(number)
            }
            Kind::Number { least, most } => {
                let number: f64 = trimmed.parse().map_err(|_| Refusal::WrongType)?;
                // Not a number (NaN) is in no range.
                if !(least..=most).contains(&number) {
                    return Err(Refusal::OutOfRange);
                }
                Value::Number(number)
            }
            Kind::Text { longest } => {
                if trimmed.is_empty() {
                    return Ok(None);
                }
                if trimmed.chars().count() > longest {
                    return Err(Refusal::OutOfRange);
                }
                Value::Text(trimmed.to_owned())
            }
            Kind::Guid => {
                if trimmed.is_empty() {
                    return Ok(None);
                }
                if !is_guid(trimmed) {
                    return Err(Refusal::WrongType);
                }
                Value::Text(trimmed.to_ascii_lowercase())
            }
            Kind::List { .. } => return self.read_list(text.split(',').map(str::to_owned)),
        };
        Ok(Some(value))
    }

    /// Reads a JSON member. Numbers and switches may be strings; `null` is as good as absent (SDK-11).
    pub fn read_json(&self, json: &Json) -> Result<Option<Value>, Refusal> {
        match (self, json) {
            (_, Json::Null) => Ok(None),
            (Kind::List { .. }, Json::Array(items)) => {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>();
                self.read_list(items.ok_or(Refusal::WrongType)?.into_iter())
            }
            (_, Json::String(text)) => self.read_text(text),
            (Kind::Flag | Kind::Integer { .. } | Kind::Number { .. }, Json::Bool(_) | Json::Number(_)) => {
                self.read_text(&json.to_string())
            }
            _ => Err(Refusal::WrongType),
        }
    }

    fn read_list(&self, items: impl Iterator<Item = String>) -> Result<Option<Value>, Refusal> {
        let Kind::List { items: most, longest } = *self else { return Err(Refusal::WrongType) };
        let items: Vec<String> = items.map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect();
        if items.len() > most {
            return Err(Refusal::OutOfRange);
        }
        match items.iter().find(|item| item.chars().count() > longest) {
            Some(item) => Err(Refusal::LongItem(item.clone())),
            None if items.is_empty() => Ok(None),
            None => Ok(Some(Value::List(items))),
        }
    }

    /// What is expected, for people: in errors and in the documentation.
    pub fn expected(&self) -> String {
        match *self {
            Kind::Flag => "true or false".to_owned(),
            Kind::Integer { least, most, except } => {
                let range = match most {
                    i64::MAX => format!("a whole number, {least} or more"),
                    _ => format!("a whole number from {least} to {most}"),
                };
                except.map_or(range.clone(), |except| format!("{range}, not {except}"))
            }
            Kind::Number { least, most } if most == f64::MAX => format!("a number, {least:?} or more"),
            Kind::Number { least, most } => format!("a number from {least:?} to {most:?}"),
            Kind::Text { longest } => format!("text of at most {longest} characters"),
            Kind::Guid => "a GUID".to_owned(),
            Kind::List { items, longest } => format!("at most {items} strings of at most {longest} characters"),
        }
    }
}

fn whole_number(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let number: f64 = text.parse().ok()?;
        (number.fract() == 0.0 && number.abs() < 1e15).then_some(number as i64)
    })
}

/// Whether a string has the form of a GUID: groups of 8, 4, 4, 4 and 12 hexadecimal digits.
pub fn is_guid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 5
        && groups
            .iter()
            .zip([8, 4, 4, 4, 12])
            .all(|(group, length)| group.len() == length && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// What a value becomes in [`Settings`](super::Settings).
pub(super) trait Stored: Sized {
    fn stored(value: Value) -> Option<Self>;
}

macro_rules! stored {
    ($($type:ty: $variant:ident),+) => { $(
        impl Stored for $type {
            fn stored(value: Value) -> Option<Self> {
                match value { Value::$variant(inner) => Some(inner), _ => None }
            }
        }
    )+ };
}
stored!(bool: Flag, i64: Integer, f64: Number, String: Text, Vec<String>: List);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LIST: Kind = Kind::List { items: 3, longest: 5 };

    /// REC-P1
    #[test]
    fn flags() {
        for (text, flag) in [("true", true), ("True", true), ("1", true), ("FALSE", false), ("0", false)] {
            assert_eq!(Kind::Flag.read_text(text), Ok(Some(Value::Flag(flag))), "{text}");
        }
        for text in ["", "yes", "2", "truefalse"] {
            assert_eq!(Kind::Flag.read_text(text), Err(Refusal::WrongType), "{text}");
        }
        assert_eq!(Kind::Flag.read_json(&json!(true)), Ok(Some(Value::Flag(true))));
        assert_eq!(Kind::Flag.read_json(&json!("false")), Ok(Some(Value::Flag(false))));
        assert_eq!(Kind::Flag.read_json(&json!(null)), Ok(None));
        assert_eq!(Kind::Flag.read_json(&json!([true])), Err(Refusal::WrongType));
    }

    /// REC-P4
    #[test]
    fn numbers() {
        let unit = Kind::Number { least: 0.0, most: 1.0 };
        for (text, number) in [("0", 0.0), ("1.0", 1.0), ("5e-1", 0.5)] {
            assert_eq!(unit.read_text(text), Ok(Some(Value::Number(number))), "{text}");
        }
        for text in ["1.1", "-0.1", "NaN", "inf"] {
            assert_eq!(unit.read_text(text), Err(Refusal::OutOfRange), "{text}");
        }
        for text in ["", "half", "0.5.1"] {
            assert_eq!(unit.read_text(text), Err(Refusal::WrongType), "{text}");
        }
        let version = Kind::Integer { least: 0, most: 2, except: None };
        assert_eq!(version.read_text("2.0"), Ok(Some(Value::Integer(2))));
        assert_eq!(version.read_json(&json!(2.0)), Ok(Some(Value::Integer(2))));
        assert_eq!(version.read_json(&json!("1")), Ok(Some(Value::Integer(1))));
        assert_eq!(version.read_text("1.5"), Err(Refusal::WrongType));
        assert_eq!(version.read_text("99999999999999999999"), Err(Refusal::WrongType));
        assert_eq!(version.read_text("3"), Err(Refusal::OutOfRange));
        let timeout = Kind::Integer { least: -1, most: i64::MAX, except: Some(0) };
        assert_eq!(timeout.read_text("0"), Err(Refusal::OutOfRange));
        assert_eq!(timeout.read_text("-1"), Ok(Some(Value::Integer(-1))));
    }

    /// REC-P2
    #[test]
    fn lists() {
        let list = |items: &[&str]| Ok(Some(Value::List(items.iter().map(|item| (*item).to_owned()).collect())));
        assert_eq!(LIST.read_text("a,b c, d"), list(&["a", "b c", "d"]));
        assert_eq!(LIST.read_text(",,"), Ok(None));
        assert_eq!(LIST.read_json(&json!(["a,b", "c"])), list(&["a,b", "c"]));
        assert_eq!(LIST.read_text("a,b,c,d"), Err(Refusal::OutOfRange));
        assert_eq!(LIST.read_text("a,bbbbbb"), Err(Refusal::LongItem("bbbbbb".into())));
        assert_eq!(LIST.read_text("ééééé"), list(&["ééééé"]), "characters, not bytes");
        assert_eq!(LIST.read_json(&json!([1])), Err(Refusal::WrongType));
    }

    #[test]
    fn guids() {
        assert!(is_guid("74f4807e-b5ff-4866-824e-6bba1a84fe96"));
        for text in [
            "74f4807e-b5ff-4866-824e-6bba1a84fe9",
            "74f4807eb5ff4866824e6bba1a84fe96",
            "zzf4807e-b5ff-4866-824e-6bba1a84fe96",
            "",
        ] {
            assert!(!is_guid(text), "{text}");
        }
        let upper = "74F4807E-B5FF-4866-824E-6BBA1A84FE96";
        assert_eq!(Kind::Guid.read_text(upper), Ok(Some(Value::Text(upper.to_lowercase()))));
    }
}
