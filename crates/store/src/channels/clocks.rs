//! The clocks of a channel that a member disconnects.

use roost_domain::ids::{ChannelId, ConversationId, MemberId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::ledger::{ActKind, Cause, Ledger};
use crate::tx::BrandTx;

/// How many clocks run, or rest, in a channel's conversations.
///
/// # Errors
/// When the database fails.
pub async fn count_running_clocks(tx: &mut BrandTx, id: ChannelId) -> Result<i64, StoreError> {
    let brand = tx.brand();
    Ok(sqlx::query_scalar(
        "select count(*) from sla_clocks k
         join conversations c on c.brand_id = k.brand_id and c.id = k.conversation_id
         where k.brand_id = $1 and c.channel_id = $2 and k.state in ('running', 'paused')",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_one(tx.conn())
    .await?)
}

/// Ends the clocks of a channel's conversations as `channel_disconnected`: nobody can answer there any more.
/// Comes before the channel's own row is locked, which those who store messages hold after conversations.
///
/// # Errors
/// When the database fails.
pub async fn end_clocks(
    tx: &mut BrandTx,
    id: ChannelId,
    member: MemberId,
    cause: &Cause,
) -> Result<(), StoreError> {
    let brand = tx.brand();
    let ids: Vec<Uuid> = sqlx::query_scalar(
        "select id from conversations where brand_id = $1 and channel_id = $2 and status <> 'resolved' order by id",
    )
    .bind(brand.0)
    .bind(id.0)
    .fetch_all(tx.conn())
    .await?;
    let ids: Vec<ConversationId> = ids.into_iter().map(ConversationId).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let mut ledger = Ledger::begin(tx.conn(), &[brand]).await?;
    ledger.lock(tx.conn(), brand, &ids).await?;
    for id in &ids {
        ledger.act(*id, ActKind::Disconnect, Some(member), cause);
    }
    ledger.refold(tx.conn(), cause).await?;
    ledger.flush(tx.conn()).await?;
    Ok(())
}
