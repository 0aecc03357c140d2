//! Refresh tokens: opaque, kept as hashes, each replaced at its use.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use crate::problem::{Code, Problem};

/// How long a session may last at all, in seconds: 14 days.
pub(crate) const SESSION_SECONDS: i64 = 14 * 86_400;

/// 256 random bits as text.
pub(crate) fn random() -> Result<String, Problem> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| Problem::caused(Code::Internal, error))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is stored of a secret text.
pub(crate) fn hash(text: &str) -> Vec<u8> {
    hash_bytes(text.as_bytes())
}

/// As [`hash`], of bytes.
pub(crate) fn hash_bytes(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

/// The token that follows this one. Always the same, so that two tabs that refresh at once end with
/// one token; unknowable without our key.
pub(crate) fn successor(key: &SecretString, token: &str) -> Result<String, Problem> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.expose_secret().as_bytes())
        .map_err(|error| Problem::caused(Code::Internal, error))?;
    mac.update(b"refresh:");
    mac.update(token.as_bytes());
    Ok(URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}
