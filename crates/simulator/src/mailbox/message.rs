//! Reads a mail of one plain-text part.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is shown of a mail.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) from: String,
    pub(super) subject: String,
    pub(super) text: String,
}

/// Reads a mail; what makes no sense is shown as it came.
pub(super) fn read(raw: &str) -> Message {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((raw, ""));
    // A header may go on in the next line.
    let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let header = |wanted: &str| {
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    let text = match header("content-transfer-encoding")
        .to_ascii_lowercase()
        .as_str()
    {
        "base64" => from_base64(body),
        "quoted-printable" => Some(from_quoted_printable(body)),
        _ => None,
    };
    Message {
        from: header("from"),
        subject: header("subject"),
        text: text.unwrap_or_else(|| body.to_owned()),
    }
}

fn from_base64(body: &str) -> Option<String> {
    let plain: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    let bytes = STANDARD.decode(plain).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn from_quoted_printable(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let mut bytes = Vec::with_capacity(joined.len());
    let mut rest = joined.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|_| first == b'=') {
            Some(byte) => {
                bytes.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
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
    fn a_mail_is_shown_whatever_its_encoding() {
        let mail = |encoding: &str, body: &str| {
            read(&format!(
                "From: Roost <r@x.example>\r\nSubject: Hello\r\n there\r\n\
                 Content-Transfer-Encoding: {encoding}\r\n\r\n{body}"
            ))
        };
        for (encoding, body) in [
            (
                "quoted-printable",
                "Gr=C3=BC=C3=9Fe a=3Db, a long=\r\n line\r\n",
            ),
            ("base64", "R3LDvMOfZSBhPWIsIGEgbG9u\r\nZyBsaW5lDQo=\r\n"),
            ("8bit", "Grüße a=b, a long line\r\n"),
        ] {
            let read = mail(encoding, body);
            assert_eq!(read.subject, "Hello there");
            assert_eq!(read.text, "Grüße a=b, a long line\r\n", "{encoding}");
        }
        assert_eq!(mail("quoted-printable", "50=ZZ =").text, "50=ZZ =");
    }
}
