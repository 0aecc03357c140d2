//! The little HTTP that the development commands need: one JSON request to a loopback address.
//! An HTTP client crate would be the second one in the tree and most of this program's build.

use std::io::{Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

/// A request in the making.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    method: &'a str,
    url: String,
    headers: Vec<(&'a str, String)>,
    body: Option<String>,
}

impl<'a> Request<'a> {
    /// A request to `url`, which must begin with `http://`.
    pub(crate) fn new(method: &'a str, url: impl Into<String>) -> Self {
        Self {
            method,
            url: url.into(),
            headers: Vec::new(),
            body: None,
        }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'a str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Adds a bearer token.
    pub(crate) fn bearer(self, token: &str) -> Self {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// Sets a JSON body.
    pub(crate) fn json(mut self, body: &Value) -> Self {
        self.body = Some(body.to_string());
        self.header("content-type", "application/json")
    }

    /// Sends it and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// When the address can't be reached or answers no HTTP.
    pub(crate) fn send(self) -> Result<Answer> {
        let target = format!("{} {}", self.method, self.url);
        self.exchange().with_context(|| format!("{target} failed"))
    }

    /// Sends it and answers the JSON of a 2xx.
    ///
    /// # Errors
    /// As for [`Request::send`], and for any other status, with what the server said.
    pub(crate) fn send_ok(self) -> Result<Value> {
        let target = format!("{} {}", self.method, self.url);
        let answer = self.send()?;
        if !(200..300).contains(&answer.status) {
            bail!("{target} answered {}: {}", answer.status, answer.text());
        }
        answer
            .json()
            .with_context(|| format!("{target} answered no JSON"))
    }

    fn exchange(&self) -> Result<Answer> {
        let rest = self
            .url
            .strip_prefix("http://")
            .context("only http:// is spoken here")?;
        let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let port_there = host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let address = if port_there {
            host.to_owned()
        } else {
            format!("{host}:80")
        };
        let mut stream = connect(&address)?;
        stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\naccept: application/json\r\n",
            self.method,
            if path.is_empty() { "/" } else { path }
        );
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let body = self.body.as_deref().unwrap_or_default();
        head.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(head.as_bytes())?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes)?;
        Answer::parse(&bytes)
    }
}

fn connect(address: &str) -> Result<TcpStream> {
    let mut last = None;
    for address in address.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT_TIMEOUT) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) => Err(error.into()),
        None => bail!("{address} has no address"),
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Result<Self> {
        let end = find(bytes, b"\r\n\r\n").context("the answer has no end of headers")?;
        let (head, rest) = bytes.split_at(end);
        let head = std::str::from_utf8(head).context("the answer's headers are no text")?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok())
            .context("the answer has no status")?;
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let rest = rest.get(4..).unwrap_or_default();
        let is_chunked = headers.iter().any(|(name, value)| {
            name == "transfer-encoding" && value.eq_ignore_ascii_case("chunked")
        });
        let body = if is_chunked {
            join_chunks(rest)?
        } else {
            rest.to_vec()
        };
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// The cookies that the answer sets, as a request sends them back.
    pub(crate) fn cookies(&self) -> String {
        let cookies: Vec<&str> = self
            .headers
            .iter()
            .filter(|(name, _)| name == "set-cookie")
            .filter_map(|(_, value)| value.split(';').next())
            .collect();
        cookies.join("; ")
    }

    /// The body as JSON; an empty body is null.
    ///
    /// # Errors
    /// When it is something else.
    pub(crate) fn json(&self) -> Result<Value> {
        if self.body.is_empty() {
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&self.body)?)
    }

    /// The body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn join_chunks(mut rest: &[u8]) -> Result<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let end = find(rest, b"\r\n").context("a chunk has no size")?;
        let (size, after) = rest.split_at(end);
        let size = std::str::from_utf8(size)?
            .split(';')
            .next()
            .unwrap_or_default();
        let size = usize::from_str_radix(size.trim(), 16).context("a chunk has no size")?;
        if size == 0 {
            return Ok(body);
        }
        let after = after.get(2..).unwrap_or_default();
        body.extend_from_slice(after.get(..size).context("a chunk is cut off")?);
        rest = after.get(size + 2..).context("a chunk is cut off")?;
    }
}

/// Whether a GET of this address answers 200.
pub(crate) fn is_ok(url: &str) -> bool {
    Request::new("GET", url)
        .send()
        .is_ok_and(|answer| answer.status == 200)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_with_length_and_in_chunks() {
        let plain = b"HTTP/1.1 201 Created\r\nSet-Cookie: a=1; Path=/\r\nset-cookie: b=2\r\ncontent-length: 2\r\n\r\n{}";
        let answer = Answer::parse(plain).unwrap();
        assert_eq!(
            (answer.status, answer.cookies().as_str()),
            (201, "a=1; b=2")
        );
        assert_eq!(answer.json().unwrap(), serde_json::json!({}));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n[1,\r\n2\r\n2]\r\n0\r\n\r\n";
        assert_eq!(Answer::parse(chunked).unwrap().text(), "[1,2]");
        assert!(Answer::parse(b"nonsense").is_err());
        let cut = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n[1,";
        assert!(Answer::parse(cut).is_err());
    }
}
