//! The three services behind a command: private instances, or those that the environment names.

use std::collections::BTreeMap;
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::address::Address;
use crate::services::{Service, Services};
use crate::{provision, state};

/// Variables that name a running service to use instead of a private one, with default ports.
const EXTERNAL: [(Service, &str, u16); 3] = [
    (Service::Postgres, "ROOST_DATABASE_URL", 5432),
    (Service::Redis, "ROOST_REDIS_URL", 6379),
    (Service::Rabbitmq, "ROOST_AMQP_URL", 5672),
];

/// Where each service comes from.
#[derive(Debug)]
pub(crate) struct Backing {
    pub(crate) set: Services,
    external: BTreeMap<Service, String>,
}

impl Backing {
    /// The services for the command called `name`: installs what is missing, starts nothing.
    ///
    /// # Errors
    /// When a program is missing and can't be installed, or a named service can't be reached.
    pub(crate) fn open(name: &str) -> Result<Self> {
        let mut external = BTreeMap::new();
        for (service, variable, port) in EXTERNAL {
            if let Some(url) = std::env::var_os(variable).filter(|url| !url.is_empty()) {
                let url = url
                    .into_string()
                    .ok()
                    .with_context(|| format!("{variable} is no text"))?;
                check_reachable(&url, port).with_context(|| {
                    format!("cannot use the {} that {variable} names", service.name())
                })?;
                external.insert(service, url);
            }
        }
        let own: Vec<Service> = Service::ALL
            .into_iter()
            .filter(|one| !external.contains_key(one))
            .collect();
        provision::services(&own)?;
        let set = Services::open(&state::default_dir(name)?)?;
        Ok(Self { set, external })
    }

    /// The services that are private instances of this command.
    pub(crate) fn own(&self) -> Vec<Service> {
        Service::ALL
            .into_iter()
            .filter(|one| !self.external.contains_key(one))
            .collect()
    }

    /// The URL that the environment gave for a service.
    pub(crate) fn external(&self, service: Service) -> Option<&str> {
        self.external.get(&service).map(String::as_str)
    }

    /// The address of a service with its administrator's name.
    ///
    /// # Errors
    /// When a private one was never started.
    pub(crate) fn url(&mut self, service: Service) -> Result<String> {
        match self.external.get(&service) {
            Some(url) => Ok(url.clone()),
            None => self.set.url(service),
        }
    }

    /// Stops the private instances; the others are left as they were.
    pub(crate) fn stop(&self) {
        for service in self.own().into_iter().rev() {
            self.set.stop(service);
        }
    }
}

fn check_reachable(url: &str, default_port: u16) -> Result<()> {
    let address = Address::parse(url, default_port).context("it is no URL")?;
    let place = address.place();
    let found = place
        .to_socket_addrs()
        .with_context(|| format!("{place} has no address"))?;
    for one in found {
        if TcpStream::connect_timeout(&one, Duration::from_secs(3)).is_ok() {
            return Ok(());
        }
    }
    bail!("nothing answers at {place}")
}
