//! Tokens: JSON web tokens signed with HMAC-SHA-256 (RFC 7515, RFC 7519), as SDKs can read them (AUTH-20).
//!
//! Only what [`TokenSigner::issue`] makes is understood: the header is compared as a whole, so there is no algorithm to choose
//! and none to be talked out of.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::digest::Key;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::Principal;

/// `{"alg":"HS256","typ":"JWT"}`
const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
const ISSUER: &str = "dictum";
/// A token of ours has about 300 bytes.
const LONGEST_TOKEN: usize = 2048;

/// A token and when it was made and ends, in seconds since 1970.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Three base64url segments.
    pub text: String,
    /// Its `iat`.
    pub issued_at: u64,
    /// Its `exp`: from then on it is refused.
    pub expires_at: u64,
}

/// Keeps the token out of logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    /// Id of the key that the token was given for.
    sub: String,
    instance: String,
    iat: u64,
    exp: u64,
}

/// Makes tokens and checks them.
pub(crate) struct TokenSigner {
    mac: Hmac<Sha256>,
    lifetime: Duration,
}

impl TokenSigner {
    pub(crate) fn new(secret: &[u8; 32], lifetime: Duration) -> TokenSigner {
        // A short key is as good as one padded with zeros (RFC 2104).
        let mut key = Key::<Hmac<Sha256>>::default();
        key[..secret.len()].copy_from_slice(secret);
        TokenSigner { mac: Hmac::new(&key), lifetime }
    }

    /// A token for a client, made at `now`.
    pub(crate) fn issue(&self, principal: &Principal, now: SystemTime) -> Token {
        let issued_at = seconds(now);
        let expires_at = issued_at + self.lifetime.as_secs().max(1);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub: principal.key.clone().unwrap_or_default(),
            instance: principal.instance.clone(),
            iat: issued_at,
            exp: expires_at,
        };
        // Strings and numbers always serialise.
        let claims = serde_json::to_vec(&claims).unwrap_or_default();
        let signed = format!("{HEADER}.{}", URL_SAFE_NO_PAD.encode(claims));
        let signature = self.mac.clone().chain_update(&signed).finalize().into_bytes();
        Token { text: format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)), issued_at, expires_at }
    }

    /// Whom a token was given to, if it is one of ours and `now` is before its end. Whether its key still stands is another
    /// question.
    pub(crate) fn verify(&self, text: &str, now: SystemTime) -> Option<Principal> {
        if text.len() > LONGEST_TOKEN {
            return None;
        }
        let (signed, signature) = text.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac.clone().chain_update(signed).verify_slice(&signature).ok()?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        let good = header == HEADER && claims.iss == ISSUER && seconds(now) < claims.exp;
        good.then(|| Principal { instance: claims.instance, key: Some(claims.sub).filter(|key| !key.is_empty()) })
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: SystemTime = UNIX_EPOCH;

    fn signer() -> TokenSigner {
        TokenSigner::new(&[5; 32], Duration::from_secs(3600))
    }

    fn principal() -> Principal {
        Principal { instance: "an-instance".to_owned(), key: Some("0123456789abcdef".to_owned()) }
    }

    fn segment(text: &str, number: usize) -> Value {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text.split('.').nth(number).unwrap()).unwrap()).unwrap()
    }

    fn encoded(value: &Value) -> String {
        URL_SAFE_NO_PAD.encode(value.to_string())
    }

    /// AUTH-20
    #[test]
    fn tokens_are_what_sdks_read() {
        let at = NOW + Duration::from_millis(1_600_000_000_900);
        let token = signer().issue(&principal(), at);
        assert_eq!(token.text.split('.').count(), 3);
        assert_eq!(segment(&token.text, 0), json!({ "alg": "HS256", "typ": "JWT" }));
        let claims = segment(&token.text, 1);
        assert_eq!((&claims["iat"], &claims["exp"]), (&json!(1_600_000_000), &json!(1_600_003_600)));
        assert_eq!((token.issued_at, token.expires_at), (1_600_000_000, 1_600_003_600));
        assert!(!format!("{token:?}").contains(&token.text));
    }

    /// The example of RFC 7515, appendix A.1, with its key: the signature is over the bytes as they were sent.
    #[test]
    fn signatures_are_those_of_the_standard() {
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        let mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = URL_SAFE_NO_PAD.encode(mac.chain_update(signed).finalize().into_bytes());
        assert_eq!(signature, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        // And a short key is that key padded.
        let short = Hmac::<Sha256>::new_from_slice(&[5; 32]).unwrap();
        let expected = short.chain_update("x").finalize().into_bytes();
        assert_eq!(signer().mac.clone().chain_update("x").finalize().into_bytes(), expected);
    }

    #[test]
    fn tokens_are_good_until_their_end_only() {
        let token = signer().issue(&principal(), NOW);
        let at = |seconds: u64| signer().verify(&token.text, NOW + Duration::from_secs(seconds));
        assert_eq!(at(0), Some(principal()));
        assert_eq!(at(3599), Some(principal()));
        assert_eq!(at(3600), None);
        assert_eq!(at(u64::from(u32::MAX)), None);
        // A clock that was set back does not make a token worthless.
        let later = signer().issue(&principal(), NOW + Duration::from_secs(100));
        assert_eq!(signer().verify(&later.text, NOW), Some(principal()));
    }

    #[test]
    fn tampering_is_noticed() {
        let good = signer().issue(&principal(), NOW).text;
        let verify = |text: &str| signer().verify(text, NOW);
        assert!(verify(&good).is_some());
        // Any one character changed, removed or added.
        for at in 0..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(verify(std::str::from_utf8(&bytes).unwrap()), None, "{at}");
            bytes.remove(at);
            assert_eq!(verify(std::str::from_utf8(&bytes).unwrap()), None, "{at} removed");
        }
        for added in ["A", "=", ".", " ", "\0"] {
            assert_eq!(verify(&format!("{good}{added}")), None, "{added:?} added");
            assert_eq!(verify(&format!("{added}{good}")), None, "{added:?} before");
        }
        assert!(TokenSigner::new(&[6; 32], Duration::from_secs(1)).verify(&good, NOW).is_none(), "another server's");
    }

    #[test]
    fn the_algorithm_is_not_negotiable() {
        let signer = signer();
        let claims = json!({ "iss": "dictum", "sub": "k", "instance": "i", "iat": 0, "exp": 9_999 });
        let sign = |header: &Value, claims: &Value| {
            let signed = format!("{}.{}", encoded(header), encoded(claims));
            let signature = signer.mac.clone().chain_update(&signed).finalize().into_bytes();
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
        };
        let ours = json!({ "alg": "HS256", "typ": "JWT" });
        assert!(signer.verify(&sign(&ours, &claims), NOW).is_some());
        for alg in ["none", "None", "HS512", "RS256", ""] {
            let header = json!({ "alg": alg, "typ": "JWT" });
            let unsigned = format!("{}.{}.", encoded(&header), encoded(&claims));
            assert_eq!(signer.verify(&unsigned, NOW), None, "{alg} without signature");
            assert_eq!(signer.verify(&sign(&header, &claims), NOW), None, "{alg} signed");
        }
        // Signed, but not what is issued.
        for (member, value) in [("exp", json!("9999")), ("exp", json!(-1)), ("iss", json!("other")), ("sub", json!(7))]
        {
            let mut claims = claims.clone();
            claims[member] = value;
            assert_eq!(signer.verify(&sign(&ours, &claims), NOW), None, "{member}");
        }
    }

    #[test]
    fn junk_is_not_a_token() {
        let long = "a".repeat(1 << 20);
        for junk in ["", ".", "..", "...", "a.b.c", "é.é.é", "{}.{}.{}", &long, &format!("{HEADER}.{long}.{long}")] {
            assert_eq!(signer().verify(junk, NOW), None);
        }
    }
}
