//! Finding out whether somebody has tampered with the log. Done by the owner, over all brands or one.

use roost_domain::ids::{AuditId, BrandId};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use super::{Auditor, GENESIS, Head, Line};
use crate::error::StoreError;

/// Lines that are read at once.
const BATCH: i64 = 1_000;
/// Broken lines of a brand that are tried at each other's places.
const MAX_TRIED: usize = 50;

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Its hash doesn't fit its content.
    Changed {
        /// Its number.
        seq: i64,
        /// Ours.
        id: AuditId,
    },
    /// It was written as another number.
    Moved {
        /// Its number now.
        seq: i64,
        /// The number that it was written as.
        from: i64,
        /// Ours.
        id: AuditId,
    },
    /// Lines are missing.
    Deleted {
        /// The first that is.
        first: i64,
        /// The last that is.
        last: i64,
    },
    /// The brand's head is not that of its last line.
    Head {
        /// The last line's number.
        last: i64,
    },
    /// A head that was written down elsewhere is not in the log.
    Foretold {
        /// Its number.
        seq: i64,
    },
}

/// What came of a brand's check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whose log.
    pub brand: BrandId,
    /// Lines read.
    pub lines: i64,
    /// Where the log ends.
    pub head: Head,
    /// In the order of the numbers.
    pub faults: Vec<Fault>,
}

/// Checks the log of every brand, or of one, and that heads that were written down elsewhere are in it.
///
/// # Errors
/// When the database can't be reached or fails.
pub async fn verify(
    owner_url: &SecretString,
    auditor: &Auditor,
    only: Option<BrandId>,
    heads: &[Head],
) -> Result<Vec<Report>, StoreError> {
    let mut connection = PgConnection::connect(owner_url.expose_secret()).await?;
    // A head that was written down names a brand even where nothing of its log is left.
    let foretold: Vec<Uuid> = heads.iter().map(|head| head.brand.0).collect();
    let brands: Vec<Uuid> = sqlx::query_scalar(
        "select brand_id from (
            select brand_id from audit_heads union select distinct brand_id from audit_log
            union select unnest($2::uuid[])
         ) known where $1::uuid is null or brand_id = $1 order by brand_id",
    )
    .bind(only.map(|brand| brand.0))
    .bind(foretold)
    .fetch_all(&mut connection)
    .await?;
    let mut reports = Vec::new();
    for brand in brands {
        let mut wanted: Vec<&Head> = heads.iter().filter(|head| head.brand.0 == brand).collect();
        wanted.sort_by_key(|head| head.seq);
        reports.push(verify_brand(&mut connection, auditor, BrandId(brand), &wanted).await?);
    }
    connection.close().await?;
    Ok(reports)
}

async fn verify_brand(
    connection: &mut PgConnection,
    auditor: &Auditor,
    brand: BrandId,
    foretold: &[&Head],
) -> Result<Report, StoreError> {
    // Read first: lines that are written meanwhile are beyond it and left for the next time.
    let head: Option<(i64, Vec<u8>)> =
        sqlx::query_as("select seq, hash from audit_heads where brand_id = $1")
            .bind(brand.0)
            .fetch_optional(&mut *connection)
            .await?;
    let mut walk = Walk::new(auditor, brand);
    loop {
        let lines: Vec<Line> = sqlx::query_as(
            "select seq, id, at, actor_type, actor_id, action, target_type, target_id, before, after, address,
                    request_id, hash
             from audit_log where brand_id = $1 and seq > $2 order by seq limit $3",
        )
        .bind(brand.0)
        .bind(walk.seq)
        .bind(BATCH)
        .fetch_all(&mut *connection)
        .await?;
        let is_last = i64::try_from(lines.len()).unwrap_or(BATCH) < BATCH;
        for line in lines {
            walk.step(line, foretold);
        }
        if is_last {
            break;
        }
    }
    Ok(walk.end(head, foretold))
}

/// A walk along one chain.
struct Walk<'a> {
    auditor: &'a Auditor,
    brand: BrandId,
    lines: i64,
    seq: i64,
    hash: Vec<u8>,
    /// Hashes that the next line may stand on: after a broken line, that which it has and that which it
    /// should have.
    bases: Vec<Vec<u8>>,
    broken: Vec<(Line, Vec<Vec<u8>>)>,
    faults: Vec<Fault>,
    found: usize,
}

impl<'a> Walk<'a> {
    fn new(auditor: &'a Auditor, brand: BrandId) -> Self {
        Self {
            auditor,
            brand,
            lines: 0,
            seq: 0,
            hash: GENESIS.to_vec(),
            bases: vec![GENESIS.to_vec()],
            broken: Vec::new(),
            faults: Vec::new(),
            found: 0,
        }
    }

    fn step(&mut self, line: Line, foretold: &[&Head]) {
        let follows = line.seq == self.seq + 1;
        if !follows {
            self.faults.push(Fault::Deleted {
                first: self.seq + 1,
                last: line.seq - 1,
            });
        }
        self.lines += 1;
        self.seq = line.seq;
        self.hash.clone_from(&line.hash);
        let fits = |base: &Vec<u8>| self.auditor.chain(self.brand.0, base, &line) == line.hash;
        // On what a line after a gap stands is gone with the gap: it is taken as it is.
        if !follows || self.bases.iter().any(fits) {
            self.bases = vec![line.hash.clone()];
        } else {
            let bases = self.bases.clone();
            for base in &bases {
                self.bases
                    .push(self.auditor.chain(self.brand.0, base, &line));
            }
            self.bases.push(line.hash.clone());
            // Nobody can have broken so many by moving a few.
            let excess = self.bases.len().saturating_sub(MAX_TRIED);
            self.bases.drain(..excess);
            self.broken.push((line.clone(), bases));
        }
        while let Some(head) = foretold.get(self.found)
            && head.seq <= line.seq
        {
            if head.seq < line.seq || head.hash != line.hash {
                self.faults.push(Fault::Foretold { seq: head.seq });
            }
            self.found += 1;
        }
    }

    fn end(mut self, head: Option<(i64, Vec<u8>)>, foretold: &[&Head]) -> Report {
        let head_seq = head.as_ref().map_or(0, |(seq, _)| *seq);
        if head_seq > self.seq {
            self.faults.push(Fault::Deleted {
                first: self.seq + 1,
                last: head_seq,
            });
        } else if head.is_none_or(|(seq, hash)| seq == self.seq && hash != self.hash)
            && self.lines > 0
        {
            self.faults.push(Fault::Head { last: self.seq });
        }
        for head in foretold.iter().skip(self.found) {
            self.faults.push(Fault::Foretold { seq: head.seq });
        }
        let broken = std::mem::take(&mut self.broken);
        let moved: Vec<Fault> = broken
            .iter()
            .map(|(line, _)| self.name(line, &broken))
            .collect();
        self.faults.extend(moved);
        self.faults.sort_by_key(Fault::place);
        Report {
            brand: self.brand,
            lines: self.lines,
            head: Head {
                brand: self.brand,
                seq: self.seq,
                hash: self.hash,
            },
            faults: self.faults,
        }
    }

    /// Whether a broken line is whole at the place of another broken one.
    fn name(&self, line: &Line, broken: &[(Line, Vec<Vec<u8>>)]) -> Fault {
        let id = AuditId(line.id);
        for (other, bases) in broken.iter().take(MAX_TRIED) {
            let there = Line {
                seq: other.seq,
                ..line.clone()
            };
            let mut bases = bases
                .iter()
                .chain(broken.iter().map(|(line, _)| &line.hash));
            let fits = |base: &Vec<u8>| self.auditor.chain(self.brand.0, base, &there) == line.hash;
            if other.seq != line.seq && bases.any(fits) {
                return Fault::Moved {
                    seq: line.seq,
                    from: other.seq,
                    id,
                };
            }
        }
        Fault::Changed { seq: line.seq, id }
    }
}

impl Fault {
    fn place(&self) -> i64 {
        match self {
            Self::Changed { seq, .. } | Self::Moved { seq, .. } | Self::Foretold { seq } => *seq,
            Self::Deleted { first, .. } => *first,
            Self::Head { last } => *last,
        }
    }
}
