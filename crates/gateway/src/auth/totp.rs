//! One-time codes (RFC 6238: SHA-1, 6 digits, 30 s) and recovery codes.

use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use roost_domain::ids::UserId;
use roost_store::accounts::factors;
use roost_store::seal::Place;
use sha1::Sha1;
use subtle::ConstantTimeEq as _;

use super::refresh::hash;
use crate::app::App;
use crate::problem::{Code, Problem};

const STEP_SECONDS: i64 = 30;
const DIGITS: u32 = 6;
/// Steps before and after now that are taken: clocks differ.
const DRIFT: i64 = 1;
/// As RFC 4226 recommends, in bytes.
const SECRET_BYTES: usize = 20;
/// Recovery codes that a person gets.
const RECOVERY_CODES: usize = 10;
/// 80 bits: too many to try out against a stolen hash.
const RECOVERY_BYTES: usize = 10;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret.
pub(crate) fn new_secret() -> Result<Vec<u8>, Problem> {
    random::<SECRET_BYTES>().map(|bytes| bytes.to_vec())
}

/// Where a person's secret is sealed.
pub(crate) fn seal(app: &App, user: UserId, secret: &[u8]) -> Result<Vec<u8>, Problem> {
    let row = [user.0.as_bytes().as_slice()];
    let place = Place::new("users", "totp_secret", &row);
    Ok(app.sealer.install().seal(&place, secret)?)
}

/// What [`seal`] sealed.
pub(crate) fn open(app: &App, user: UserId, sealed: &[u8]) -> Result<Vec<u8>, Problem> {
    let row = [user.0.as_bytes().as_slice()];
    let place = Place::new("users", "totp_secret", &row);
    Ok(app.sealer.install().open(&place, sealed)?)
}

/// What an authenticator app reads.
pub(crate) fn otpauth_url(secret: &[u8], email: &str) -> String {
    let escape = |text: &str| -> String {
        text.bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                    char::from(byte).to_string()
                }
                _ => format!("%{byte:02X}"),
            })
            .collect()
    };
    format!(
        "otpauth://totp/Roost:{}?secret={}&issuer=Roost&algorithm=SHA1&digits={DIGITS}&period={STEP_SECONDS}",
        escape(email),
        base32(secret),
    )
}

/// The step whose code this is, if it is one of now.
pub(crate) fn step_of(secret: &[u8], code: &str, now: Timestamp) -> Option<i64> {
    let step = now.as_second().div_euclid(STEP_SECONDS);
    (step - DRIFT..=step + DRIFT).find(|step| {
        let right = code_at(secret, *step).unwrap_or_default();
        !right.is_empty() && bool::from(right.as_bytes().ct_eq(code.as_bytes()))
    })
}

fn code_at(secret: &[u8], step: i64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(secret).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last()? & 0x0f);
    let bytes: [u8; 4] = digest.get(offset..offset + 4)?.try_into().ok()?;
    let number = u32::from_be_bytes(bytes) & 0x7fff_ffff;
    Some(format!("{:06}", number % 10_u32.pow(DIGITS)))
}

/// Recovery codes, and what is kept of them.
pub(crate) fn recovery_codes() -> Result<(Vec<String>, Vec<Vec<u8>>), Problem> {
    let mut codes = Vec::with_capacity(RECOVERY_CODES);
    for _ in 0..RECOVERY_CODES {
        let text = base32(&random::<RECOVERY_BYTES>()?).to_lowercase();
        let parts: Vec<&str> = (0..4).filter_map(|n| text.get(n * 4..n * 4 + 4)).collect();
        codes.push(parts.join("-"));
    }
    let hashes = codes.iter().map(|code| recovery_hash(code)).collect();
    Ok((codes, hashes))
}

fn recovery_hash(code: &str) -> Vec<u8> {
    let plain: String = code
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_lowercase())
        .collect();
    hash(&plain)
}

/// What somebody gives as a second factor, ready to be used up in a transaction.
#[derive(Debug, Clone)]
pub(crate) struct Given {
    /// The step whose code it is; else it can only be a recovery code.
    pub(crate) step: Option<i64>,
    /// As which a recovery code is kept.
    pub(crate) recovery: Vec<u8>,
}

/// Looks at a code of the app or a recovery code; only [`factors::spend`] tells whether it is good.
pub(crate) fn given(app: &App, user: UserId, sealed: &[u8], code: &str) -> Result<Given, Problem> {
    let secret = open(app, user, sealed)?;
    let code = code.trim();
    Ok(Given {
        step: step_of(&secret, code, Timestamp::now()),
        recovery: recovery_hash(code),
    })
}

/// Whether a code is right; it is used up by that.
pub(crate) async fn spend(
    app: &App,
    user: UserId,
    sealed: &[u8],
    code: &str,
) -> Result<bool, Problem> {
    let Given { step, recovery } = given(app, user, sealed, code)?;
    let is_right = app.store.system(move |tx| {
        Box::pin(async move { factors::spend(tx.conn(), user, step, &recovery).await })
    });
    Ok(is_right.await?)
}

fn random<const N: usize>() -> Result<[u8; N], Problem> {
    let mut bytes = [0_u8; N];
    getrandom::fill(&mut bytes).map_err(|error| Problem::caused(Code::Internal, error))?;
    Ok(bytes)
}

/// RFC 4648 without padding; lengths here are whole groups of 5 bytes.
pub(crate) fn base32(bytes: &[u8]) -> String {
    bytes
        .chunks(5)
        .flat_map(|chunk| {
            let number = chunk
                .iter()
                .fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
            (0..8).rev().map(move |place| {
                let index = usize::try_from(number >> (place * 5) & 31).unwrap_or_default();
                char::from(BASE32[index])
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_rfc() {
        // RFC 6238, appendix B, cut to six digits.
        let secret = b"12345678901234567890";
        for (second, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_234_567_890, "005924"),
            (20_000_000_000, "353130"),
        ] {
            let now = Timestamp::from_second(second).unwrap();
            assert_eq!(step_of(secret, code, now), Some(second / 30));
            let later = Timestamp::from_second(second + 30).unwrap();
            assert_eq!(step_of(secret, code, later), Some(second / 30));
            let too_late = Timestamp::from_second(second + 60).unwrap();
            assert_eq!(step_of(secret, code, too_late), None);
        }
        assert_eq!(step_of(secret, "", Timestamp::UNIX_EPOCH), None);
    }

    #[test]
    fn secrets_are_written_as_apps_read_them() {
        assert_eq!(
            base32(b"12345678901234567890"),
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
        );
        let url = otpauth_url(b"12345678901234567890", "a+b@c.example");
        assert!(url.starts_with("otpauth://totp/Roost:a%2Bb%40c.example?secret=GEZDGNBV"));
    }

    #[test]
    fn recovery_codes_differ_and_may_be_typed_anyhow() {
        let (codes, hashes) = recovery_codes().unwrap();
        assert_eq!((codes.len(), hashes.len()), (10, 10));
        let mut different = hashes.clone();
        different.sort();
        different.dedup();
        assert_eq!(different.len(), 10);
        let typed = codes[0].replace('-', " ").to_uppercase();
        assert_eq!(recovery_hash(&typed), hashes[0]);
        assert_eq!(codes[0].len(), 19);
    }
}
