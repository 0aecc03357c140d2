//! Settings: `config.default.toml` (the manual), then a TOML file, then
//! `ROOST_…` variables.

mod read;

use crate::telemetry::LogFormat;
use ipnet::IpNet;
use read::{Reader, text};
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// The embedded manual and defaults.
pub const DEFAULTS: &str = include_str!("config.default.toml");

/// Everything that was wrong, each line with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFaults(pub Vec<String>);

impl fmt::Display for ConfigFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration has {} fault(s)", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigFaults {}

/// All settings of a process.
#[derive(Debug, Clone)]
pub struct Config {
    /// PostgreSQL.
    pub database: Database,
    /// Redis.
    pub redis_url: SecretString,
    /// RabbitMQ.
    pub broker: Broker,
    /// Addresses to listen on.
    pub listen: Listen,
    /// How the outside sees this install.
    pub public: Public,
    /// The X app named `main`.
    pub x: X,
    /// Keys of our own.
    pub keys: Keys,
    /// How mails go out.
    pub mail: Mail,
    /// How many requests the API takes.
    pub limits: Limits,
    /// When an account goes to the bulk lane.
    pub lanes: Lanes,
    /// Logs.
    pub log: Log,
    /// From SIGTERM until what still runs is cut.
    pub shutdown_grace: Duration,
    /// How long after its resolution a conversation is reopened by a message.
    pub reopen_window: Duration,
    /// From a member's last stream until they count as offline.
    pub presence_grace: Duration,
    /// Time limits of sending.
    pub sender: Sender,
    /// Addresses that users give.
    pub egress: Egress,
}

/// PostgreSQL: a URL per role, and pool sizes.
#[derive(Debug, Clone)]
pub struct Database {
    /// As owner; empty where unset.
    pub url: SecretString,
    /// As the application role; empty where unset.
    pub app_url: SecretString,
    /// As the ingest role; empty where unset.
    pub ingest_url: SecretString,
    /// Connections of a role that runs alone.
    pub pool_size: u32,
    /// Connections that all roles of one process share.
    pub pool_size_all: u32,
}

/// RabbitMQ.
#[derive(Debug, Clone)]
pub struct Broker {
    /// `amqp(s)://…`; empty where unset.
    pub url: SecretString,
    /// First part of exchanges, queues and Redis keys.
    pub prefix: String,
    /// Ingress queues per lane.
    pub partitions: u16,
}

/// Addresses to listen on.
#[derive(Debug, Clone)]
pub struct Listen {
    /// REST API and stream.
    pub gateway: SocketAddr,
    /// Webhooks.
    pub ingester: SocketAddr,
    /// Health and metrics.
    pub ops: SocketAddr,
}

/// How the outside sees this install; URLs without a slash at the end.
#[derive(Debug, Clone)]
pub struct Public {
    /// The gateway.
    pub url: String,
    /// The ingester.
    pub webhook_url: String,
    /// Origins allowed by CORS.
    pub cors_origins: Vec<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// What the API takes: requests, each a minute and at once, and what a brand may have.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Of one member or API key.
    pub member_per_minute: u32,
    /// Of all members and keys of a brand.
    pub brand_per_minute: u32,
    /// Of one address, where nobody is signed in.
    pub address_per_minute: u32,
    /// Active people of a brand; 0 is no limit. Not of requests, as the two that follow.
    pub brand_members: u32,
    /// Connected accounts of a brand; 0 is no limit.
    pub brand_channels: u32,
    /// Messages in and out of a brand in a calendar month; 0 is no limit.
    pub brand_messages_per_month: u32,
}

/// The X app named `main`; texts are empty where unset.
#[derive(Debug, Clone)]
pub struct X {
    /// Base URL of the API.
    pub api_url: String,
    /// Where a brand's owner is sent to connect an account.
    pub authorize_url: String,
    /// OAuth 1.0a consumer key.
    pub consumer_key: String,
    /// OAuth 1.0a consumer secret; also signs webhooks.
    pub consumer_secret: SecretString,
    /// The secret before a rotation.
    pub previous_consumer_secret: SecretString,
    /// Numeric app id, as text.
    pub app_id: String,
    /// App-only bearer token.
    pub bearer_token: SecretString,
    /// Which call sends a DM.
    pub send_api: SendApi,
}

/// Which call sends a DM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendApi {
    /// `POST /2/dm_conversations/with/:id/messages`
    V2,
    /// `POST /1.1/direct_messages/events/new.json`
    V11,
}

/// Keys of our own; empty where unset.
#[derive(Debug, Clone)]
pub struct Keys {
    /// They wrap the brands' data keys: the first seals, the others only open.
    pub secrets_keys: Vec<SecretsKey>,
    /// At least 32 characters.
    pub jwt_secret: SecretString,
    /// Chains the audit log; empty where unset.
    pub audit_key: SecretString,
}

/// One of the operator's keys.
#[derive(Debug, Clone)]
pub struct SecretsKey {
    /// Its name; no secret.
    pub id: String,
    /// Base64 of 32 bytes.
    pub key: SecretString,
}

/// How mails go out.
#[derive(Debug, Clone)]
pub struct Mail {
    /// `smtp(s)://…`; empty where unset.
    pub smtp_url: SecretString,
    /// The sender, such as `Roost <roost@example.com>`.
    pub from: String,
}

/// When an account goes to the bulk lane.
#[derive(Debug, Clone, Copy)]
pub struct Lanes {
    /// Events per second.
    pub account_rate_per_second: u32,
    /// Events at once.
    pub account_burst: u32,
}

/// What is called at addresses that users give.
#[derive(Debug, Clone)]
pub struct Egress {
    /// Networks that may be called although they aren't public, without TLS and at any port.
    pub allow: Vec<IpNet>,
}

/// Logs.
#[derive(Debug, Clone)]
pub struct Log {
    /// JSON or text.
    pub format: LogFormat,
    /// A level or filter directives.
    pub level: String,
}

/// Time limits of sending: `quiet > lease > total_timeout > 5 s`.
#[derive(Debug, Clone, Copy)]
pub struct Sender {
    /// One send, whole.
    pub total_timeout: Duration,
    /// Its connection.
    pub connect_timeout: Duration,
    /// How long a sender owns a message it began to send.
    pub lease: Duration,
    /// How long after an unanswered attempt a look-up may decide.
    pub quiet: Duration,
}

impl Config {
    /// Reads the settings of this process.
    ///
    /// # Errors
    /// Every fault found.
    pub fn load() -> Result<Self, ConfigFaults> {
        Self::load_for(&[])
    }

    /// As [`Config::load`], with keys that must be set (as in the manual:
    /// `"database_app_url"`).
    ///
    /// # Errors
    /// Every fault found, missing keys included.
    pub fn load_for(required: &[&str]) -> Result<Self, ConfigFaults> {
        Self::build(Reader::from_process(), required)
    }

    /// Reads from texts instead of the process: for tests and tools.
    ///
    /// # Errors
    /// Every fault found.
    pub fn from_parts(
        toml: &str,
        variables: &[(&str, &str)],
        required: &[&str],
    ) -> Result<Self, ConfigFaults> {
        Self::build(Reader::from_parts(toml, variables), required)
    }

    fn build(mut r: Reader, required: &[&str]) -> Result<Self, ConfigFaults> {
        r.refuse_unknown();
        r.require(required);
        let config = Self {
            database: Database {
                url: r.secret_url("database_url", &["postgres", "postgresql"]),
                app_url: r.secret_url("database_app_url", &["postgres", "postgresql"]),
                ingest_url: r.secret_url("database_ingest_url", &["postgres", "postgresql"]),
                pool_size: r.number("pool_size", 1, 1_000),
                pool_size_all: r.number("pool_size_all", 6, 1_000),
            },
            redis_url: r.secret_url("redis_url", &["redis"]),
            broker: Broker {
                url: r.secret_url("amqp_url", &["amqp", "amqps"]),
                prefix: r.checked("prefix", text::check_prefix),
                partitions: r.number("partitions", 1, 64),
            },
            listen: Listen {
                gateway: r.address("gateway_listen"),
                ingester: r.address("ingester_listen"),
                ops: r.address("ops_listen"),
            },
            public: Public {
                url: r.checked("public_url", text::check_base_url),
                webhook_url: r.checked("webhook_url", text::check_base_url),
                cors_origins: r.list("cors_origins"),
                trusted_proxies: r.networks("trusted_proxies"),
            },
            x: X {
                api_url: r.checked("x_api_url", text::check_base_url),
                authorize_url: r.checked("x_authorize_url", text::check_base_url),
                consumer_key: r.text("x_consumer_key"),
                consumer_secret: r.secret("x_consumer_secret"),
                previous_consumer_secret: r.secret("x_previous_consumer_secret"),
                app_id: r.checked("x_app_id", text::check_digits),
                bearer_token: r.secret("x_bearer_token"),
                send_api: r.choice(
                    "x_send_api",
                    SendApi::V2,
                    &[("v2", SendApi::V2), ("v1.1", SendApi::V11)],
                ),
            },
            keys: Keys {
                secrets_keys: r.key_ring("secrets_keys"),
                jwt_secret: r.checked_secret("jwt_secret", text::check_jwt_secret),
                audit_key: r.checked_secret("audit_key", text::check_key),
            },
            mail: Mail {
                smtp_url: r.secret_url("smtp_url", &["smtp", "smtps"]),
                from: r.checked("mail_from", text::check_mailbox),
            },
            limits: Limits {
                member_per_minute: r.number("member_requests_per_minute", 1, 1_000_000),
                brand_per_minute: r.number("brand_requests_per_minute", 1, 10_000_000),
                address_per_minute: r.number("address_requests_per_minute", 1, 1_000_000),
                brand_members: r.number("brand_members", 0, 1_000_000),
                brand_channels: r.number("brand_channels", 0, 1_000_000),
                brand_messages_per_month: r.number("brand_messages_per_month", 0, 2_000_000_000),
            },
            lanes: Lanes {
                account_rate_per_second: r.number("account_rate_per_second", 1, 1_000_000),
                account_burst: r.number("account_burst", 1, 1_000_000),
            },
            log: Log {
                format: r.choice(
                    "log_format",
                    LogFormat::Json,
                    &[("json", LogFormat::Json), ("text", LogFormat::Text)],
                ),
                level: r.checked("log_level", crate::telemetry::check_level),
            },
            shutdown_grace: r.seconds("shutdown_grace_seconds", 1, 600),
            reopen_window: r.hours("reopen_window_hours", 0, 24 * 365),
            presence_grace: r.seconds("presence_grace_seconds", 1, 3_600),
            sender: Sender {
                total_timeout: r.millis("send_total_timeout_ms"),
                connect_timeout: r.millis("send_connect_timeout_ms"),
                lease: r.millis("send_lease_ms"),
                quiet: r.millis("send_quiet_ms"),
            },
            egress: Egress {
                allow: r.networks("egress_allow"),
            },
        };
        config.sender.check(&mut r.faults);
        if r.faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigFaults(r.faults))
        }
    }
}

impl Sender {
    fn check(&self, faults: &mut Vec<String>) {
        let floor = Duration::from_secs(5);
        let rising = self.quiet > self.lease
            && self.lease > self.total_timeout
            && self.total_timeout > floor;
        if !rising {
            faults.push(
                "send_quiet_ms: must exceed send_lease_ms, which must exceed \
                 send_total_timeout_ms, which must exceed 5000, or a message could go out twice"
                    .to_owned(),
            );
        }
        if self.connect_timeout > self.total_timeout {
            faults
                .push("send_connect_timeout_ms: must not exceed send_total_timeout_ms".to_owned());
        }
    }
}

impl Keys {
    /// The bytes of `audit_key`.
    ///
    /// # Errors
    /// When it is unset.
    pub fn audit_key_bytes(&self) -> anyhow::Result<[u8; 32]> {
        text::decode_key(self.audit_key.expose_secret())
            .ok_or_else(|| anyhow::anyhow!("audit_key is not set"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_manual_is_valid_and_complete() {
        let config = Config::from_parts("", &[], &[]).unwrap();
        assert_eq!(config.broker.prefix, "roost");
        assert_eq!(config.broker.partitions, 16);
        assert_eq!(config.sender.quiet, Duration::from_secs(60));
        assert_eq!(config.x.send_api, SendApi::V2);
        assert!(config.egress.allow.is_empty());
    }

    #[test]
    fn variables_win_over_the_file_and_keep_their_text() {
        let config = Config::from_parts(
            "partitions = 4\nx_app_id = 123\ncors_origins = [\"https://a.example\"]",
            &[
                ("ROOST_PARTITIONS", "8"),
                ("ROOST_X_CONSUMER_SECRET", "0123e4"),
                ("ROOST_X_SEND_API", "v1.1"),
                ("ROOST_CORS_ORIGINS", "https://b.example, https://c.example"),
                ("ROOST_TEST_AMQP_URL", "ignored: belongs to the tests"),
            ],
            &[],
        )
        .unwrap();
        assert_eq!(config.broker.partitions, 8);
        assert_eq!(config.x.app_id, "123");
        assert_eq!(config.x.consumer_secret.expose_secret(), "0123e4");
        assert_eq!(config.x.send_api, SendApi::V11);
        assert_eq!(
            config.public.cors_origins,
            ["https://b.example", "https://c.example"]
        );
    }

    #[test]
    fn every_fault_is_named_at_once() {
        let faults = Config::from_parts(
            "partitons = 4\nlog_format = \"xml\"",
            &[
                ("ROOST_PARTITIONS", "many"),
                ("ROOST_GATEWAY_LISTEN", "here"),
                ("ROOST_AMQP_URL", "redis://localhost"),
                ("ROOST_JWT_SECRET", "short"),
                ("ROOST_SECRETS_KEYS", "one:bm90IDMyIGJ5dGVz"),
                ("ROOST_EGRESS_ALLOW", "10.0.0.0/8, ten/8"),
                ("ROOST_SEND_LEASE_MS", "90000"),
            ],
            &["database_app_url"],
        )
        .unwrap_err()
        .to_string();
        for key in [
            "partitons",
            "log_format",
            "partitions",
            "gateway_listen",
            "amqp_url",
            "jwt_secret",
            "secrets_keys",
            "egress_allow",
            "send_quiet_ms",
            "database_app_url",
        ] {
            assert!(faults.contains(key), "{key} missing in {faults}");
        }
        assert!(!faults.contains("bm90"), "a secret's value was shown");
    }

    #[test]
    fn secrets_keys_come_as_a_list_or_as_one_text_and_keep_their_order() {
        let (one, two) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let toml = format!("secrets_keys = [\"2026-12:{two}\", \"old:{one}\"]");
        let text = format!("2026-12:{two}, old:{one}");
        for config in [
            Config::from_parts(&toml, &[], &["secrets_keys"]).unwrap(),
            Config::from_parts("", &[("ROOST_SECRETS_KEYS", &text)], &["secrets_keys"]).unwrap(),
        ] {
            let keys = config.keys.secrets_keys;
            let ids: Vec<_> = keys.iter().map(|key| key.id.as_str()).collect();
            assert_eq!(ids, ["2026-12", "old"]);
            assert_eq!(keys[0].key.expose_secret(), two);
        }
    }

    #[test]
    fn every_bad_key_of_the_ring_is_named_and_none_is_shown() {
        let (good, same) = (STANDARD.encode([1; 32]), STANDARD.encode([2; 32]));
        let ring =
            format!("a:{good},a:{same},b:c2hvcnQ=,{good},a b:{same},c:{same},d:{same},:{same}");
        let faults = Config::from_parts("", &[("ROOST_SECRETS_KEYS", &ring)], &[]).unwrap_err();
        let expected = [
            "entry 2: the name `a` is taken by another",
            "entry 3 (`b`): must be the base64 of 32 bytes",
            "entry 4: must be a name, a colon and a key",
            "entry 5: the name must be 1 to 32 letters, digits, dots, dashes and underscores",
            "entry 7 (`d`): is the same key as `c`",
            "entry 8: the name must be",
        ];
        assert_eq!(faults.0.len(), expected.len(), "{faults}");
        for (fault, expected) in faults.0.iter().zip(expected) {
            assert!(fault.contains(expected), "{expected} missing in {fault}");
        }
        for key in [&good, &same] {
            assert!(
                !faults.to_string().contains(key.as_str()),
                "a key was shown"
            );
        }
        let missing = Config::from_parts("secrets_keys = []", &[], &["secrets_keys"]).unwrap_err();
        assert_eq!(missing.0, ["secrets_keys: must be set"]);
    }

    #[test]
    fn debug_output_holds_no_secret() {
        let config =
            Config::from_parts("", &[("ROOST_X_CONSUMER_SECRET", "canary-secret")], &[]).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
    }
}
