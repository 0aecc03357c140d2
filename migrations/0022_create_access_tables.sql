-- API keys, answers kept for repeated requests, and the audit log.

-- A key acts as its own member of kind bot, which has its role. Only the SHA-256 of its secret is kept;
-- the previous secret is good for a while after a rotation.
create table api_keys (
    brand_id uuid not null,
    id uuid not null,
    member_id uuid not null,
    mode text not null check (mode in ('live', 'test')),
    scopes text[] not null,
    -- Null: all of them.
    team_ids uuid[],
    channel_ids uuid[],
    hint text not null,
    hash bytea not null,
    previous_hash bytea,
    previous_until timestamptz,
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    created_by uuid not null,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, member_id) references members,
    foreign key (brand_id, created_by) references members
);
-- Hashes of 256 random bits: that one is taken tells nothing of another brand.
create unique index api_keys_hash_key on api_keys (hash);
create index api_keys_previous_idx on api_keys (previous_hash) where previous_hash is not null;

-- The answer to a request is written in the transaction of its effect, so that both happen or none.
create table idempotency (
    brand_id uuid not null references brands,
    actor_id uuid not null,
    route text not null,
    key text not null,
    request_hash bytea not null,
    status smallint,
    -- Sealed; null where the answer has no body.
    body bytea,
    etag text,
    created_at timestamptz not null default now(),
    primary key (brand_id, actor_id, route, key)
);
create index idempotency_age_idx on idempotency (created_at);

create table audit_heads (
    brand_id uuid primary key references brands,
    seq bigint not null default 0,
    hash bytea not null,
    -- When it was last written outside of the database.
    told_on date
);

-- Append-only. Each row's hash covers the row before it, by a key that isn't in the database.
create table audit_log (
    brand_id uuid not null references brands,
    seq bigint not null,
    id uuid not null,
    at timestamptz not null,
    actor_type text not null,
    actor_id uuid,
    action text not null,
    target_type text not null,
    target_id uuid,
    -- JSON as it was hashed.
    before text,
    after text,
    address text,
    request_id text,
    hash bytea not null,
    primary key (brand_id, seq)
);
create unique index audit_log_id_key on audit_log (brand_id, id);
create index audit_log_action_idx on audit_log (brand_id, action, seq desc);
create index audit_log_actor_idx on audit_log (brand_id, actor_id, seq desc);
