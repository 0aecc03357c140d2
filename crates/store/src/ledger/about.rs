//! What policies may ask of a conversation beside its own row.

use std::collections::{BTreeMap, HashMap};

use roost_domain::ids::{BrandId, ContactId, ConversationId, LabelId};
use sqlx::PgConnection;
use sqlx::types::Json;
use uuid::Uuid;

use super::rulebook::Rulebook;
use super::{Conversation, Ledger};
use crate::error::StoreError;

/// Read only where a policy of the brand asks for it.
#[derive(Debug, Clone, Default)]
pub struct About {
    /// Its labels.
    pub labels: Vec<LabelId>,
    /// The contact's attributes by key, as they are stored.
    pub contact_attributes: BTreeMap<String, String>,
    /// Whether the contact had no conversation before this one.
    pub is_first: bool,
}

/// What is known of a contact who may get another conversation.
#[derive(Debug, Clone, Default)]
pub(super) struct ContactFacts {
    attributes: BTreeMap<String, String>,
    has_conversations: bool,
}

type Attributes = Option<Json<BTreeMap<String, String>>>;

/// What the policies ask of conversations; nothing where they ask nothing.
pub(super) async fn read(
    connection: &mut PgConnection,
    rulebook: &Rulebook,
    of: &[(BrandId, ConversationId)],
) -> Result<HashMap<ConversationId, About>, StoreError> {
    let asked = of.iter().filter(|(brand, _)| {
        let asked = rulebook.asked(*brand);
        asked.labels || asked.contact
    });
    let (brands, ids): (Vec<Uuid>, Vec<Uuid>) = asked.map(|(brand, id)| (brand.0, id.0)).unzip();
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<(Uuid, Vec<Uuid>, Attributes, bool)> = sqlx::query_as(
        "select c.id,
                array(select l.label_id from conversation_labels l
                      where l.brand_id = c.brand_id and l.conversation_id = c.id),
                (select jsonb_object_agg(d.key, a.value) from contact_attributes a
                 join attribute_definitions d on d.brand_id = a.brand_id and d.id = a.definition_id
                 where a.brand_id = c.brand_id and a.contact_id = c.contact_id),
                not exists (
                    select from conversations e
                    where e.brand_id = c.brand_id and e.contact_id = c.contact_id
                      and (e.opened_at, e.id) < (c.opened_at, c.id))
         from unnest($1::uuid[], $2::uuid[]) as w (brand_id, id) join conversations c using (brand_id, id)",
    )
    .bind(brands)
    .bind(ids)
    .fetch_all(connection)
    .await?;
    let abouts = rows.into_iter().map(|(id, labels, attributes, is_first)| {
        let about = About {
            labels: labels.into_iter().map(LabelId).collect(),
            contact_attributes: attributes.map(|json| json.0).unwrap_or_default(),
            is_first,
        };
        (ConversationId(id), about)
    });
    Ok(abouts.collect())
}

impl Ledger {
    /// Reads what the policies ask of conversations that were just locked.
    pub(super) async fn learn_about(
        &mut self,
        connection: &mut PgConnection,
        ids: &[ConversationId],
    ) -> Result<(), StoreError> {
        let of: Vec<(BrandId, ConversationId)> = ids
            .iter()
            .filter_map(|id| Some((self.get(*id)?.brand, *id)))
            .collect();
        for (id, about) in read(connection, &self.rulebook, &of).await? {
            if let Some(held) = self.conversations.get_mut(&id) {
                held.about = about;
            }
        }
        Ok(())
    }

    /// Reads what the policies ask of contacts who may get another conversation.
    pub(super) async fn learn_about_contacts(
        &mut self,
        connection: &mut PgConnection,
        identities: &[(BrandId, Uuid)],
    ) -> Result<(), StoreError> {
        let asked: Vec<(Uuid, Uuid)> = identities
            .iter()
            .filter(|(brand, _)| self.rulebook.asked(*brand).contact)
            .map(|(brand, id)| (brand.0, *id))
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let (brands, ids): (Vec<Uuid>, Vec<Uuid>) = asked.into_iter().unzip();
        let rows: Vec<(Uuid, Attributes, bool)> = sqlx::query_as(
            "select i.contact_id,
                    (select jsonb_object_agg(d.key, a.value) from contact_attributes a
                     join attribute_definitions d on d.brand_id = a.brand_id and d.id = a.definition_id
                     where a.brand_id = i.brand_id and a.contact_id = i.contact_id),
                    exists (select from conversations e
                            where e.brand_id = i.brand_id and e.contact_id = i.contact_id)
             from unnest($1::uuid[], $2::uuid[]) as w (brand_id, id) join identities i using (brand_id, id)",
        )
        .bind(brands)
        .bind(ids)
        .fetch_all(connection)
        .await?;
        for (contact, attributes, has_conversations) in rows {
            let facts = ContactFacts {
                attributes: attributes.map(|json| json.0).unwrap_or_default(),
                has_conversations,
            };
            self.contacts.insert(ContactId(contact), facts);
        }
        Ok(())
    }

    /// What is known of a conversation that is being opened.
    pub(super) fn about_new(&self, contact: ContactId) -> About {
        let facts = self.contacts.get(&contact).cloned().unwrap_or_default();
        let has_other = |other: &Conversation| other.contact == contact;
        About {
            labels: Vec::new(),
            contact_attributes: facts.attributes,
            is_first: !facts.has_conversations && !self.conversations.values().any(has_other),
        }
    }
}

pub(super) type Contacts = HashMap<ContactId, ContactFacts>;
