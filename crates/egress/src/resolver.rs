//! Names to checked addresses. The HTTP client connects to these and asks nobody else, so what was
//! checked is what is called.

use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::{Guard, Reach, Refusal};

/// Why a name leads nowhere; travels inside the HTTP client's errors.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ResolveFault {
    #[error("cannot resolve the name")]
    Failed(#[source] Arc<dyn Error + Send + Sync>),
    #[error("the name has no address")]
    NoAddress,
    #[error("the name has the address {address}, which may not be called")]
    Refused { address: IpAddr, refusal: Refusal },
}

/// The system's resolver.
#[derive(Debug)]
pub(crate) struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            // The port is the URL's, which the HTTP client sets.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            Ok(Box::new(found.collect::<Vec<_>>().into_iter()) as Addrs)
        })
    }
}

/// A resolver whose every answer is checked. One bad address spoils all: which of them a connection
/// would take is chance.
pub(crate) struct Checked {
    pub(crate) inner: Arc<dyn Resolve>,
    pub(crate) guard: Guard,
    pub(crate) reach: Reach,
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let answer = self.inner.resolve(name);
        let (guard, reach) = (self.guard.clone(), self.reach.clone());
        Box::pin(async move {
            let addresses: Vec<SocketAddr> = answer
                .await
                .map_err(|error| ResolveFault::Failed(Arc::from(error)))?
                .collect();
            if addresses.is_empty() {
                return Err(ResolveFault::NoAddress.into());
            }
            for address in addresses.iter().map(SocketAddr::ip) {
                if let Some(refusal) = guard.refuse(address, &reach) {
                    return Err(ResolveFault::Refused { address, refusal }.into());
                }
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Scripted(Mutex<Vec<Vec<&'static str>>>);

    impl Resolve for Scripted {
        fn resolve(&self, _: Name) -> Resolving {
            let answer = self.0.lock().unwrap().remove(0);
            let addresses = answer
                .into_iter()
                .map(|address| SocketAddr::new(address.parse().unwrap(), 0));
            let addresses: Vec<_> = addresses.collect();
            Box::pin(async move { Ok(Box::new(addresses.into_iter()) as Addrs) })
        }
    }

    async fn ask(resolver: &Checked) -> Result<Vec<SocketAddr>, ResolveFault> {
        match resolver.resolve("hooks.example".parse().unwrap()).await {
            Ok(addresses) => Ok(addresses.collect()),
            Err(error) => Err(*error.downcast::<ResolveFault>().unwrap()),
        }
    }

    fn checked(answers: &[&[&'static str]]) -> Checked {
        Checked {
            inner: Arc::new(Scripted(Mutex::new(
                answers.iter().map(|answer| answer.to_vec()).collect(),
            ))),
            guard: Guard::new(["203.0.113.9", "8.8.4.4"], []).unwrap(),
            reach: Reach::Public,
        }
    }

    #[tokio::test]
    async fn every_answer_is_judged_anew() {
        let resolver = checked(&[&["8.8.8.8"], &["127.0.0.1"]]);
        let first = ask(&resolver).await.unwrap();
        assert_eq!(first[0].ip().to_string(), "8.8.8.8");
        let second = ask(&resolver).await.unwrap_err();
        assert!(matches!(second, ResolveFault::Refused { .. }), "{second}");
    }

    #[tokio::test]
    async fn one_bad_address_spoils_all() {
        for bad in [
            "10.0.0.1",
            "::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "169.254.169.254",
        ] {
            for answer in [["8.8.8.8", bad], [bad, "8.8.8.8"]] {
                let refused = ask(&checked(&[&answer])).await.unwrap_err();
                let ResolveFault::Refused { address, .. } = refused else {
                    panic!("{refused}")
                };
                assert_eq!(address.to_string(), bad);
            }
        }
    }

    #[tokio::test]
    async fn a_name_that_leads_to_our_own_address_or_nowhere_is_refused() {
        let own = ask(&checked(&[&["8.8.4.4"]])).await.unwrap_err();
        let refusal = Refusal::Own;
        assert!(matches!(own, ResolveFault::Refused { refusal: r, .. } if r == refusal));
        let nowhere = ask(&checked(&[&[]])).await.unwrap_err();
        assert!(matches!(nowhere, ResolveFault::NoAddress));
    }
}
