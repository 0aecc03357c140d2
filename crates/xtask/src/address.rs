//! The parts of a service's URL.

use anyhow::{Context as _, Result};

/// `scheme://user:password@host:port/path?query`, percent-decoded where it matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) user: String,
    pub(crate) password: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// Without its first slash; as written, since a vhost may hold an encoded slash.
    pub(crate) path: String,
}

impl Address {
    /// Reads a URL; `default_port` is used when it names none.
    ///
    /// # Errors
    /// When it has no scheme or host, or a port that isn't one.
    pub(crate) fn parse(url: &str, default_port: u16) -> Result<Self> {
        let (_, rest) = url.split_once("://").context("no scheme")?;
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (who, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        let (host, port) = match place
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match place.rsplit_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (place, None),
            },
        };
        let port = match port {
            Some(port) => port.parse().context("the port is no number")?,
            None => default_port,
        };
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Self {
            user: decode(user),
            password: decode(password),
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    /// `host:port`, as for a connection.
    pub(crate) fn place(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let escaped = after
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match escaped {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_taken_apart() {
        let address = Address::parse("amqp://a%40b:p%3aw@host:5673/%2f?heartbeat=5", 5672).unwrap();
        assert_eq!(
            address,
            Address {
                user: "a@b".to_owned(),
                password: "p:w".to_owned(),
                host: "host".to_owned(),
                port: 5673,
                path: "%2f".to_owned(),
            }
        );
        let address = Address::parse("redis://[::1]", 6379).unwrap();
        assert_eq!(
            (address.place().as_str(), address.path.as_str()),
            ("[::1]:6379", "")
        );
        assert!(Address::parse("redis://h:port", 6379).is_err());
        assert!(Address::parse("localhost", 1).is_err());
    }
}
