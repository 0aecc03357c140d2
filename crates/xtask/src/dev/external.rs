//! Our own place inside services that the environment names: a database, a vhost where the
//! broker's management interface lets us make one, and a prefix for all queues and keys.
//! `--reset` removes what we made there; nothing else is touched.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::address::Address;
use crate::backing::Backing;
use crate::build::Binaries;
use crate::http::Request;
use crate::services::Service;
use crate::{process, say, state};

/// Where RabbitMQ's management plugin listens unless it is told otherwise.
const MANAGEMENT_PORT: u16 = 15672;

/// The name of this checkout's database, vhost and prefix.
pub(super) fn name() -> String {
    format!("roost_dev_{}", state::checkout_hash())
}

/// The broker's address: a vhost of our own where one can be had, else the given one, in which
/// the prefix keeps our queues apart.
///
/// # Errors
/// When the URL can't be read, or a private broker was never started.
pub(super) fn broker_url(backing: &mut Backing) -> Result<String> {
    let Some(url) = backing.external(Service::Rabbitmq).map(str::to_owned) else {
        return backing.url(Service::Rabbitmq);
    };
    let address = Address::parse(&url, 5672).context("cannot read ROOST_AMQP_URL")?;
    match make_vhost(&address) {
        Ok(()) => {
            let (front, query) = url
                .split_once('?')
                .map_or((url.as_str(), None), |(front, query)| (front, Some(query)));
            let authority_at = front.find("://").map_or(0, |at| at + 3);
            let end = front
                .get(authority_at..)
                .and_then(|rest| rest.find('/'))
                .map_or(front.len(), |at| authority_at + at);
            let base = front.get(..end).unwrap_or(front);
            let query = query.map(|query| format!("?{query}")).unwrap_or_default();
            Ok(format!("{base}/{}{query}", name()))
        }
        Err(error) => {
            say::step(format!(
                "no vhost of our own ({error:#}): using the one that ROOST_AMQP_URL names, with \
                 the prefix {}",
                name()
            ));
            Ok(url)
        }
    }
}

fn make_vhost(address: &Address) -> Result<()> {
    management("PUT", address, &format!("/api/vhosts/{}", name()), true)?;
    let path = format!("/api/permissions/{}/{}", name(), encode(&address.user));
    management("PUT", address, &path, true)
}

fn management(method: &str, address: &Address, path: &str, with_body: bool) -> Result<()> {
    let who = STANDARD.encode(format!("{}:{}", address.user, address.password));
    let url = format!("http://{}:{MANAGEMENT_PORT}{path}", address.host);
    let mut request = Request::new(method, url).header("authorization", format!("Basic {who}"));
    if with_body {
        // The vhost call ignores what it doesn't know.
        request = request.json(&json!({"configure": ".*", "write": ".*", "read": ".*"}));
    }
    let answer = request.send()?;
    if !(200..300).contains(&answer.status) {
        bail!(
            "the broker's management interface answered {}",
            answer.status
        );
    }
    Ok(())
}

fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect()
}

/// Removes what earlier runs made in services that the environment names.
///
/// # Errors
/// When one refuses.
pub(super) fn reset(backing: &Backing, binaries: &Binaries) -> Result<()> {
    if let Some(url) = backing.external(Service::Postgres) {
        let mut drop_database = Command::new(&binaries.roost);
        drop_database
            .args(["drop-database", "--database", &name()])
            .env("ROOST_BOOTSTRAP_URL", url);
        process::output(&mut drop_database).context("cannot drop the old database")?;
    }
    if let Some(url) = backing.external(Service::Redis) {
        drop_keys(&Address::parse(url, 6379)?).context("cannot remove the old keys from Redis")?;
    }
    if let Some(url) = backing.external(Service::Rabbitmq) {
        let address = Address::parse(url, 5672)?;
        if let Err(error) = management(
            "DELETE",
            &address,
            &format!("/api/vhosts/{}", name()),
            false,
        ) {
            say::step(format!(
                "queues with the prefix {} stay in the broker: {error:#}",
                name()
            ));
        }
    }
    Ok(())
}

/// Deletes every key with our prefix, by a script of the server's own.
fn drop_keys(address: &Address) -> Result<()> {
    const SCRIPT: &str = "local c='0' repeat local r=redis.call('SCAN',c,'MATCH',ARGV[1],'COUNT',1000) \
                          c=r[1] for _,k in ipairs(r[2]) do redis.call('DEL',k) end until c=='0' return 1";
    let mut stream = TcpStream::connect(address.place())?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    if !address.password.is_empty() {
        let user = if address.user.is_empty() {
            "default"
        } else {
            &address.user
        };
        command(&mut stream, &["AUTH", user, &address.password])?;
    }
    if !address.path.is_empty() {
        command(&mut stream, &["SELECT", &address.path])?;
    }
    command(&mut stream, &["EVAL", SCRIPT, "0", &format!("{}*", name())])
}

/// One Redis command whose answer is a single line.
fn command(stream: &mut TcpStream, words: &[&str]) -> Result<()> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        text.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(text.as_bytes())?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n") {
        stream.read_exact(&mut byte)?;
        answer.extend_from_slice(&byte);
    }
    if answer.starts_with(b"-") {
        bail!("{}", String::from_utf8_lossy(&answer).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_paths_are_escaped() {
        assert_eq!(encode("a b/ü"), "a%20b%2F%C3%BC");
    }

    #[test]
    fn the_name_is_fit_for_a_database() {
        let name = name();
        assert!(
            name.len() < 63
                && name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        );
    }
}
