//! Somebody is typing: passed on at once or not at all.

use roost_domain::ids::{BrandId, ConversationId};
use roost_store::contacts;
use roost_store::{IngestTx, StoreError};

use super::Placed;

/// A customer who is typing in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Typing {
    /// The brand.
    pub brand: BrandId,
    /// Where.
    pub conversation: ConversationId,
}

/// Finds the conversations of those who type; one sign for each, whatever the number of events.
pub(super) async fn find(tx: &mut IngestTx, signs: &[Placed]) -> Result<Vec<Typing>, StoreError> {
    let mut found: Vec<Typing> = Vec::new();
    for sign in signs {
        let brand = sign.route.brand;
        let name = &sign.identity;
        let conversation = contacts::find_unresolved(
            tx.conn(),
            brand,
            sign.route.channel,
            &name.platform,
            &name.external_id,
        )
        .await?;
        if let Some(conversation) = conversation {
            let typing = Typing {
                brand,
                conversation,
            };
            if !found.contains(&typing) {
                found.push(typing);
            }
        }
    }
    Ok(found)
}
