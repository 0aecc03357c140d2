//! Replies on their way out: who sends what, and what became of it.
//!
//! A platform's send call has no idempotency key, so a reply goes out at most once: the attempt is
//! committed before the first byte ([`take`]), and what nobody saw answered stays `unknown` until the
//! platform's echo ([`match_echo`]), a look-up ([`settle_doubt`]) or a person ([`mark_sent`],
//! [`retry`]) settles it. Nothing in here sends again what may have been sent, but once, after a
//! look-up that covers the attempt and does not show it.
//!
//! An echo may come and not be recognised; then it stands in the thread as a message of its own, a
//! stray. It is evidence all the same, and gone once the reply that it is has been settled by it.
//!
//! One message of a conversation is under way at a time: every change here holds the conversation's
//! lock first, then the message's.

mod acts;
mod ending;
mod evidence;
mod finish;
mod rules;
mod stray;
mod take;

use roost_domain::ids::{BrandId, ChannelId, ConversationId, MessageId};
use uuid::Uuid;

use crate::error::StoreError;
use crate::tx::Store;

pub use acts::{ActOutcome, cancel, mark_sent, retry};
pub use ending::{Answer, Ending, Pause};
pub use evidence::{Echo, Settled, Sighting, match_echo, postpone_doubt, settle_doubt};
pub use finish::finish;
pub use rules::DECIDE_AFTER;
pub use stray::note_strays;
pub use take::{Claimed, Doubt, Put, Terms, Work, take};

/// A reply that has to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// The brand.
    pub brand: BrandId,
    /// The reply.
    pub message: MessageId,
    /// Its conversation.
    pub conversation: ConversationId,
    /// The account that it goes out by.
    pub channel: ChannelId,
}

/// What is due now, the most urgent first: at most one reply of a conversation.
///
/// # Errors
/// When the database fails.
pub async fn due(store: &Store, most: i32) -> Result<Vec<Due>, StoreError> {
    let rows: Vec<(Uuid, Uuid, Uuid, Uuid)> = store
        .system(move |tx| {
            Box::pin(async move {
                Ok::<_, StoreError>(
                    sqlx::query_as(
                        "select brand_id, message_id, conversation_id, channel_id from cross_due_messages($1)",
                    )
                    .bind(most)
                    .fetch_all(tx.conn())
                    .await?,
                )
            })
        })
        .await?;
    Ok(rows
        .into_iter()
        .map(|(brand, message, conversation, channel)| Due {
            brand: BrandId(brand),
            message: MessageId(message),
            conversation: ConversationId(conversation),
            channel: ChannelId(channel),
        })
        .collect())
}
