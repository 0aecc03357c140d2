//! `roost audit`: whether the audit log is as it was written.

use anyhow::{Context as _, bail};
use clap::Subcommand;
use roost_domain::ids::BrandId;
use roost_store::audit::verify::{Fault, Report, verify};
use roost_store::audit::{Auditor, Head};

use super::{configure, print};

/// What to do with it.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Walk each brand's chain and name what was changed, deleted or moved; fails if anything was.
    Verify {
        /// Only this brand's.
        #[arg(long)]
        brand: Option<BrandId>,
        /// An `audit head` line of the gateway's log: BRAND:SEQ:HASH. May be given many times. A log
        /// whose end was cut off together with its head is found out by these alone.
        #[arg(long = "head", value_parser = read_head)]
        heads: Vec<Head>,
    },
}

fn read_head(text: &str) -> Result<Head, String> {
    let wanted = || "must be BRAND:SEQ:HASH, as the gateway logs it".to_owned();
    let mut parts = text.split(':');
    let (Some(brand), Some(seq), Some(hash), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(wanted());
    };
    Ok(Head {
        brand: brand.parse().map_err(|_| wanted())?,
        seq: seq.parse().map_err(|_| wanted())?,
        hash: read_hash(hash).ok_or_else(wanted)?,
    })
}

/// 32 bytes in hexadecimal.
fn read_hash(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..64).step_by(2).map(byte).collect()
}

pub(crate) async fn run(command: Audit) -> anyhow::Result<()> {
    let Audit::Verify { brand, heads } = command;
    let config = configure(&["database_url", "audit_key"])?;
    let key = config
        .keys
        .audit_key_bytes()
        .context("the audit key must be 32 bytes in base 64")?;
    let reports = verify(&config.database.url, &Auditor::new(key), brand, &heads)
        .await
        .context("cannot read the audit log")?;
    let mut faults = 0;
    for report in &reports {
        print(&summary(report))?;
        for fault in &report.faults {
            print(&format!("  {}", describe(fault)))?;
        }
        faults += report.faults.len();
    }
    if faults > 0 {
        bail!("the audit log is not as it was written: {faults} faults");
    }
    Ok(())
}

fn summary(report: &Report) -> String {
    let word = if report.faults.is_empty() {
        "ok"
    } else {
        "BROKEN"
    };
    format!(
        "{}  {} lines  {word}  head {}:{}:{}",
        report.brand,
        report.lines,
        report.brand,
        report.head.seq,
        report.head.hash_text()
    )
}

fn describe(fault: &Fault) -> String {
    match fault {
        Fault::Changed { seq, id } => format!("line {seq} ({id}) was changed"),
        Fault::Moved { seq, from, id } => format!("line {seq} ({id}) was written as line {from}"),
        Fault::Deleted { first, last } if first == last => format!("line {first} was deleted"),
        Fault::Deleted { first, last } => format!("lines {first} to {last} were deleted"),
        Fault::Head { last } => format!("the head is not that of the last line, {last}"),
        Fault::Foretold { seq } => {
            format!("the head that was written down for line {seq} is not in the log")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn a_head_is_read_as_the_gateway_logs_it() {
        let brand = BrandId(Uuid::now_v7());
        let hash = "ab".repeat(32);
        let head = read_head(&format!("{brand}:12:{hash}")).unwrap();
        assert_eq!(
            (head.brand, head.seq, head.hash_text()),
            (brand, 12, hash.clone())
        );
        for bad in [
            String::new(),
            format!("{brand}:12"),
            format!("{brand}:x:{hash}"),
            format!("{brand}:12:{hash}ab"),
            format!("{brand}:12:{}", &hash[1..]),
            format!("{brand}:12:{}g", &hash[1..]),
            format!("mem_1:12:{hash}"),
        ] {
            assert!(read_head(&bad).is_err(), "{bad}");
        }
    }
}
