//! The demo brand.

use roost_domain::ids::{BrandId, MemberId, TeamId, UserId};
use roost_domain::role::Role;
use roost_store::accounts::{self, NewAccount};
use roost_store::ledger::Cause;
use roost_store::{BrandTx, Store, skills};
use serde::Serialize;
use uuid::Uuid;

use crate::auth::Passwords;
use crate::problem::Problem;

/// Who can sign in.
#[derive(Debug, Clone, Serialize)]
pub struct SeededMember {
    /// The person's name.
    pub name: String,
    /// To sign in.
    pub email: String,
    /// To sign in.
    pub password: String,
    /// What they may do.
    pub role: String,
}

/// What was seeded.
#[derive(Debug, Clone, Serialize)]
pub struct Seeded {
    /// The brand.
    pub brand_id: String,
    /// Its members, the owner first.
    pub members: Vec<SeededMember>,
}

struct Person {
    name: &'static str,
    email: &'static str,
    password: &'static str,
    role: Role,
    /// Whether they are in "Billing" rather than in "Support".
    is_billing: bool,
    skills: &'static [&'static str],
}

const PEOPLE: [Person; 5] = [
    Person {
        name: "Olivia Harbor",
        email: "olivia@harbor.example",
        password: "harbor-owner-demo",
        role: Role::Owner,
        is_billing: false,
        skills: &[],
    },
    Person {
        name: "Ana Silva",
        email: "ana@harbor.example",
        password: "harbor-ana-demo",
        role: Role::Agent,
        is_billing: false,
        skills: &["english", "portuguese"],
    },
    Person {
        name: "Ben Okafor",
        email: "ben@harbor.example",
        password: "harbor-ben-demo",
        role: Role::Agent,
        is_billing: false,
        skills: &["english"],
    },
    Person {
        name: "Chiara Conti",
        email: "chiara@harbor.example",
        password: "harbor-chiara-demo",
        role: Role::Agent,
        is_billing: true,
        skills: &["english", "italian", "billing"],
    },
    Person {
        name: "Dmitri Novak",
        email: "dmitri@harbor.example",
        password: "harbor-dmitri-demo",
        role: Role::Agent,
        is_billing: true,
        skills: &["english", "billing"],
    },
];

/// Makes the demo brand unless it is there: an owner, two teams with two agents each, skills and an
/// SLA policy. The answer is the same each time.
///
/// # Errors
/// When the database fails, or its owner's address belongs to somebody without a brand.
pub async fn seed(store: &Store) -> anyhow::Result<Seeded> {
    let brand = match find(store).await? {
        Some(brand) => brand,
        None => create(store).await?,
    };
    let members = PEOPLE
        .iter()
        .map(|person| SeededMember {
            name: person.name.to_owned(),
            email: person.email.to_owned(),
            password: person.password.to_owned(),
            role: person.role.as_str().to_owned(),
        })
        .collect();
    Ok(Seeded {
        brand_id: brand.to_string(),
        members,
    })
}

async fn find(store: &Store) -> anyhow::Result<Option<BrandId>> {
    let seat = store.system(|tx| {
        Box::pin(async move {
            let Some(owner) = accounts::find_user(tx, PEOPLE[0].email).await? else {
                return Ok::<_, Problem>(None);
            };
            Ok(accounts::memberships(tx, UserId(owner.user_id))
                .await?
                .into_iter()
                .next())
        })
    });
    Ok(seat.await.map_err(fault)?.map(|seat| seat.brand))
}

async fn create(store: &Store) -> anyhow::Result<BrandId> {
    let hashes = prometheus::IntCounter::new("seed_hashes", "Hashes.")?;
    let passwords = Passwords::new(hashes);
    let mut accounts = Vec::new();
    for person in &PEOPLE {
        let password_hash = passwords
            .hash(person.password.to_owned())
            .await
            .map_err(fault)?;
        accounts.push(NewAccount {
            user: UserId(Uuid::now_v7()),
            member: MemberId(Uuid::now_v7()),
            brand_name: "Harbor Coffee".to_owned(),
            full_name: person.name.to_owned(),
            email: person.email.to_owned(),
            password_hash,
            time_zone: "Europe/Berlin".to_owned(),
        });
    }
    let brand = BrandId(Uuid::now_v7());
    let made = store.brand(brand, move |tx| {
        Box::pin(async move { fill(tx, &accounts).await })
    });
    anyhow::ensure!(
        made.await.map_err(fault)?,
        "the demo owner's address belongs to somebody else"
    );
    Ok(brand)
}

async fn fill(tx: &mut BrandTx, accounts: &[NewAccount]) -> Result<bool, Problem> {
    let Some(owner) = accounts.first() else {
        return Ok(false);
    };
    let Some(support) = accounts::sign_up(tx, owner, None).await? else {
        return Ok(false);
    };
    accounts::trust_email(tx.conn(), owner.user).await?;
    let cause = Cause::system();
    let billing: TeamId =
        roost_store::teams::create(tx, "Billing", "auto", false, &[], &cause).await?;
    for (person, account) in PEOPLE.iter().zip(accounts).skip(1) {
        if !accounts::create_user(tx, account).await? {
            return Ok(false);
        }
        let team = if person.is_billing { billing } else { support };
        accounts::trust_email(tx.conn(), account.user).await?;
        accounts::add_member(tx, account, person.role, &[team], &cause).await?;
        skills::give(tx, account.member, person.skills).await?;
    }
    Ok(true)
}

fn fault(problem: Problem) -> anyhow::Error {
    let cause = problem.cause().unwrap_or_default().to_owned();
    anyhow::anyhow!("cannot seed: {problem} {cause}")
}
