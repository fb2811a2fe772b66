//! The audio types a client may declare, and how they are written in a header.

use std::fmt;

use thiserror::Error;

/// Highest sampling rate (Hz) that is taken for a rate and not for a mistake. FLAC, the most
/// generous of the formats, ends at 655 350 Hz.
pub const MAX_SAMPLE_RATE: u32 = 768_000;

/// Most channels of `audio/l16`.
pub const MAX_L16_CHANNELS: u16 = 16;

/// Most channels of `audio/wav`.
pub const MAX_WAV_CHANNELS: u16 = 9;

/// Order of the bytes in a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endianness {
    /// Most significant byte first: network order, the default of RFC 2586.
    Big,
    /// Least significant byte first: what sound cards and WAV files have, and most clients send.
    Little,
}

/// Codec inside an Ogg or WebM container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// Opus, RFC 6716.
    Opus,
    /// Vorbis I.
    Vorbis,
}

/// What the client says its audio is.
///
/// [`ContentType::parse`] reads a `Content-Type` header; [`Display`](fmt::Display) prints the
/// canonical form (lower case, no spaces, only the parameters that mean something).
///
/// ```
/// use dictum_audio::{ContentType, Endianness};
///
/// let ty = ContentType::parse(Some("Audio/L16; Rate=16000 ; endianness=little-endian")).unwrap();
/// assert_eq!(
///     ty,
///     ContentType::L16 { rate: 16_000, channels: 1, endianness: Some(Endianness::Little) }
/// );
/// assert_eq!(ty.to_string(), "audio/l16;rate=16000;endianness=little-endian");
/// assert_eq!(ContentType::parse(None).unwrap(), ContentType::Auto);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ContentType {
    /// `application/octet-stream`, or nothing said: found out from the content. WAV, FLAC, Ogg,
    /// WebM and MPEG audio tell what they are; raw formats do not.
    Auto,
    /// `audio/alaw`: G.711 A-law, one channel, `rate` Hz.
    Alaw {
        /// Sampling rate in Hz.
        rate: u32,
    },
    /// `audio/basic`: G.711 mu-law, one channel, 8000 Hz (RFC 2046).
    Basic,
    /// `audio/flac`.
    Flac,
    /// `audio/g729`: G.729 or its Annex D, 8000 Hz. Decoded by an `ffmpeg` program.
    G729,
    /// `audio/l16`: 16-bit linear PCM without a header.
    L16 {
        /// Sampling rate in Hz.
        rate: u32,
        /// Interleaved channels, 1 to [`MAX_L16_CHANNELS`].
        channels: u16,
        /// Byte order; `None`: found out from the samples.
        endianness: Option<Endianness>,
    },
    /// `audio/mp3`, a synonym of `audio/mpeg`.
    Mp3,
    /// `audio/mpeg`: MPEG-1, -2 and -2.5 audio, layers I to III.
    Mpeg,
    /// `audio/mulaw`: G.711 mu-law, one channel, `rate` Hz.
    Mulaw {
        /// Sampling rate in Hz.
        rate: u32,
    },
    /// `audio/ogg`, with the codec when it was named.
    Ogg {
        /// Codec; `None`: found out from the content.
        codec: Option<Codec>,
    },
    /// `audio/wav`: RIFF, RIFX or RF64, any encoding this crate knows.
    Wav,
    /// `audio/webm`, with the codec when it was named.
    Webm {
        /// Codec; `None`: found out from the content.
        codec: Option<Codec>,
    },
}

/// Why a `Content-Type` header does not name audio that can be decoded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ContentTypeError {
    /// The type is none of the table (415).
    #[error("Unsupported Media Type: {0}")]
    Unsupported(String),
    /// A raw type came without its rate (400).
    #[error("{0} needs its sampling rate: send for example `{0};rate=16000`")]
    MissingRate(&'static str),
    /// A parameter has a value that cannot be (400).
    #[error("Content-Type parameter {name}={value} is not valid: {expected}")]
    BadParameter {
        /// Name of the parameter.
        name: &'static str,
        /// Its value as sent.
        value: String,
        /// What is valid.
        expected: &'static str,
    },
}

impl ContentType {
    /// Reads the value of a `Content-Type` header (or of the `content-type` of a WebSocket start
    /// message); `None` and blank mean [`ContentType::Auto`].
    ///
    /// Names are matched without case, spaces around `;` and `=` and quoted values are accepted,
    /// parameters that mean nothing here are ignored (REC-F1). Of a parameter given twice the first
    /// counts.
    ///
    /// # Errors
    /// A type outside the table (REC-F4), a raw type without `rate` (REC-F2), or a parameter with
    /// an impossible value.
    pub fn parse(header: Option<&str>) -> Result<ContentType, ContentTypeError> {
        let header = header.unwrap_or("").trim();
        if header.is_empty() {
            return Ok(ContentType::Auto);
        }
        let (name, rest) = header.split_once(';').unwrap_or((header, ""));
        let name = name.trim().to_ascii_lowercase();
        let parameters = parameters(rest);
        let find = |key: &str| parameters.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str());
        let unsupported = || ContentTypeError::Unsupported(header.to_owned());
        Ok(match name.as_str() {
            "application/octet-stream" => ContentType::Auto,
            "audio/alaw" => ContentType::Alaw { rate: rate(find("rate"), "audio/alaw")? },
            "audio/basic" => ContentType::Basic,
            "audio/flac" => ContentType::Flac,
            "audio/g729" => ContentType::G729,
            "audio/l16" => ContentType::L16 {
                rate: rate(find("rate"), "audio/l16")?,
                channels: channels(find("channels"))?,
                endianness: endianness(find("endianness"))?,
            },
            "audio/mp3" => ContentType::Mp3,
            "audio/mpeg" => ContentType::Mpeg,
            "audio/mulaw" => ContentType::Mulaw { rate: rate(find("rate"), "audio/mulaw")? },
            "audio/ogg" => ContentType::Ogg { codec: codec(find("codecs")).map_err(|()| unsupported())? },
            "audio/wav" => ContentType::Wav,
            "audio/webm" => ContentType::Webm { codec: codec(find("codecs")).map_err(|()| unsupported())? },
            _ => return Err(unsupported()),
        })
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ContentType::Auto => f.write_str("application/octet-stream"),
            ContentType::Alaw { rate } => write!(f, "audio/alaw;rate={rate}"),
            ContentType::Basic => f.write_str("audio/basic"),
            ContentType::Flac => f.write_str("audio/flac"),
            ContentType::G729 => f.write_str("audio/g729"),
            ContentType::L16 { rate, channels, endianness } => {
                write!(f, "audio/l16;rate={rate}")?;
                if *channels != 1 {
                    write!(f, ";channels={channels}")?;
                }
                match endianness {
                    Some(Endianness::Big) => f.write_str(";endianness=big-endian"),
                    Some(Endianness::Little) => f.write_str(";endianness=little-endian"),
                    None => Ok(()),
                }
            }
            ContentType::Mp3 => f.write_str("audio/mp3"),
            ContentType::Mpeg => f.write_str("audio/mpeg"),
            ContentType::Mulaw { rate } => write!(f, "audio/mulaw;rate={rate}"),
            ContentType::Ogg { codec } => container(f, "audio/ogg", *codec),
            ContentType::Wav => f.write_str("audio/wav"),
            ContentType::Webm { codec } => container(f, "audio/webm", *codec),
        }
    }
}

fn container(f: &mut fmt::Formatter<'_>, name: &str, codec: Option<Codec>) -> fmt::Result {
    match codec {
        Some(Codec::Opus) => write!(f, "{name};codecs=opus"),
        Some(Codec::Vorbis) => write!(f, "{name};codecs=vorbis"),
        None => f.write_str(name),
    }
}

/// Splits `a=b; c="d;e"` into lower-cased names and unquoted values.
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut chars = text.chars().peekable();
    while chars.peek().is_some() {
        let mut name = String::new();
        let mut value = String::new();
        let mut in_value = false;
        while let Some(c) = chars.next() {
            match c {
                ';' => break,
                '=' if !in_value => in_value = true,
                '"' if in_value => quoted(&mut chars, &mut value),
                c if in_value => value.push(c),
                c => name.push(c),
            }
        }
        if in_value {
            found.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    found
}

/// The rest of a quoted string, up to and without its closing quote.
fn quoted(chars: &mut impl Iterator<Item = char>, value: &mut String) {
    while let Some(c) = chars.next() {
        match c {
            '"' => return,
            '\\' => value.extend(chars.next()),
            c => value.push(c),
        }
    }
}

fn rate(value: Option<&str>, name: &'static str) -> Result<u32, ContentTypeError> {
    let value = value.ok_or(ContentTypeError::MissingRate(name))?;
    value.parse().ok().filter(|rate| (1..=MAX_SAMPLE_RATE).contains(rate)).ok_or_else(|| {
        ContentTypeError::BadParameter {
            name: "rate",
            value: value.to_owned(),
            expected: "a whole number of samples per second, 1 to 768000",
        }
    })
}

fn channels(value: Option<&str>) -> Result<u16, ContentTypeError> {
    let Some(value) = value else { return Ok(1) };
    value.parse().ok().filter(|n| (1..=MAX_L16_CHANNELS).contains(n)).ok_or_else(|| ContentTypeError::BadParameter {
        name: "channels",
        value: value.to_owned(),
        expected: "a whole number, 1 to 16",
    })
}

fn endianness(value: Option<&str>) -> Result<Option<Endianness>, ContentTypeError> {
    let Some(value) = value else { return Ok(None) };
    match value.to_ascii_lowercase().as_str() {
        "big-endian" => Ok(Some(Endianness::Big)),
        "little-endian" => Ok(Some(Endianness::Little)),
        _ => Err(ContentTypeError::BadParameter {
            name: "endianness",
            value: value.to_owned(),
            expected: "big-endian or little-endian",
        }),
    }
}

fn codec(value: Option<&str>) -> Result<Option<Codec>, ()> {
    let Some(value) = value else { return Ok(None) };
    match value.to_ascii_lowercase().as_str() {
        "opus" => Ok(Some(Codec::Opus)),
        "vorbis" => Ok(Some(Codec::Vorbis)),
        "" => Ok(None),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ContentType, ContentTypeError> {
        ContentType::parse(Some(text))
    }

    #[test]
    fn every_type_of_the_table_is_known_and_prints_itself() {
        let table = [
            "application/octet-stream",
            "audio/alaw;rate=8000",
            "audio/basic",
            "audio/flac",
            "audio/g729",
            "audio/l16;rate=16000",
            "audio/l16;rate=44100;channels=2;endianness=big-endian",
            "audio/mp3",
            "audio/mpeg",
            "audio/mulaw;rate=8000",
            "audio/ogg",
            "audio/ogg;codecs=opus",
            "audio/ogg;codecs=vorbis",
            "audio/wav",
            "audio/webm",
            "audio/webm;codecs=opus",
            "audio/webm;codecs=vorbis",
        ];
        for text in table {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn absent_and_blank_mean_detect() {
        assert_eq!(ContentType::parse(None), Ok(ContentType::Auto));
        assert_eq!(parse("  "), Ok(ContentType::Auto));
    }

    #[test]
    fn rec_f1_case_spaces_quotes_and_unknown_parameters() {
        let l16 = ContentType::L16 { rate: 44_100, channels: 1, endianness: None };
        assert_eq!(parse("audio/l16; rate=44100"), Ok(l16.clone()));
        assert_eq!(parse("AUDIO/L16 ;RATE = \"44100\" ; x=y;"), Ok(l16));
        assert_eq!(parse("audio/ogg; codec=opus"), Ok(ContentType::Ogg { codec: None }));
        assert_eq!(
            parse("audio/webm;note=\"a;codecs=vorbis\";codecs=\"Opus\""),
            Ok(ContentType::Webm { codec: Some(Codec::Opus) })
        );
    }

    #[test]
    fn rec_f2_raw_types_need_a_rate() {
        for name in ["audio/alaw", "audio/l16", "audio/mulaw"] {
            assert_eq!(parse(name), Err(ContentTypeError::MissingRate(name)), "{name}");
            for rate in ["0", "-8000", "8k", "", "9999999999", "768001"] {
                let text = format!("{name};rate={rate}");
                let bad = matches!(parse(&text), Err(ContentTypeError::BadParameter { name: "rate", .. }));
                assert!(bad, "{text}");
            }
        }
    }

    #[test]
    fn rec_f4_everything_else_is_unsupported() {
        for text in [
            "audio/aac",
            "video/webm",
            "video/mp4",
            "application/json",
            "application/x-www-form-urlencoded",
            "audio/ogg;codecs=speex",
            "nonsense",
            "audio",
            ";rate=8000",
        ] {
            assert!(matches!(parse(text), Err(ContentTypeError::Unsupported(_))), "{text}");
        }
    }

    #[test]
    fn l16_channels_and_endianness_are_checked() {
        for text in [
            "audio/l16;rate=8000;channels=0",
            "audio/l16;rate=8000;channels=17",
            "audio/l16;rate=8000;channels=x",
            "audio/l16;rate=8000;endianness=middle",
        ] {
            assert!(matches!(parse(text), Err(ContentTypeError::BadParameter { .. })), "{text}");
        }
    }
}
