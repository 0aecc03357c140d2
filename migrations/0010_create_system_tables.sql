-- Tables without a brand: people, sessions, what arrives before its brand is known, and leases.
-- The app role gets no grant here; it goes through the named functions of 0003.

create table users (
    id uuid primary key,
    email text not null check (length(email) between 3 and 320 and email = lower(email)),
    full_name text not null check (length(full_name) between 1 and 200),
    password_hash text not null,
    email_verified_at timestamptz,
    -- Sealed; it counts once totp_enabled_at is set. The step is the last one whose code was used.
    totp_secret bytea,
    totp_enabled_at timestamptz,
    totp_step bigint not null default 0,
    created_at timestamptz not null default now(),
    constraint users_email_key unique (email)
);

-- A refresh token is stored as its SHA-256; the previous one is honoured for 30 s (two tabs).
create table sessions (
    id uuid primary key,
    user_id uuid not null references users,
    brand_id uuid not null,
    member_id uuid not null,
    refresh_hash bytea not null,
    previous_hash bytea,
    rotated_at timestamptz not null default now(),
    created_at timestamptz not null default now(),
    -- When the person last showed password or code.
    proven_at timestamptz not null default now(),
    address text,
    user_agent text,
    expires_at timestamptz not null,
    revoked_at timestamptz,
    constraint sessions_refresh_key unique (refresh_hash)
);
create index sessions_previous_idx on sessions (previous_hash) where previous_hash is not null;
create index sessions_user_idx on sessions (user_id);

-- Refresh tokens before the previous one: whoever shows one has stolen it, and ends the session.
create table retired_tokens (
    hash bytea primary key,
    session_id uuid not null references sessions on delete cascade
);
create index retired_tokens_session_idx on retired_tokens (session_id);

-- One active channel for each account of an app: whose webhooks are these?
create table channel_routes (
    platform text not null,
    app text not null,
    account_id text not null,
    brand_id uuid not null,
    channel_id uuid not null,
    connected_at timestamptz not null default now(),
    primary key (platform, app, account_id)
);

-- An OAuth 1.0a request token under way, so that the callback needs no session.
create table connect_requests (
    token_hash bytea primary key,
    platform text not null,
    app text not null,
    brand_id uuid not null,
    member_id uuid not null,
    browser_hash bytea not null,
    token_secret bytea not null,
    expires_at timestamptz not null
);

-- Signed events that belong to no conversation: unconnected accounts, unknown kinds, malformed ones.
create table raw_unclaimed (
    id uuid primary key,
    platform text not null,
    app text not null,
    account_id text not null,
    kind text not null,
    event_id text not null,
    reason text not null,
    payload text not null,
    request_id text,
    received_at timestamptz not null default now(),
    constraint raw_unclaimed_event_key unique (platform, app, account_id, kind, event_id)
);

-- What the broker couldn't take; drained when it returns.
create table spool (
    id uuid primary key,
    partition smallint not null,
    lane text not null,
    body bytea not null,
    request_id text not null,
    created_at timestamptz not null default now(),
    lease_until timestamptz
);
create index spool_order_idx on spool (created_at, id);

create table dead_messages (
    id uuid primary key,
    queue text not null,
    brand_id uuid,
    fingerprint bytea not null,
    reason text not null,
    payload bytea not null,
    attempts int not null default 1,
    first_seen_at timestamptz not null default now(),
    last_seen_at timestamptz not null default now(),
    constraint dead_messages_fingerprint_key unique (queue, fingerprint)
);

-- A holder that loses its lease is fenced by the epoch.
create table leases (
    name text primary key,
    holder uuid not null,
    epoch bigint not null default 1,
    until timestamptz not null
);

create table gateways (
    id uuid primary key,
    seen_at timestamptz not null default now()
);

-- How far the relay has published each brand's log, for each of its slots.
create table relay_marks (
    slot smallint not null,
    brand_id uuid not null,
    position bigint not null,
    primary key (slot, brand_id)
);

-- The send budget of a whole platform app, as its rate-limit headers last told.
create table app_send_budgets (
    platform text not null,
    app text not null,
    remaining int not null,
    reset_at timestamptz not null,
    primary key (platform, app)
);
