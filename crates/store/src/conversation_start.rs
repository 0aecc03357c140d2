//! Conversations that the brand starts.

use roost_domain::bucket::bucket_of;
use roost_domain::conversation::Status;
use roost_domain::ids::{ChannelId, ContactId, ConversationId, IdentityId, TeamId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::{ActKind, Actor, Cause, IdentityKey, Ledger, NewConversation};
use crate::tx::BrandTx;

/// Whom to write to.
#[derive(Debug, Clone)]
pub enum Recipient {
    /// A contact of the brand.
    Contact(ContactId),
    /// Somebody known by this handle, without the `@`, in lower case.
    Handle(String),
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Started {
    /// It is there, pending, and waits for its first message.
    New(ConversationId),
    /// The customer has an unresolved one over this channel.
    Exists(ConversationId),
    /// No such channel.
    UnknownChannel,
    /// No such contact, or nobody by that handle.
    UnknownContact,
    /// The contact has no account on the channel's platform.
    Unreachable,
    /// The contact is blocked.
    Blocked,
}

#[derive(sqlx::FromRow)]
struct ChannelRow {
    platform: String,
    app: String,
    account_id: String,
    team_id: Option<Uuid>,
}

#[derive(sqlx::FromRow)]
struct IdentityRow {
    id: Uuid,
    contact_id: Uuid,
    external_id: String,
}

/// Begins a conversation with a customer who has none that is unresolved over this channel.
///
/// Happens once: the identity's lock lets one call after the other look.
///
/// # Errors
/// When the database fails.
pub async fn start(
    tx: &mut BrandTx,
    channel: ChannelId,
    recipient: &Recipient,
    cause: &Cause,
) -> Result<Started, StoreError> {
    let brand = tx.brand();
    let found: Option<ChannelRow> = sqlx::query_as(
        "select platform, app, account_id, team_id from channels where brand_id = $1 and id = $2",
    )
    .bind(brand.0)
    .bind(channel.0)
    .fetch_optional(tx.conn())
    .await?;
    let Some(account) = found else {
        return Ok(Started::UnknownChannel);
    };
    let identity = match find_identity(tx, &account.platform, recipient).await? {
        Ok(identity) => identity,
        Err(refused) => return Ok(refused),
    };
    let key = IdentityKey {
        brand,
        channel,
        identity: IdentityId(identity.id),
    };
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock_identities(tx.conn(), &[key]).await?;
    let unresolved = ledger
        .all()
        .find(|conversation| conversation.state.status != Status::Resolved);
    if let Some(conversation) = unresolved {
        return Ok(Started::Exists(conversation.id));
    }
    let counterpart = &identity.external_id;
    let id = ledger.open(NewConversation {
        brand,
        channel,
        identity: key.identity,
        contact: ContactId(identity.contact_id),
        bucket: bucket_of(
            &account.platform,
            &account.app,
            &account.account_id,
            counterpart,
        ),
        team: account.team_id.map(TeamId),
        opened_at: ledger.now,
        origin: None,
    });
    let member = match cause.actor {
        Actor::Member(member) | Actor::Bot(member) => Some(member),
        Actor::Contact(_) | Actor::External | Actor::System => None,
    };
    // Nobody waits for us: the next step is the customer's.
    ledger.act(id, ActKind::Pend, member, cause);
    ledger.flush(tx.conn()).await?;
    Ok(Started::New(id))
}

/// The customer's account on a platform, locked.
async fn find_identity(
    tx: &mut BrandTx,
    platform: &str,
    recipient: &Recipient,
) -> Result<Result<IdentityRow, Started>, StoreError> {
    let brand = tx.brand();
    let (contact, handle) = match recipient {
        Recipient::Contact(contact) => (Some(contact.0), None),
        Recipient::Handle(handle) => (None, Some(handle)),
    };
    let row: Option<IdentityRow> = sqlx::query_as(
        "select i.id, i.contact_id, i.external_id from identities i
         join contacts p on p.brand_id = i.brand_id and p.id = i.contact_id
         where i.brand_id = $1 and i.platform = $2 and (p.id = $3 or lower(p.handle) = $4)
         order by i.created_at desc, i.id limit 1 for update of i",
    )
    .bind(brand.0)
    .bind(platform)
    .bind(contact)
    .bind(handle)
    .fetch_optional(tx.conn())
    .await?;
    if let Some(row) = row {
        return Ok(Ok(row));
    }
    let is_known: bool =
        sqlx::query_scalar("select exists (select from contacts where brand_id = $1 and id = $2)")
            .bind(brand.0)
            .bind(contact)
            .fetch_one(tx.conn())
            .await?;
    Ok(Err(if is_known {
        Started::Unreachable
    } else {
        Started::UnknownContact
    }))
}
