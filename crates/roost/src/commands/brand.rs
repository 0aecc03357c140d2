//! `roost brand`: what the operator sets for one brand.

use std::str::FromStr;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use roost_domain::ids::BrandId;
use roost_store::usage::{Limited, set_limits};

use super::{configure, print};

/// What to do with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Brand {
    /// Show a brand's own limits, after setting some.
    Limits {
        /// Whose.
        #[arg(long)]
        brand: BrandId,
        /// members, channels, `messages_per_month` or `requests_per_minute`, `=`, and a number (0: no
        /// limit) or `default`. May be given many times.
        #[arg(long = "set")]
        set: Vec<Wish>,
    },
}

/// One limit as it shall be; none for the install's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wish(Limited, Option<i32>);

impl FromStr for Wish {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, value) = text.split_once('=').ok_or("must be NAME=NUMBER")?;
        let names = || {
            let names: Vec<&str> = Limited::ALL.iter().map(|one| one.as_str()).collect();
            format!("must begin with one of {}", names.join(", "))
        };
        let found = Limited::ALL.into_iter().find(|one| one.as_str() == name);
        let limited = found.ok_or_else(names)?;
        if value == "default" {
            return Ok(Self(limited, None));
        }
        let number = value.parse().ok().filter(|number: &i32| *number >= 0);
        number
            .map(|number| Self(limited, Some(number)))
            .ok_or_else(|| "must end with a whole number or `default`".to_owned())
    }
}

pub(crate) async fn run(command: Brand) -> anyhow::Result<()> {
    let Brand::Limits { brand, set } = command;
    let config = configure(&["database_url"])?;
    let wanted: Vec<(Limited, Option<i32>)> = set
        .iter()
        .map(|Wish(what, limit)| (*what, *limit))
        .collect();
    let Some(own) = set_limits(&config.database.url, brand, &wanted)
        .await
        .context("cannot set limits")?
    else {
        bail!("there is no brand {brand}");
    };
    for (what, limit) in Limited::ALL.into_iter().zip(own) {
        let limit = limit.map_or_else(|| "default".to_owned(), |limit| limit.to_string());
        print(&format!("{}={limit}", what.as_str()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_or_the_default() {
        let good = "members=10".parse();
        assert_eq!(good, Ok(Wish(Limited::Members, Some(10))));
        let good = "requests_per_minute=default".parse();
        assert_eq!(good, Ok(Wish(Limited::RequestsPerMinute, None)));
        for bad in ["members", "members=-1", "members=x", "seats=1", "members="] {
            assert!(bad.parse::<Wish>().is_err(), "{bad}");
        }
    }
}
