//! The secrets that prove who speaks: of our app, and of the accounts that trust it.

use secrecy::SecretString;

/// An X app as registered with X. `Debug` shows no secret.
#[derive(Debug, Clone)]
pub struct AppSecrets {
    /// Our name for the app, the last part of its webhook path.
    pub name: String,
    /// The app's consumer (API) key; not a secret, it travels in every request.
    pub consumer_key: String,
    /// Signs requests, and proves webhooks and CRC answers.
    pub consumer_secret: SecretString,
    /// The secret before a rotation: webhooks signed with it are still accepted.
    pub previous_consumer_secret: Option<SecretString>,
}

/// The OAuth 1.0a token of one account. It doesn't expire; it dies by revocation.
#[derive(Debug, Clone)]
pub struct UserCredentials {
    /// The access token.
    pub token: SecretString,
    /// The secret that belongs to it.
    pub secret: SecretString,
}
