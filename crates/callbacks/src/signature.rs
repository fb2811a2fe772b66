//! Signatures of what is sent (async.md section 2).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;

/// The hash of `X-Callback-Signature`: base64 of an HMAC over the exact bytes, keyed with the `user_secret`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// HMAC-SHA1, as the API reference has it.
    #[default]
    Sha1,
    /// HMAC-SHA256, as later documentation has it.
    Sha256,
}

impl Signature {
    /// The value of the header for `message`.
    pub fn sign(self, secret: &str, message: &[u8]) -> String {
        match self {
            Signature::Sha1 => encoded::<Hmac<Sha1>>(secret, message),
            Signature::Sha256 => encoded::<Hmac<Sha256>>(secret, message),
        }
    }
}

fn encoded<M: Mac + KeyInit>(secret: &str, message: &[u8]) -> String {
    // An HMAC takes keys of any length.
    let Ok(mac) = <M as KeyInit>::new_from_slice(secret.as_bytes()) else { return String::new() };
    STANDARD.encode(mac.chain_update(message).finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 2202 case 2 and RFC 4231 case 2, in base64.
    #[test]
    fn known_answers() {
        let message = b"what do ya want for nothing?";
        assert_eq!(Signature::Sha1.sign("Jefe", message), "7/zfauXrL6LSdBbV8YTfnCWafHk=");
        assert_eq!(Signature::Sha256.sign("Jefe", message), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
        assert_eq!(Signature::Sha1.sign("", b""), "+9sdGxiqbAgyS31ktx+3Y3BpDh0=", "an empty secret is one");
    }
}
