//! Typed reads from the merged layers; faults are collected, not returned.

pub(super) mod text;

use super::{DEFAULTS, SecretsKey};
use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use figment::value::{Dict, Value};
use ipnet::IpNet;
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

const PREFIX: &str = "ROOST_";

/// Variables with the prefix that aren't settings: the file's name, and what
/// the development commands and the tests use.
fn is_setting(key: &str) -> bool {
    key != "config" && !key.starts_with("test_") && !key.starts_with("dev_")
}

fn dict_of(figment: &Figment, faults: &mut Vec<String>) -> Dict {
    figment.extract().unwrap_or_else(|error| {
        faults.extend(
            error
                .into_iter()
                .map(|fault| format!("ROOST_CONFIG: {fault}")),
        );
        Dict::new()
    })
}

/// The merged layers and the faults found so far.
pub(super) struct Reader {
    layers: Dict,
    known: Dict,
    from_variables: BTreeMap<String, String>,
    pub(super) faults: Vec<String>,
}

impl Reader {
    pub(super) fn from_process() -> Self {
        let variables: BTreeMap<String, String> = Env::prefixed(PREFIX)
            .iter()
            .map(|(key, value)| (key.as_str().to_ascii_lowercase(), value))
            .collect();
        let file = variables.get("config").filter(|name| !name.is_empty());
        let layer = file.map(|name| {
            let exists = std::path::Path::new(name).is_file();
            let missing = (!exists).then(|| format!("ROOST_CONFIG: cannot read file {name}"));
            (Figment::from(Toml::file(name)), missing)
        });
        match layer {
            Some((file, missing)) => {
                let mut reader = Self::merge(file, variables);
                reader.faults.extend(missing);
                reader
            }
            None => Self::merge(Figment::new(), variables),
        }
    }

    pub(super) fn from_parts(toml: &str, variables: &[(&str, &str)]) -> Self {
        let variables = variables
            .iter()
            .filter_map(|(name, value)| {
                let key = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
                Some((key, (*value).to_owned()))
            })
            .collect();
        Self::merge(Figment::from(Toml::string(toml)), variables)
    }

    /// Variables are merged as plain text: figment would read `0123e4` as a
    /// number, and a secret may look like one.
    fn merge(file: Figment, mut variables: BTreeMap<String, String>) -> Self {
        variables.retain(|key, _| is_setting(key));
        let mut faults = Vec::new();
        let defaults = Figment::from(Toml::string(DEFAULTS));
        let known = dict_of(&defaults, &mut faults);
        dict_of(&file, &mut faults);
        let file = if faults.is_empty() {
            file
        } else {
            Figment::new()
        };
        let all = defaults.merge(file).merge(Serialized::defaults(&variables));
        let layers = dict_of(&all, &mut faults);
        Self {
            layers,
            known,
            from_variables: variables,
            faults,
        }
    }

    pub(super) fn refuse_unknown(&mut self) {
        let unknown: Vec<_> = self
            .layers
            .keys()
            .filter(|key| !self.known.contains_key(*key))
            .cloned()
            .collect();
        for key in unknown {
            self.fault(&key, "is not a setting");
        }
    }

    pub(super) fn require(&mut self, keys: &[&str]) {
        for key in keys {
            let is_list = matches!(self.layers.get(*key), Some(Value::Array(..)));
            let is_unset = if is_list {
                self.list(key).is_empty()
            } else {
                self.text(key).is_empty()
            };
            if is_unset {
                self.fault(key, "must be set");
            }
        }
    }

    /// A text; a bare number in the file counts as text.
    pub(super) fn text(&mut self, key: &str) -> String {
        match self.layers.get(key) {
            Some(Value::String(_, text)) => text.trim().to_owned(),
            Some(value) => match (value.to_u128(), value.to_i128(), value.to_bool()) {
                (Some(number), _, _) => number.to_string(),
                (None, Some(number), _) => number.to_string(),
                (None, None, Some(flag)) => flag.to_string(),
                (None, None, None) => {
                    self.fault(key, "must be a text");
                    String::new()
                }
            },
            None => {
                self.fault(key, "is missing");
                String::new()
            }
        }
    }

    /// A text that passes `check`, or is empty where the default is.
    pub(super) fn checked(
        &mut self,
        key: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> String {
        let text = self.text(key);
        let may_be_empty = matches!(self.known.get(key), Some(Value::String(_, s)) if s.is_empty());
        if !(text.is_empty() && may_be_empty)
            && let Err(why) = check(&text)
        {
            self.fault(key, &why);
        }
        text
    }

    pub(super) fn secret(&mut self, key: &str) -> SecretString {
        self.text(key).into()
    }

    pub(super) fn checked_secret(
        &mut self,
        key: &str,
        check: impl Fn(&str) -> Result<(), String>,
    ) -> SecretString {
        self.checked(key, check).into()
    }

    /// A URL with a secret in it: the fault never shows the value.
    pub(super) fn secret_url(&mut self, key: &str, schemes: &[&str]) -> SecretString {
        self.checked(key, |text| text::check_scheme(text, schemes))
            .into()
    }

    pub(super) fn number<N>(&mut self, key: &str, least: u32, most: u32) -> N
    where
        N: TryFrom<u32> + Default,
    {
        let number = self.text(key).parse::<u32>().ok();
        match number.filter(|n| (least..=most).contains(n)) {
            Some(number) => N::try_from(number).unwrap_or_default(),
            None => {
                self.fault(
                    key,
                    &format!("must be a whole number from {least} to {most}"),
                );
                N::default()
            }
        }
    }

    pub(super) fn seconds(&mut self, key: &str, least: u32, most: u32) -> Duration {
        Duration::from_secs(self.number(key, least, most))
    }

    pub(super) fn hours(&mut self, key: &str, least: u32, most: u32) -> Duration {
        let hours: u64 = self.number(key, least, most);
        Duration::from_secs(hours * 3_600)
    }

    pub(super) fn millis(&mut self, key: &str) -> Duration {
        Duration::from_millis(self.number(key, 1, 3_600_000))
    }

    pub(super) fn address(&mut self, key: &str) -> SocketAddr {
        self.text(key).parse().unwrap_or_else(|_| {
            self.fault(key, "must be an address such as 127.0.0.1:8080");
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
        })
    }

    pub(super) fn choice<T: Copy>(&mut self, key: &str, fallback: T, table: &[(&str, T)]) -> T {
        let text = self.text(key);
        if let Some((_, value)) = table.iter().find(|(name, _)| *name == text) {
            return *value;
        }
        let names: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        self.fault(key, &format!("must be one of {}", names.join(", ")));
        fallback
    }

    /// A list of texts; one text is split at commas.
    pub(super) fn list(&mut self, key: &str) -> Vec<String> {
        let items = match self.layers.get(key) {
            Some(Value::Array(_, items)) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            Some(Value::String(_, text)) => Some(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(str::to_owned)
                    .collect(),
            ),
            Some(_) | None => None,
        };
        items.unwrap_or_else(|| {
            self.fault(key, "must be a list of texts");
            Vec::new()
        })
    }

    /// A list of networks such as `10.0.0.0/8`; a bare address is a network of one.
    pub(super) fn networks(&mut self, key: &str) -> Vec<IpNet> {
        let mut networks = Vec::new();
        for text in self.list(key) {
            let network = text.parse::<IpNet>().ok();
            match network.or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from)) {
                Some(network) => networks.push(network),
                None => self.fault(key, &format!("`{text}` is no network such as 10.0.0.0/8")),
            }
        }
        networks
    }

    /// A list of `name:key`. Entries are named by their place, since one that can't be read may be a key.
    pub(super) fn key_ring(&mut self, key: &str) -> Vec<SecretsKey> {
        let mut ring: Vec<SecretsKey> = Vec::new();
        for (index, entry) in self.list(key).iter().enumerate() {
            match text::parse_secrets_key(entry, &ring) {
                Ok(parsed) => ring.push(parsed),
                Err(why) => self.fault(key, &format!("entry {}{why}", index + 1)),
            }
        }
        ring
    }

    fn fault(&mut self, key: &str, why: &str) {
        let name = if self.from_variables.contains_key(key) {
            format!("{key} ({PREFIX}{})", key.to_ascii_uppercase())
        } else {
            key.to_owned()
        };
        self.faults.push(format!("{name}: {why}"));
    }
}
