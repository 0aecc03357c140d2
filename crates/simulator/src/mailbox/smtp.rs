//! Just enough of SMTP (RFC 5321) to take mail from a client that behaves.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::state::Sim;

/// Longest line, in bytes.
const LINE_LIMIT: u64 = 4_096;
/// Longest mail, in bytes.
const MAIL_LIMIT: usize = 1_024 * 1_024;
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(60);

/// Takes mail until the simulator ends.
pub(crate) async fn run(sim: Arc<Sim>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let sim = sim.clone();
                tokio::spawn(async move {
                    if let Err(error) = Client::new(sim, stream).talk().await {
                        tracing::debug!(%error, "a mail client went away");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot take a mail connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

struct Client {
    sim: Arc<Sim>,
    stream: BufReader<TcpStream>,
    to: Vec<String>,
}

impl Client {
    fn new(sim: Arc<Sim>, stream: TcpStream) -> Self {
        Self {
            sim,
            stream: BufReader::new(stream),
            to: Vec::new(),
        }
    }

    async fn talk(mut self) -> std::io::Result<()> {
        self.say("220 roost-simulator mailbox").await?;
        while let Some(line) = self.line().await? {
            let line = line.trim_end().to_owned();
            let verb: String = line.chars().take(4).collect();
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" | "HELO" => self.say("250 roost-simulator").await?,
                "MAIL" => {
                    self.to.clear();
                    self.say("250 ok").await?;
                }
                "RCPT" => {
                    let address = line
                        .split_once('<')
                        .and_then(|(_, rest)| rest.split_once('>'));
                    match address {
                        Some((address, _)) => {
                            self.to.push(address.to_owned());
                            self.say("250 ok").await?;
                        }
                        None => self.say("501 no address").await?,
                    }
                }
                "DATA" if self.to.is_empty() => self.say("503 nobody to send it to").await?,
                "DATA" => self.data().await?,
                "RSET" => {
                    self.to.clear();
                    self.say("250 ok").await?;
                }
                "NOOP" => self.say("250 ok").await?,
                "QUIT" => return self.say("221 bye").await,
                _ => self.say("502 not known here").await?,
            }
        }
        Ok(())
    }

    async fn data(&mut self) -> std::io::Result<()> {
        self.say("354 go on").await?;
        let mut raw = String::new();
        while let Some(line) = self.line().await? {
            if line.trim_end() == "." {
                let to = std::mem::take(&mut self.to);
                self.sim.change(|world| world.mailbox.take(to, &raw));
                return self.say("250 taken").await;
            }
            // A line that begins with a dot comes with another before it.
            raw.push_str(line.strip_prefix('.').unwrap_or(&line));
            if raw.len() > MAIL_LIMIT {
                self.say("552 too large").await?;
                return Err(std::io::Error::other("a mail was too large"));
            }
        }
        Ok(())
    }

    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.stream).take(LINE_LIMIT);
        let reading = limited.read_until(b'\n', &mut bytes);
        let read = timeout(SILENCE, reading)
            .await
            .map_err(|_| std::io::Error::other("silent too long"))??;
        Ok((read > 0).then(|| String::from_utf8_lossy(&bytes).into_owned()))
    }

    async fn say(&mut self, text: &str) -> std::io::Result<()> {
        let line = format!("{text}\r\n");
        self.stream.get_mut().write_all(line.as_bytes()).await
    }
}
