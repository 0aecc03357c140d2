-- Tables of a brand: brand_id comes first in every primary key, and foreign keys carry it.

create table brands (
    brand_id uuid primary key,
    name text not null check (length(name) between 1 and 200),
    time_zone text not null,
    version bigint not null default 1,
    created_at timestamptz not null default now()
);

create table members (
    brand_id uuid not null references brands,
    id uuid not null,
    -- A bot (an API key's member) is no person and has no address.
    user_id uuid,
    kind text not null default 'person' check (kind in ('person', 'bot')),
    name text not null check (length(name) between 1 and 200),
    email text,
    role text not null check (role in ('owner', 'admin', 'supervisor', 'agent', 'analyst')),
    capacity int not null default 10 check (capacity between 0 and 10000),
    active boolean not null default true,
    external_id text,
    last_assigned_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    constraint members_user_key unique (brand_id, user_id),
    constraint members_person_check check ((kind = 'person') = (user_id is not null) and (user_id is null) = (email is null))
);

create table teams (
    brand_id uuid not null references brands,
    id uuid not null,
    name text not null check (length(name) between 1 and 200),
    mode text not null default 'auto' check (mode in ('auto', 'manual')),
    is_default boolean not null default false,
    -- Its conversations are seen by its members, supervisors and above only.
    is_closed boolean not null default false,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    constraint teams_name_key unique (brand_id, name)
);
create unique index teams_default_key on teams (brand_id) where is_default;

create table team_members (
    brand_id uuid not null,
    team_id uuid not null,
    member_id uuid not null,
    primary key (brand_id, team_id, member_id),
    foreign key (brand_id, team_id) references teams,
    foreign key (brand_id, member_id) references members
);
create index team_members_member_idx on team_members (brand_id, member_id);

create table skills (
    brand_id uuid not null references brands,
    id uuid not null,
    name text not null check (length(name) between 1 and 100),
    version bigint not null default 1,
    primary key (brand_id, id),
    constraint skills_name_key unique (brand_id, name)
);

create table member_skills (
    brand_id uuid not null,
    member_id uuid not null,
    skill_id uuid not null,
    primary key (brand_id, member_id, skill_id),
    foreign key (brand_id, member_id) references members,
    foreign key (brand_id, skill_id) references skills
);

-- Presence of record; Redis only caches it.
create table presence (
    brand_id uuid not null,
    member_id uuid not null,
    set_status text not null default 'online' check (set_status in ('online', 'away', 'offline')),
    status text not null default 'offline' check (status in ('online', 'away', 'offline')),
    since timestamptz not null default now(),
    last_stream_at timestamptz,
    version bigint not null default 1,
    primary key (brand_id, member_id),
    foreign key (brand_id, member_id) references members
);

create table streams (
    brand_id uuid not null,
    stream_id uuid not null,
    member_id uuid not null,
    gateway_id uuid not null,
    opened_at timestamptz not null default now(),
    primary key (brand_id, stream_id),
    foreign key (brand_id, member_id) references members
);
create index streams_gateway_idx on streams (gateway_id);
create index streams_member_idx on streams (brand_id, member_id);

create table channels (
    brand_id uuid not null references brands,
    id uuid not null,
    platform text not null check (platform in ('x', 'sandbox')),
    app text not null,
    account_id text not null,
    handle text not null,
    name text not null,
    team_id uuid,
    status text not null default 'active' check (status in ('active', 'degraded', 'reauth_required', 'disconnected')),
    status_reason text,
    credentials bytea,
    -- Since when it has its status.
    status_since timestamptz not null default now(),
    version bigint not null default 1,
    connected_at timestamptz not null default now(),
    last_send_at timestamptz,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, team_id) references teams,
    constraint channels_account_key unique (brand_id, platform, app, account_id)
);

create table channel_send_budgets (
    brand_id uuid not null,
    channel_id uuid not null,
    remaining int not null,
    -- Messages in a window, where the platform told it.
    allowed int,
    reset_at timestamptz not null,
    primary key (brand_id, channel_id),
    foreign key (brand_id, channel_id) references channels
);

create table contacts (
    brand_id uuid not null references brands,
    id uuid not null,
    name text not null,
    handle text,
    avatar_url text,
    created_at timestamptz not null default now(),
    primary key (brand_id, id)
);

create table identities (
    brand_id uuid not null,
    id uuid not null,
    contact_id uuid not null,
    platform text not null,
    scope text not null default '',
    external_id text not null,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, contact_id) references contacts,
    constraint identities_external_key unique (brand_id, platform, scope, external_id)
);

create table sla_policies (
    brand_id uuid not null references brands,
    id uuid not null,
    name text not null,
    ordinal int not null default 0,
    first_response_seconds bigint check (first_response_seconds between 1 and 31622400),
    next_response_seconds bigint check (next_response_seconds between 1 and 31622400),
    warning_percent smallint not null default 75 check (warning_percent between 1 and 99),
    primary key (brand_id, id)
);

create table conversations (
    brand_id uuid not null,
    id uuid not null,
    channel_id uuid not null,
    identity_id uuid not null,
    contact_id uuid not null,
    surface text not null default 'dm' check (surface in ('dm', 'public')),
    bucket smallint not null check (bucket between 0 and 255),
    status text not null check (status in ('open', 'pending', 'snoozed', 'resolved')),
    priority text not null default 'normal' check (priority in ('low', 'normal', 'high', 'urgent')),
    team_id uuid,
    assignee_id uuid,
    assigned_at timestamptz,
    -- Since when it waits for an assignee; null while it doesn't.
    queued_at timestamptz,
    waiting_reason text,
    version bigint not null default 1,
    last_seq bigint not null default 0,
    -- The folded state (roost_domain::conversation::State).
    cycle int not null,
    cycle_started_at timestamptz not null,
    waiting_since timestamptz,
    resolved_at timestamptz,
    snoozed_until timestamptz,
    clock_kind text check (clock_kind in ('first_response', 'next_response')),
    clock_ordinal int,
    clock_started_at timestamptz,
    first_response_done boolean not null default false,
    next_responses int not null default 0,
    last_order_at timestamptz,
    last_order_no bigint,
    last_order_id uuid,
    last_inbound_seq bigint not null default 0,
    -- What lists show.
    opened_at timestamptz not null,
    preview text not null default '',
    last_message_at timestamptz,
    has_failed_send boolean not null default false,
    -- The platform's id of the newest message that the customer has read.
    customer_read_no bigint not null default 0,
    origin_kind text,
    origin_ref text,
    -- The brand's own name for it.
    external_id text check (length(external_id) between 1 and 200),
    updated_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, channel_id) references channels,
    foreign key (brand_id, identity_id) references identities,
    foreign key (brand_id, contact_id) references contacts,
    foreign key (brand_id, team_id) references teams,
    foreign key (brand_id, assignee_id) references members
);
create unique index conversations_unresolved_key
    on conversations (brand_id, channel_id, identity_id, surface) where status <> 'resolved';
create index conversations_identity_idx
    on conversations (brand_id, channel_id, identity_id, opened_at desc, id desc);
create index conversations_load_idx on conversations (brand_id, assignee_id) where status = 'open';
create index conversations_queue_idx
    on conversations (brand_id, team_id, queued_at) where queued_at is not null;
create index conversations_opened_idx on conversations (brand_id, opened_at desc, id desc);
create index conversations_last_message_idx
    on conversations (brand_id, coalesce(last_message_at, opened_at) desc, id desc);
create index conversations_external_idx on conversations (brand_id, external_id) where external_id is not null;
create index conversations_snooze_idx on conversations (snoozed_until) where status = 'snoozed';

-- What members still hold and can't keep, written with the change that took it from them: whoever dies
-- before giving it back, another finishes it.
create table handbacks (
    brand_id uuid not null,
    id uuid not null,
    member_id uuid not null,
    -- Null: of all teams, because the member was deactivated.
    team_id uuid,
    actor_type text not null,
    actor_id uuid,
    request_id text,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, member_id) references members
);
create index handbacks_age_idx on handbacks (created_at);

create table messages (
    brand_id uuid not null,
    id uuid not null,
    conversation_id uuid not null,
    channel_id uuid not null,
    kind text not null check (kind in ('inbound', 'reply', 'note', 'automatic')),
    author_type text not null check (author_type in ('contact', 'member', 'bot', 'external')),
    author_id uuid,
    text text not null,
    entities jsonb,
    quick_reply_answer jsonb,
    initiated_via jsonb,
    order_at timestamptz not null,
    order_no bigint not null default 0,
    stored_seq bigint not null,
    -- Older than the channel's connection: kept, but opens, times and notifies nothing.
    is_history boolean not null default false,
    -- Encrypted on the platform: we know that it came, not what it says.
    is_unreadable boolean not null default false,
    sent_at timestamptz,
    platform_event_id text,
    client_ref text check (length(client_ref) <= 200),
    created_at timestamptz not null default now(),
    -- Of a message of the account that no reply of ours explained when it came: the text, made
    -- comparable, for it may turn out to be the echo of one.
    fingerprint bytea,
    primary key (brand_id, id),
    foreign key (brand_id, conversation_id) references conversations
);
create index messages_stray_idx
    on messages (brand_id, conversation_id, fingerprint) where fingerprint is not null;
create unique index messages_platform_event_key
    on messages (brand_id, channel_id, platform_event_id) where platform_event_id is not null;
create unique index messages_client_ref_key
    on messages (brand_id, conversation_id, client_ref) where client_ref is not null;
create index messages_thread_idx on messages (brand_id, conversation_id, order_at, order_no, id);

create table attachments (
    brand_id uuid not null,
    id uuid not null,
    message_id uuid not null,
    ordinal smallint not null,
    type text not null,
    content_type text,
    source_url text,
    width int,
    height int,
    data jsonb,
    primary key (brand_id, id),
    foreign key (brand_id, message_id) references messages
);
create index attachments_message_idx on attachments (brand_id, message_id, ordinal);

-- A reply on its way out; its states and rules are those of docs/reliability.md, "Sending".
create table outbound_messages (
    brand_id uuid not null,
    message_id uuid not null,
    conversation_id uuid not null,
    channel_id uuid not null,
    recipient_id text not null,
    state text not null check (state in ('queued', 'sending', 'sent', 'failed', 'unknown')),
    needs_decision boolean not null default false,
    then_status text check (then_status in ('open', 'pending', 'resolved', 'snoozed')),
    then_until timestamptz,
    fingerprint bytea not null,
    attempt_no int not null default 0,
    attempt_started_at timestamptz,
    lease_token uuid,
    lease_until timestamptz,
    not_before timestamptz,
    code text,
    detail text,
    settled_by text,
    -- When it was settled by the database's time: what a platform time too far ahead is taken as.
    settled_at timestamptz,
    -- How often a look-up that found nothing sent it again by itself: once at most.
    requeues smallint not null default 0,
    queued_at timestamptz not null default now(),
    primary key (brand_id, message_id),
    foreign key (brand_id, message_id) references messages
);
create index outbound_messages_due_idx
    on outbound_messages (queued_at) where state in ('queued', 'sending', 'unknown') and not needs_decision;
create index outbound_messages_conversation_idx
    on outbound_messages (brand_id, conversation_id) where state <> 'sent';

create table send_attempts (
    brand_id uuid not null,
    message_id uuid not null,
    attempt_no int not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    outcome text,
    http_status int,
    platform_event_id text,
    error text,
    primary key (brand_id, message_id, attempt_no),
    foreign key (brand_id, message_id) references messages
);

-- Changes of status that are no message; with the messages they are what a conversation is folded from.
create table conversation_acts (
    brand_id uuid not null,
    conversation_id uuid not null,
    id uuid not null,
    act text not null check (act in ('open', 'pend', 'snooze', 'resolve', 'wake', 'no_reply')),
    until timestamptz,
    member_id uuid,
    stored_seq bigint not null,
    -- Its place among the messages: after all that its author could see.
    order_at timestamptz not null,
    created_at timestamptz not null default now(),
    -- Taken back: as if it had not been.
    undone_at timestamptz,
    primary key (brand_id, conversation_id, id),
    foreign key (brand_id, conversation_id) references conversations
);

create table conversation_reads (
    brand_id uuid not null,
    conversation_id uuid not null,
    member_id uuid not null,
    read_at timestamptz not null,
    read_no bigint not null,
    read_id uuid not null,
    primary key (brand_id, conversation_id, member_id),
    foreign key (brand_id, conversation_id) references conversations,
    foreign key (brand_id, member_id) references members
);

-- The replay defence: one row for each platform event, whatever happens to its message.
create table inbound_events (
    brand_id uuid not null,
    channel_id uuid not null,
    kind text not null,
    platform_event_id text not null,
    payload text not null,
    request_id text,
    received_at timestamptz not null default now(),
    primary key (brand_id, channel_id, kind, platform_event_id)
);

create table sla_clocks (
    brand_id uuid not null,
    id uuid not null,
    conversation_id uuid not null,
    cycle int not null,
    kind text not null check (kind in ('first_response', 'next_response')),
    ordinal int not null,
    state text not null check (state in ('running', 'met', 'met_late', 'cancelled')),
    policy_id uuid not null,
    target_seconds bigint not null,
    warning_percent smallint not null,
    started_at timestamptz not null,
    started_by uuid not null,
    due_at timestamptz not null,
    warn_at timestamptz not null,
    next_fire_at timestamptz,
    warned_at timestamptz,
    breached_at timestamptz,
    fired_at timestamptz,
    settled_at timestamptz,
    settled_by uuid,
    verdict_no int not null default 0,
    -- Late news showed that it never had a cause: kept for its story, its place is free again.
    is_withdrawn boolean not null default false,
    primary key (brand_id, id),
    foreign key (brand_id, conversation_id) references conversations
);
create unique index sla_clocks_place_key
    on sla_clocks (brand_id, conversation_id, cycle, kind, ordinal) where not is_withdrawn;
create unique index sla_clocks_running_key on sla_clocks (brand_id, conversation_id, kind) where state = 'running';
create index sla_clocks_due_idx on sla_clocks (next_fire_at) where next_fire_at is not null;

-- The effect-once key of a warning or breach.
create table sla_firings (
    brand_id uuid not null,
    clock_id uuid not null,
    what text not null,
    verdict_no int not null,
    fired_at timestamptz not null default now(),
    primary key (brand_id, clock_id, what, verdict_no),
    foreign key (brand_id, clock_id) references sla_clocks
);

create table assignment_decisions (
    brand_id uuid not null,
    id uuid not null,
    conversation_id uuid not null,
    outcome text not null check (outcome in ('assigned', 'waiting', 'unassigned')),
    member_id uuid,
    team_id uuid,
    decided_by text not null check (decided_by in ('router', 'member', 'reply')),
    actor_id uuid,
    reason text not null,
    over_capacity boolean not null default false,
    candidates jsonb not null,
    decided_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, conversation_id) references conversations
);
create index assignment_decisions_conversation_idx
    on assignment_decisions (brand_id, conversation_id, decided_at desc, id desc);

create table event_heads (
    brand_id uuid primary key references brands,
    position bigint not null default 0
);

-- The log of a brand. Positions are given after the commit by the relay, never at insert: a reader
-- that goes by position skips no late commit.
create table events (
    brand_id uuid not null,
    id uuid not null,
    conversation_id uuid,
    seq bigint,
    type text not null,
    subject_id uuid,
    actor_type text not null,
    actor_id uuid,
    request_id text,
    client_ref text,
    bucket smallint not null,
    position bigint,
    occurred_at timestamptz not null default now(),
    data jsonb not null,
    primary key (brand_id, id)
) partition by range (id);
create table events_default partition of events default;
create index events_position_idx on events (brand_id, position) where position is not null;
create index events_conversation_idx on events (brand_id, conversation_id, seq);
create index events_unsequenced_idx on events (bucket, conversation_id, seq) where position is null;
