//! Checks of single values. No check repeats the value: it may be a secret.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;

use crate::config::SecretsKey;

pub(in crate::config) fn check_scheme(text: &str, schemes: &[&str]) -> Result<(), String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    if scheme.is_some_and(|scheme| schemes.contains(&scheme)) {
        Ok(())
    } else {
        Err(format!(
            "must be a URL that starts with {}://",
            schemes.join(":// or ")
        ))
    }
}

pub(in crate::config) fn check_base_url(text: &str) -> Result<(), String> {
    check_scheme(text, &["http", "https"])?;
    if text.ends_with('/') || text.contains(['?', '#', ' ']) {
        return Err("must have no slash at the end, no query and no fragment".to_owned());
    }
    Ok(())
}

pub(in crate::config) fn check_prefix(text: &str) -> Result<(), String> {
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'));
    if plain && (1..=40).contains(&text.len()) {
        Ok(())
    } else {
        Err("must be 1 to 40 of a-z, 0-9, dot, dash, underscore".to_owned())
    }
}

pub(in crate::config) fn check_mailbox(text: &str) -> Result<(), String> {
    let is_one = text.contains('@') && !text.contains(['\r', '\n', ',']);
    if is_one {
        Ok(())
    } else {
        Err("must be one mail address, with or without a name before it".to_owned())
    }
}

pub(in crate::config) fn check_digits(text: &str) -> Result<(), String> {
    if text.bytes().all(|b| b.is_ascii_digit()) {
        Ok(())
    } else {
        Err("must be a number".to_owned())
    }
}

pub(in crate::config) fn check_key(text: &str) -> Result<(), String> {
    decode_key(text)
        .map(|_| ())
        .ok_or_else(|| "must be the base64 of 32 bytes".to_owned())
}

pub(in crate::config) fn decode_key(text: &str) -> Option<[u8; 32]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// Parses `name:key`; what is wrong says which entry is meant as far as that is no secret.
pub(in crate::config) fn parse_secrets_key(
    entry: &str,
    others: &[SecretsKey],
) -> Result<SecretsKey, String> {
    let (id, key) = entry
        .split_once(':')
        .ok_or(": must be a name, a colon and a key")?;
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    if !(1..=32).contains(&id.len()) || !id.bytes().all(plain) {
        return Err(
            ": the name must be 1 to 32 letters, digits, dots, dashes and underscores".to_owned(),
        );
    }
    if others.iter().any(|other| other.id == id) {
        return Err(format!(": the name `{id}` is taken by another"));
    }
    check_key(key).map_err(|why| format!(" (`{id}`): {why}"))?;
    // Moving from one to the other would protect nothing.
    if let Some(same) = others.iter().find(|other| other.key.expose_secret() == key) {
        return Err(format!(" (`{id}`): is the same key as `{}`", same.id));
    }
    Ok(SecretsKey {
        id: id.to_owned(),
        key: key.into(),
    })
}

pub(in crate::config) fn check_jwt_secret(text: &str) -> Result<(), String> {
    if text.chars().count() >= 32 {
        Ok(())
    } else {
        Err("must have at least 32 characters".to_owned())
    }
}
