//! The names of the lines of the log.

/// What happened. The names are part of the public contract: feed, stream and webhooks carry them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A customer's message was stored.
    MessageReceived,
    /// A reply waits to be sent.
    MessageQueued,
    /// The platform accepted a reply, or a person sent one in the platform's own app.
    MessageSent,
    /// The platform refused a reply for good.
    MessageFailed,
    /// Nobody knows whether the platform took a reply.
    MessageUnconfirmed,
    /// A message waits for its author, or its time became known.
    MessageUpdated,
    /// A message is gone: it turned out to be another one, which `replaced_by` names.
    MessageDeleted,
    /// The customer read up to a message.
    MessageRead,
    /// A private note was written.
    NoteCreated,
    /// A conversation began.
    ConversationOpened,
    /// A resolved conversation came back.
    ConversationReopened,
    /// It waits in its team's queue, and why.
    ConversationWaiting,
    /// It got an assignee.
    ConversationAssigned,
    /// It lost its assignee.
    ConversationUnassigned,
    /// Its status changed.
    ConversationStatusChanged,
    /// Its priority changed.
    ConversationPriorityChanged,
    /// It moved to another team.
    ConversationTeamChanged,
    /// It got other labels.
    ConversationLabelsChanged,
    /// It wants other skills.
    ConversationSkillsChanged,
    /// It got other attributes, or another name of the brand's own.
    ConversationAttributesChanged,
    /// A clock began to run.
    SlaStarted,
    /// A clock passed a warning.
    SlaWarning,
    /// A clock passed its due instant.
    SlaBreached,
    /// A clock was met, in time or late.
    SlaMet,
    /// A clock ended without a verdict.
    SlaCancelled,
    /// A clock's start or target changed.
    SlaRetargeted,
    /// A breach was taken back by late news.
    SlaBreachWithdrawn,
    /// A clock rests: the customer owes the next step.
    SlaPaused,
    /// It runs again.
    SlaResumed,
    /// A step after a breach was taken.
    SlaEscalated,
    /// A contact was seen for the first time.
    ContactCreated,
    /// A contact's name, attributes or external id changed.
    ContactUpdated,
    /// Another contact's identities and conversations became its own.
    ContactMerged,
    /// A merge was undone.
    ContactUnmerged,
    /// Their messages are kept and do nothing from now on.
    ContactBlocked,
    /// Their next message opens a conversation again.
    ContactUnblocked,
    /// Everything personal about them is gone.
    ContactErased,
    /// An account was connected.
    ChannelConnected,
    /// The platform no longer accepts our token.
    ChannelReauthRequired,
    /// An account was disconnected.
    ChannelDisconnected,
    /// A member joined.
    MemberCreated,
    /// A member's settings changed.
    MemberUpdated,
    /// A member came online, went away or left.
    MemberPresenceChanged,
    /// A team's settings changed.
    TeamUpdated,
}

impl EventType {
    /// The public name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageReceived => "message.received",
            Self::MessageQueued => "message.queued",
            Self::MessageSent => "message.sent",
            Self::MessageFailed => "message.failed",
            Self::MessageUnconfirmed => "message.unconfirmed",
            Self::MessageUpdated => "message.updated",
            Self::MessageDeleted => "message.deleted",
            Self::MessageRead => "message.read",
            Self::NoteCreated => "note.created",
            Self::ConversationOpened => "conversation.opened",
            Self::ConversationReopened => "conversation.reopened",
            Self::ConversationWaiting => "conversation.waiting",
            Self::ConversationAssigned => "conversation.assigned",
            Self::ConversationUnassigned => "conversation.unassigned",
            Self::ConversationStatusChanged => "conversation.status_changed",
            Self::ConversationPriorityChanged => "conversation.priority_changed",
            Self::ConversationTeamChanged => "conversation.team_changed",
            Self::ConversationLabelsChanged => "conversation.labels_changed",
            Self::ConversationSkillsChanged => "conversation.skills_changed",
            Self::ConversationAttributesChanged => "conversation.attributes_changed",
            Self::SlaStarted => "sla.started",
            Self::SlaWarning => "sla.warning",
            Self::SlaBreached => "sla.breached",
            Self::SlaMet => "sla.met",
            Self::SlaCancelled => "sla.cancelled",
            Self::SlaRetargeted => "sla.retargeted",
            Self::SlaBreachWithdrawn => "sla.breach_withdrawn",
            Self::SlaPaused => "sla.paused",
            Self::SlaResumed => "sla.resumed",
            Self::SlaEscalated => "sla.escalated",
            Self::ContactCreated => "contact.created",
            Self::ContactUpdated => "contact.updated",
            Self::ContactMerged => "contact.merged",
            Self::ContactUnmerged => "contact.unmerged",
            Self::ContactBlocked => "contact.blocked",
            Self::ContactUnblocked => "contact.unblocked",
            Self::ContactErased => "contact.erased",
            Self::ChannelConnected => "channel.connected",
            Self::ChannelReauthRequired => "channel.reauth_required",
            Self::ChannelDisconnected => "channel.disconnected",
            Self::MemberCreated => "member.created",
            Self::MemberUpdated => "member.updated",
            Self::MemberPresenceChanged => "member.presence_changed",
            Self::TeamUpdated => "team.updated",
        }
    }
}

/// The events after which somebody may get something to do: a conversation waits, or an agent has
/// room.
pub const OF_ROUTING: [EventType; 10] = [
    EventType::ConversationOpened,
    EventType::ConversationReopened,
    EventType::ConversationStatusChanged,
    EventType::ConversationAssigned,
    EventType::ConversationUnassigned,
    EventType::ConversationTeamChanged,
    EventType::ConversationPriorityChanged,
    EventType::MemberPresenceChanged,
    EventType::MemberUpdated,
    EventType::TeamUpdated,
];
