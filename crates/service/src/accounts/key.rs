//! API keys: `dictum-ID-SECRET`, 16 and 64 hexadecimal digits.

use std::fmt;

use sha2::{Digest, Sha256};

/// Beginning of every key, by which people and scanners for leaked secrets know it.
const PREFIX: &str = "dictum-";
const ID_DIGITS: usize = 16;
const SECRET_DIGITS: usize = 64;

/// A new API key: 256 random bits behind an id of 64 more. It can be shown once and is stored as a hash.
pub struct ApiKey {
    text: String,
}

impl ApiKey {
    /// A key from the system's source of randomness.
    pub(crate) fn generate() -> Result<ApiKey, getrandom::Error> {
        let mut bytes = [0; (ID_DIGITS + SECRET_DIGITS) / 2];
        getrandom::fill(&mut bytes)?;
        let (id, secret) = bytes.split_at(ID_DIGITS / 2);
        Ok(ApiKey { text: format!("{PREFIX}{}-{}", hex::encode(id), hex::encode(secret)) })
    }

    /// The key, to be shown to its owner.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The part by which it is known.
    pub fn id(&self) -> &str {
        &self.text[PREFIX.len()..PREFIX.len() + ID_DIGITS]
    }

    /// What is stored of it.
    pub(crate) fn hash(&self) -> [u8; 32] {
        hash(&self.text)
    }
}

/// Keeps the secret out of logs and messages.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}, ...)", self.id())
    }
}

/// The id in what may be a key; `None` when it does not look like one.
pub(crate) fn id_of(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('-')?;
    let digits = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let good = id.len() == ID_DIGITS && secret.len() == SECRET_DIGITS && digits(id) && digits(secret);
    good.then_some(id)
}

/// SHA-256. A slow hash is for passwords that can be guessed; nobody guesses 256 random bits.
pub(crate) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_carry_their_id_and_differ() {
        let (one, two) = (ApiKey::generate().unwrap(), ApiKey::generate().unwrap());
        assert_eq!(id_of(one.text()), Some(one.id()));
        assert_eq!(one.text().len(), 88);
        assert_ne!(one.id(), two.id());
        assert_ne!(one.hash(), two.hash());
        assert!(!format!("{one:?}").contains(&one.text()[24..]));
    }

    #[test]
    fn only_keys_look_like_keys() {
        let key = ApiKey::generate().unwrap();
        let text = key.text();
        for bad in [
            "",
            "dictum-",
            "dictum--",
            &text[1..],
            &text[..87],
            &format!("{text}0"),
            &format!("{text} "),
            &text.to_uppercase(),
            &text.replacen('-', "_", 1),
            &text.replace(&text[30..31], "é"),
            &format!("dictum-{}-{}", "0".repeat(15), "0".repeat(65)),
        ] {
            assert_eq!(id_of(bad), None, "{bad}");
        }
    }
}
