//! Rows as they are written. A batch costs one round trip for each table whatever its size: those
//! that most messages write go as an array for each column, the others as one JSON array a table.

use jiff::{SignedDuration, Timestamp};
use roost_domain::conversation::{Act, Closing, Fact, FactKind, Order};
use roost_domain::event::EventType;
use roost_domain::ids::{MemberId, MessageId};
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Cause, Conversation};
use crate::search::Indexed;
use crate::ts::Ts;

#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) brand_id: Uuid,
    pub(super) id: Uuid,
    pub(super) conversation_id: Option<Uuid>,
    pub(super) seq: Option<i64>,
    pub(super) r#type: &'static str,
    pub(super) subject_id: Option<Uuid>,
    pub(super) actor_type: &'static str,
    pub(super) actor_id: Option<Uuid>,
    pub(super) request_id: Option<String>,
    pub(super) client_ref: Option<String>,
    pub(super) bucket: i16,
    pub(super) occurred_at: Ts,
    pub(super) data: Value,
}

impl EventRow {
    pub(super) fn of_conversation(
        conversation: &Conversation,
        now: Timestamp,
        kind: EventType,
        cause: &Cause,
        data: Value,
    ) -> Self {
        Self {
            brand_id: conversation.brand.0,
            id: Uuid::now_v7(),
            conversation_id: Some(conversation.id.0),
            seq: Some(conversation.last_seq),
            r#type: kind.as_str(),
            subject_id: None,
            actor_type: cause.actor.kind(),
            actor_id: cause.actor.id(),
            request_id: cause.request_id.clone(),
            client_ref: cause.client_ref.clone(),
            bucket: i16::from(conversation.bucket),
            occurred_at: now.into(),
            data,
        }
    }
}

/// A file of a message, as the platform describes it.
#[derive(Debug, Clone)]
pub struct NewAttachment {
    /// Such as `photo`, `video`, `animated_gif`, `location`.
    pub kind: String,
    /// The media type, if the platform tells it.
    pub content_type: Option<String>,
    /// Where the platform keeps it; never handed to a browser.
    pub source_url: Option<String>,
    /// In pixels.
    pub width: Option<i32>,
    /// In pixels.
    pub height: Option<i32>,
    /// What has no column, such as coordinates.
    pub data: Option<Value>,
}

/// The way out of a reply.
#[derive(Debug, Clone)]
pub struct NewOutbound {
    /// The customer's id on the platform.
    pub recipient_id: String,
    /// The status that its author asked for.
    pub then_status: Option<&'static str>,
    /// When a snooze that its author asked for ends.
    pub then_until: Option<Timestamp>,
    /// What the platform will show, made comparable.
    pub fingerprint: Vec<u8>,
}

/// A message to store.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Made by the caller, so that the fact and the event can name it.
    pub id: MessageId,
    /// `inbound`, `reply`, `note` or `automatic`.
    pub kind: &'static str,
    /// `contact`, `member`, `bot` or `external`.
    pub author_type: &'static str,
    /// The member or contact.
    pub author_id: Option<Uuid>,
    /// The whole text.
    pub text: String,
    /// The platform's entities.
    pub entities: Option<Value>,
    /// The option that the customer chose.
    pub quick_reply_answer: Option<Value>,
    /// What the message came from.
    pub initiated_via: Option<Value>,
    /// Its place: platform time, else the database's.
    pub order_at: Timestamp,
    /// Its place: the platform's event id as a number.
    pub order_no: i64,
    /// Older than the channel's connection.
    pub is_history: bool,
    /// Encrypted on the platform.
    pub is_unreadable: bool,
    /// The platform's time, once it has one.
    pub sent_at: Option<Timestamp>,
    /// The platform's id, once it has one.
    pub platform_event_id: Option<String>,
    /// The client's own name for it.
    pub client_ref: Option<String>,
    /// Its files.
    pub attachments: Vec<NewAttachment>,
    /// Its way out, for a reply.
    pub outbound: Option<NewOutbound>,
}

#[derive(Debug)]
pub(super) struct MessageRow {
    pub(super) brand_id: Uuid,
    pub(super) id: Uuid,
    pub(super) conversation_id: Uuid,
    pub(super) channel_id: Uuid,
    pub(super) kind: &'static str,
    pub(super) author_type: &'static str,
    pub(super) author_id: Option<Uuid>,
    pub(super) text: String,
    pub(super) entities: Option<Value>,
    pub(super) quick_reply_answer: Option<Value>,
    pub(super) initiated_via: Option<Value>,
    pub(super) order_at: Ts,
    pub(super) order_no: i64,
    pub(super) stored_seq: i64,
    pub(super) is_history: bool,
    pub(super) is_unreadable: bool,
    pub(super) sent_at: Option<Ts>,
    pub(super) platform_event_id: Option<String>,
    pub(super) client_ref: Option<String>,
    pub(super) created_at: Ts,
}

impl MessageRow {
    /// What it is found by.
    pub(super) fn indexed(&self) -> Indexed<'_> {
        Indexed {
            brand: self.brand_id,
            message: self.id,
            conversation: self.conversation_id,
            at: self.order_at.get(),
            text: &self.text,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct AttachmentRow {
    brand_id: Uuid,
    id: Uuid,
    message_id: Uuid,
    ordinal: i16,
    r#type: String,
    content_type: Option<String>,
    source_url: Option<String>,
    width: Option<i32>,
    height: Option<i32>,
    data: Option<Value>,
}

#[derive(Debug, Serialize)]
pub(super) struct OutboundRow {
    brand_id: Uuid,
    message_id: Uuid,
    conversation_id: Uuid,
    channel_id: Uuid,
    recipient_id: String,
    state: &'static str,
    needs_decision: bool,
    then_status: Option<&'static str>,
    then_until: Option<Timestamp>,
    // The text form of bytea, as jsonb_populate_recordset reads it.
    fingerprint: String,
    attempt_no: i32,
    queued_at: Timestamp,
}

impl NewMessage {
    pub(super) fn into_rows(
        self,
        conversation: &Conversation,
        now: Timestamp,
        messages: &mut Vec<MessageRow>,
        attachments: &mut Vec<AttachmentRow>,
        outbound: &mut Vec<OutboundRow>,
    ) {
        let brand_id = conversation.brand.0;
        for (ordinal, file) in (0_i16..).zip(self.attachments) {
            attachments.push(AttachmentRow {
                brand_id,
                id: Uuid::now_v7(),
                message_id: self.id.0,
                ordinal,
                r#type: file.kind,
                content_type: file.content_type,
                source_url: file.source_url,
                width: file.width,
                height: file.height,
                data: file.data,
            });
        }
        if let Some(out) = self.outbound {
            let hex: String = out
                .fingerprint
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            outbound.push(OutboundRow {
                brand_id,
                message_id: self.id.0,
                conversation_id: conversation.id.0,
                channel_id: conversation.channel.0,
                recipient_id: out.recipient_id,
                state: "queued",
                needs_decision: false,
                then_status: out.then_status,
                then_until: out.then_until,
                fingerprint: format!("\\x{hex}"),
                attempt_no: 0,
                queued_at: now,
            });
        }
        messages.push(MessageRow {
            brand_id,
            id: self.id.0,
            conversation_id: conversation.id.0,
            channel_id: conversation.channel.0,
            kind: self.kind,
            author_type: self.author_type,
            author_id: self.author_id,
            text: self.text,
            entities: self.entities,
            quick_reply_answer: self.quick_reply_answer,
            initiated_via: self.initiated_via,
            order_at: self.order_at.into(),
            order_no: self.order_no,
            stored_seq: conversation.last_seq,
            is_history: self.is_history,
            is_unreadable: self.is_unreadable,
            sent_at: self.sent_at.map(Into::into),
            platform_event_id: self.platform_event_id,
            client_ref: self.client_ref,
            created_at: now.into(),
        });
    }
}

/// An act, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActKind {
    /// Set it open.
    Open,
    /// Set it pending.
    Pend,
    /// Put it away until an instant.
    Snooze(Timestamp),
    /// Close it.
    Resolve,
    /// The snooze ran out.
    Wake,
    /// What the customer wrote asks for no reply.
    NoReply,
    /// Close it because its contact was blocked.
    Block,
    /// Close it because its contact was erased.
    Erase,
    /// Its channel was disconnected.
    Disconnect,
}

impl ActKind {
    pub(super) fn parse(act: &str, until: Option<Timestamp>) -> Option<Self> {
        match (act, until) {
            ("open", _) => Some(Self::Open),
            ("pend", _) => Some(Self::Pend),
            ("snooze", Some(until)) => Some(Self::Snooze(until)),
            ("resolve", _) => Some(Self::Resolve),
            ("wake", _) => Some(Self::Wake),
            ("no_reply", _) => Some(Self::NoReply),
            ("block", _) => Some(Self::Block),
            ("erase", _) => Some(Self::Erase),
            ("disconnect", _) => Some(Self::Disconnect),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Pend => "pend",
            Self::Snooze(_) => "snooze",
            Self::Resolve => "resolve",
            Self::Wake => "wake",
            Self::NoReply => "no_reply",
            Self::Block => "block",
            Self::Erase => "erase",
            Self::Disconnect => "disconnect",
        }
    }

    pub(super) fn act(self) -> Act {
        match self {
            Self::Open => Act::Open,
            Self::Pend => Act::Pend,
            Self::Snooze(until) => Act::Snooze(until),
            Self::Resolve => Act::Resolve,
            Self::Wake => Act::Wake,
            Self::NoReply => Act::NoReply,
            Self::Block => Act::Close(Closing::Blocked),
            Self::Erase => Act::Close(Closing::Erased),
            Self::Disconnect => Act::Disconnect,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ActRow {
    brand_id: Uuid,
    conversation_id: Uuid,
    id: Uuid,
    act: &'static str,
    until: Option<Timestamp>,
    member_id: Option<Uuid>,
    stored_seq: i64,
    order_at: Timestamp,
    created_at: Timestamp,
}

impl ActRow {
    /// An act of an instant. Its place is after all that the conversation has, whatever the
    /// platform's times say: who acted saw it.
    pub(super) fn new(
        conversation: &Conversation,
        now: Timestamp,
        kind: ActKind,
        member: Option<MemberId>,
    ) -> Self {
        Self {
            brand_id: conversation.brand.0,
            conversation_id: conversation.id.0,
            id: Uuid::now_v7(),
            act: kind.name(),
            until: match kind {
                ActKind::Snooze(until) => Some(until),
                ActKind::Open
                | ActKind::Pend
                | ActKind::Resolve
                | ActKind::Wake
                | ActKind::NoReply
                | ActKind::Block
                | ActKind::Erase
                | ActKind::Disconnect => None,
            },
            member_id: member.map(|member| member.0),
            stored_seq: conversation.last_seq,
            // The platform's clock may be ahead of ours.
            order_at: conversation.state.last.map_or(now, |last| {
                now.max(last.at + SignedDuration::from_micros(1))
            }),
            created_at: now,
        }
    }

    pub(super) fn fact(&self, kind: ActKind) -> Fact {
        Fact {
            order: Order {
                at: self.order_at,
                no: 0,
                id: self.id,
            },
            clock_at: self.created_at,
            stored_seq: self.stored_seq,
            kind: FactKind::Act(kind.act()),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct FiringRow {
    pub(super) brand_id: Uuid,
    pub(super) clock_id: Uuid,
    pub(super) what: String,
    pub(super) verdict_no: i32,
    pub(super) fired_at: Timestamp,
}

#[derive(Debug)]
pub(super) struct ConversationRow<'a> {
    pub(super) brand_id: Uuid,
    pub(super) id: Uuid,
    pub(super) channel_id: Uuid,
    pub(super) identity_id: Uuid,
    pub(super) contact_id: Uuid,
    pub(super) bucket: i16,
    pub(super) status: &'static str,
    pub(super) priority: &'static str,
    pub(super) team_id: Option<Uuid>,
    pub(super) assignee_id: Option<Uuid>,
    pub(super) assigned_at: Option<Ts>,
    pub(super) queued_at: Option<Ts>,
    pub(super) waiting_reason: Option<&'a str>,
    pub(super) version: i64,
    pub(super) last_seq: i64,
    pub(super) cycle: i32,
    pub(super) cycle_started_at: Ts,
    pub(super) waiting_since: Option<Ts>,
    pub(super) resolved_at: Option<Ts>,
    pub(super) snoozed_until: Option<Ts>,
    pub(super) clock_kind: Option<&'static str>,
    pub(super) clock_ordinal: Option<i32>,
    pub(super) clock_started_at: Option<Ts>,
    pub(super) clock_cycle: Option<i32>,
    pub(super) lapsed_cycle: Option<i32>,
    pub(super) lapsed_started_at: Option<Ts>,
    pub(super) waits: i32,
    pub(super) first_response_done: bool,
    pub(super) next_responses: i32,
    pub(super) last_order_at: Option<Ts>,
    pub(super) last_order_no: Option<i64>,
    pub(super) last_order_id: Option<Uuid>,
    pub(super) last_inbound_seq: i64,
    pub(super) opened_at: Ts,
    pub(super) preview: &'a str,
    pub(super) last_message_at: Option<Ts>,
    pub(super) has_failed_send: bool,
    pub(super) customer_read_no: i64,
    pub(super) origin_kind: Option<&'a str>,
    pub(super) origin_ref: Option<&'a str>,
}

impl<'a> From<&'a Conversation> for ConversationRow<'a> {
    fn from(conversation: &'a Conversation) -> Self {
        let state = &conversation.state;
        Self {
            brand_id: conversation.brand.0,
            id: conversation.id.0,
            channel_id: conversation.channel.0,
            identity_id: conversation.identity.0,
            contact_id: conversation.contact.0,
            bucket: i16::from(conversation.bucket),
            status: state.status.as_str(),
            priority: conversation.priority.as_str(),
            team_id: conversation.team.map(|team| team.0),
            assignee_id: conversation.assignee.map(|assignee| assignee.0),
            assigned_at: conversation.assigned_at.map(Into::into),
            queued_at: conversation.queued_at.map(Into::into),
            waiting_reason: conversation.waiting_reason.as_deref(),
            version: conversation.version,
            last_seq: conversation.last_seq,
            cycle: state.cycle,
            cycle_started_at: state.cycle_started_at.into(),
            waiting_since: state.waiting_since.map(Into::into),
            resolved_at: state.resolved_at.map(Into::into),
            snoozed_until: state.snoozed_until.map(Into::into),
            clock_kind: state.running.map(|clock| clock.kind.as_str()),
            clock_ordinal: state.running.map(|clock| clock.ordinal),
            clock_started_at: state.running.map(|clock| clock.started_at.into()),
            clock_cycle: state.running.map(|clock| clock.cycle),
            lapsed_cycle: state.lapsed.map(|clock| clock.cycle),
            lapsed_started_at: state.lapsed.map(|clock| clock.started_at.into()),
            waits: conversation.waits,
            first_response_done: state.first_response_done,
            next_responses: state.next_responses,
            last_order_at: state.last.map(|order| order.at.into()),
            last_order_no: state.last.map(|order| order.no),
            last_order_id: state.last.map(|order| order.id),
            last_inbound_seq: state.last_inbound_seq,
            opened_at: conversation.opened_at.into(),
            preview: &conversation.preview,
            last_message_at: conversation.last_message_at.map(Into::into),
            has_failed_send: conversation.has_failed_send,
            customer_read_no: conversation.customer_read_no,
            origin_kind: conversation.origin.as_ref().map(|(kind, _)| kind.as_str()),
            origin_ref: conversation
                .origin
                .as_ref()
                .map(|(_, reference)| reference.as_str()),
        }
    }
}
