//! What may be called at all.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use url::{Host, Url};

use crate::address::{AddressClass, class};

/// The longest URL, in bytes.
const MAX_URL: usize = 2_048;
/// The ports of HTTPS that receivers use.
const PORTS: [u16; 2] = [443, 8_443];
/// Names that mean something only here, whatever a resolver says of them (RFC 6761, 6762, 8375, 9476,
/// ICANN's `internal`).
const LOCAL_NAMES: [&str; 10] = [
    "localhost",
    "localdomain",
    "local",
    "internal",
    "intranet",
    "home.arpa",
    "onion",
    "invalid",
    "test",
    "alt",
];

/// Why a URL may not be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RefusedUrl {
    /// It is longer than 2,048 bytes.
    #[error("the URL is too long")]
    TooLong,
    /// It is no URL with a host.
    #[error("this is not a URL with a host")]
    Malformed,
    /// It isn't `https`.
    #[error("the URL must begin with https://")]
    Scheme,
    /// Its port is neither 443 nor 8443.
    #[error("the port {0} is not allowed: 443 and 8443 are")]
    Port(u16),
    /// It carries a user name or a password.
    #[error("the URL must not carry a user name or a password")]
    UserInfo,
    /// It is this house.
    #[error("this host is our own")]
    OwnHost,
    /// Its host is a name that only means something locally.
    #[error("the host is not a public name")]
    Name,
    /// Its host is an address that isn't public.
    #[error("the address {address} is not public: {}", .class.as_str())]
    Address {
        /// As it is connected to.
        address: IpAddr,
        /// Why it isn't public.
        class: AddressClass,
    },
}

impl RefusedUrl {
    /// A stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLong => "url_too_long",
            Self::Malformed => "url_malformed",
            Self::Scheme => "url_scheme",
            Self::Port(_) => "url_port",
            Self::UserInfo => "url_user_info",
            Self::OwnHost => "url_own_host",
            Self::Name => "url_name",
            Self::Address { .. } => "url_address",
        }
    }
}

/// An entry of the list of our own hosts can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a host nor a URL")]
pub struct BadOwnHost(pub String);

#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnHost {
    host: Host<String>,
    /// Any, where none is named.
    port: Option<u16>,
}

/// Which addresses a call may go to.
#[derive(Debug, Clone)]
pub(crate) enum Reach {
    /// Public ones and those that the operator allows.
    Public,
    /// Only those that the operator allows.
    Allowed,
}

/// The rules of one install. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Guard {
    own: Arc<[OwnHost]>,
    allow: Arc<[IpNet]>,
}

impl Guard {
    /// Rules with the hosts of this install, each as a host or a URL (with a port, only this port is
    /// ours), and the networks that may be called although they aren't public, at any port and without
    /// TLS too.
    ///
    /// # Errors
    /// When an own host can't be read.
    pub fn new(
        own: impl IntoIterator<Item = impl AsRef<str>>,
        allow: impl IntoIterator<Item = IpNet>,
    ) -> Result<Self, BadOwnHost> {
        let own = own.into_iter().map(|entry| own_host(entry.as_ref()));
        Ok(Self {
            own: own.collect::<Result<_, _>>()?,
            allow: allow.into_iter().collect(),
        })
    }

    /// Whether this URL may be called, as far as it tells without asking a resolver; what may be called
    /// is decided again at each call. The answer is in its normal form.
    ///
    /// # Errors
    /// When it may not.
    pub fn check_url(&self, text: &str) -> Result<Url, RefusedUrl> {
        self.check(text).map(|(url, _)| url)
    }

    pub(crate) fn check(&self, text: &str) -> Result<(Url, Reach), RefusedUrl> {
        if text.len() > MAX_URL {
            return Err(RefusedUrl::TooLong);
        }
        // Parsers differ in what they make of these.
        if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '\\') {
            return Err(RefusedUrl::Malformed);
        }
        let (_, rest) = text.split_once("://").ok_or(RefusedUrl::Malformed)?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let mut url = Url::parse(text).map_err(|_| RefusedUrl::Malformed)?;
        let is_plain = match url.scheme() {
            "https" => false,
            "http" if !self.allow.is_empty() => true,
            _ => return Err(RefusedUrl::Scheme),
        };
        if authority.contains('@') {
            return Err(RefusedUrl::UserInfo);
        }
        if authority.is_empty() {
            return Err(RefusedUrl::Malformed);
        }
        // One and the same host, with and without the root's dot.
        if let Some(Host::Domain(name)) = url.host()
            && let Some(name) = name.strip_suffix('.').map(str::to_owned)
        {
            url.set_host(Some(&name))
                .map_err(|_| RefusedUrl::Malformed)?;
        }
        let host = url.host().ok_or(RefusedUrl::Malformed)?.to_owned();
        let port = url.port_or_known_default().ok_or(RefusedUrl::Malformed)?;
        if self.is_own(&host, port) {
            return Err(RefusedUrl::OwnHost);
        }
        let reach = if is_plain || !PORTS.contains(&port) {
            Reach::Allowed
        } else {
            Reach::Public
        };
        let odd = if is_plain {
            RefusedUrl::Scheme
        } else {
            RefusedUrl::Port(port)
        };
        match (host, &reach) {
            (_, Reach::Allowed) if self.allow.is_empty() => Err(odd),
            (Host::Domain(name), _) => self.check_name(&name).map(|()| (url, reach)),
            (Host::Ipv4(address), _) => self.check_literal(address.into(), url, reach, odd),
            (Host::Ipv6(address), _) => self.check_literal(address.into(), url, reach, odd),
        }
    }

    fn check_literal(
        &self,
        address: IpAddr,
        url: Url,
        reach: Reach,
        odd: RefusedUrl,
    ) -> Result<(Url, Reach), RefusedUrl> {
        match self.refuse(address, &reach) {
            None => Ok((url, reach)),
            Some(Refusal::NotPublic(class)) => Err(RefusedUrl::Address { address, class }),
            // Public, but then neither without TLS nor at such a port.
            Some(Refusal::NotAllowed) => Err(odd),
            Some(Refusal::Own) => Err(RefusedUrl::OwnHost),
        }
    }

    fn check_name(&self, name: &str) -> Result<(), RefusedUrl> {
        let is_label = |label: &str| (1..=63).contains(&label.len());
        if name.len() > 253 || !name.split('.').all(is_label) {
            return Err(RefusedUrl::Malformed);
        }
        let is_local = LOCAL_NAMES.iter().any(|local| {
            name.strip_suffix(local)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        });
        // Where the operator allows networks, their names are judged by their addresses.
        if self.allow.is_empty() && (is_local || !name.contains('.')) {
            return Err(RefusedUrl::Name);
        }
        Ok(())
    }

    /// Why an address may not be connected to; none if it may.
    pub(crate) fn refuse(&self, address: IpAddr, reach: &Reach) -> Option<Refusal> {
        let is_own = |own: &OwnHost| match own.host {
            Host::Ipv4(ours) => own.port.is_none() && address == ours,
            Host::Ipv6(ours) => own.port.is_none() && address == ours,
            Host::Domain(_) => false,
        };
        if self.own.iter().any(is_own) {
            return Some(Refusal::Own);
        }
        if self.allow.iter().any(|network| network.contains(&address)) {
            return None;
        }
        match (class(address), reach) {
            (Some(class), _) => Some(Refusal::NotPublic(class)),
            (None, Reach::Allowed) => Some(Refusal::NotAllowed),
            (None, Reach::Public) => None,
        }
    }

    fn is_own(&self, host: &Host<String>, port: u16) -> bool {
        self.own
            .iter()
            .any(|own| own.host == *host && own.port.is_none_or(|ours| ours == port))
    }

    pub(crate) fn allows_networks(&self) -> bool {
        !self.allow.is_empty()
    }
}

/// Why an address may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotPublic(AddressClass),
    /// Public, in a call that only goes to allowed networks.
    NotAllowed,
    Own,
}

fn own_host(entry: &str) -> Result<OwnHost, BadOwnHost> {
    let bad = || BadOwnHost(entry.to_owned());
    let text = if entry.contains("://") {
        entry.to_owned()
    } else {
        format!("https://{entry}")
    };
    let url = Url::parse(&text).map_err(|_| bad())?;
    let host = match url.host().ok_or_else(bad)? {
        Host::Domain(name) => Host::Domain(name.trim_end_matches('.').to_owned()),
        address @ (Host::Ipv4(_) | Host::Ipv6(_)) => address.to_owned(),
    };
    Ok(OwnHost {
        host,
        port: url.port(),
    })
}
