//! Why a call came to nothing.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use rustls::CertificateError;

use crate::address::AddressClass;
use crate::guard::{Refusal, RefusedUrl};
use crate::resolver::ResolveFault;

/// Where a time limit struck.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Resolving the name, connecting, greeting by TLS.
    Connecting,
    /// Sending the request, waiting for the answer, reading it.
    Answering,
}

/// What is wrong with the receiver's TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsFault {
    /// Its certificate has expired.
    Expired,
    /// Its certificate is not valid yet.
    NotYetValid,
    /// Its certificate is by nobody we trust, such as itself; an intermediate one may be missing.
    UnknownIssuer,
    /// Its certificate is for other names.
    NameMismatch,
    /// Its certificate was revoked.
    Revoked,
    /// Anything else, in words for people.
    Other(String),
}

impl TlsFault {
    /// A stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Expired => "tls_expired",
            Self::NotYetValid => "tls_not_yet_valid",
            Self::UnknownIssuer => "tls_unknown_issuer",
            Self::NameMismatch => "tls_name_mismatch",
            Self::Revoked => "tls_revoked",
            Self::Other(_) => "tls_failed",
        }
    }
}

/// Why a call came to nothing. Nothing of the answer is in it.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The URL may not be called.
    #[error("the URL may not be called")]
    Refused(#[source] RefusedUrl),
    /// The name leads to an address that isn't public.
    #[error("the name leads to {address}, which is not public: {}", .class.as_str())]
    RefusedAddress {
        /// The address.
        address: IpAddr,
        /// Why it isn't public.
        class: AddressClass,
    },
    /// The name leads to this house.
    #[error("the name leads to our own address {address}")]
    OwnAddress {
        /// The address.
        address: IpAddr,
    },
    /// The name leads out of the allowed networks, where only https at the usual ports is allowed.
    #[error("the name leads to {address}: only https at port 443 or 8443 may go there")]
    NotAllowed {
        /// The address.
        address: IpAddr,
    },
    /// The name can't be resolved.
    #[error("cannot resolve the name")]
    Dns(#[source] Option<Arc<dyn Error + Send + Sync>>),
    /// Nobody answers at the address.
    #[error("cannot connect")]
    Connect(#[source] reqwest::Error),
    /// TLS doesn't come about.
    #[error("TLS failed: {}", .0.code())]
    Tls(TlsFault),
    /// It took too long.
    #[error("it took too long: {0:?}")]
    Timeout(Phase),
    /// The receiver wants us to go elsewhere.
    #[error("the answer is a redirect ({status})")]
    Redirect {
        /// The answer's status.
        status: u16,
    },
    /// The answer is longer than allowed.
    #[error("the answer ({status}) is longer than {limit} bytes")]
    TooLarge {
        /// The answer's status.
        status: u16,
        /// What is allowed, in bytes.
        limit: usize,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("the connection broke")]
    Broken(#[source] reqwest::Error),
}

impl SendError {
    /// A stable word.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused(why) => why.code(),
            Self::RefusedAddress { .. } | Self::NotAllowed { .. } => "address_refused",
            Self::OwnAddress { .. } => "own_address",
            Self::Dns(_) => "dns_failed",
            Self::Connect(_) => "connect_failed",
            Self::Tls(fault) => fault.code(),
            Self::Timeout(Phase::Connecting) => "connect_timeout",
            Self::Timeout(Phase::Answering) => "timeout",
            Self::Redirect { .. } => "redirect",
            Self::TooLarge { .. } => "too_large",
            Self::Broken(_) => "connection_broken",
        }
    }

    /// Looks for the cause in the HTTP client's error. The URL, which may carry secrets, is taken out.
    pub(crate) fn from_http(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(this) = cause {
            if let Some(fault) = this.downcast_ref::<ResolveFault>() {
                return Self::from_resolver(fault.clone());
            }
            if let Some(fault) = tls_error(this) {
                return Self::Tls(tls_fault(fault));
            }
            cause = this.source();
        }
        if error.is_timeout() {
            let phase = if error.is_connect() {
                Phase::Connecting
            } else {
                Phase::Answering
            };
            return Self::Timeout(phase);
        }
        if error.is_connect() {
            return Self::Connect(error);
        }
        Self::Broken(error)
    }

    fn from_resolver(fault: ResolveFault) -> Self {
        match fault {
            ResolveFault::Failed(cause) => Self::Dns(Some(cause)),
            ResolveFault::NoAddress => Self::Dns(None),
            ResolveFault::Refused { address, refusal } => match refusal {
                Refusal::NotPublic(class) => Self::RefusedAddress { address, class },
                Refusal::NotAllowed => Self::NotAllowed { address },
                Refusal::Own => Self::OwnAddress { address },
            },
        }
    }
}

/// An I/O error hides what it was made of from `source`, and may be made of another.
fn tls_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    let mut inner = error;
    while let Some(io) = inner.downcast_ref::<io::Error>() {
        inner = io.get_ref()?;
    }
    inner.downcast_ref()
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "rustls adds errors in minor versions"
)]
fn tls_fault(error: &rustls::Error) -> TlsFault {
    let rustls::Error::InvalidCertificate(certificate) = error else {
        return TlsFault::Other(error.to_string());
    };
    match certificate {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => TlsFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            TlsFault::NotYetValid
        }
        CertificateError::UnknownIssuer => TlsFault::UnknownIssuer,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            TlsFault::NameMismatch
        }
        CertificateError::Revoked => TlsFault::Revoked,
        // What `openssl req -x509` makes signs itself and says that it may sign others.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            TlsFault::UnknownIssuer
        }
        _ => TlsFault::Other(error.to_string()),
    }
}
