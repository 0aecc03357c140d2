-- What accounts need beyond people and sessions: letters, proofs of an address, second factors, tries at
-- signing in, invitations. All but the invitations belong to no brand; the app role reaches them by the
-- functions of 0097 alone.

alter table brands add column require_two_factor boolean not null default false;

-- Written in the transaction of their cause, sent by the gateway. The body holds address and links, so it
-- is sealed, and the row goes when the mail was taken.
create table mails (
    id uuid primary key,
    kind text not null,
    body bytea not null,
    attempts int not null default 0,
    next_try_at timestamptz not null default now(),
    created_at timestamptz not null default now()
);
create index mails_due_idx on mails (next_try_at);

-- Links that prove an address or allow a new password: only their SHA-256.
create table account_tokens (
    hash bytea primary key,
    kind text not null check (kind in ('verification', 'reset', 'notice')),
    user_id uuid not null references users,
    email text not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz
);
create index account_tokens_user_idx on account_tokens (user_id, kind, created_at);

create table recovery_codes (
    user_id uuid not null references users,
    hash bytea not null,
    primary key (user_id, hash)
);

-- Tries at an account, or failures from an address, by a hash of it.
create table sign_in_tries (
    key bytea primary key,
    tries int not null,
    last_at timestamptz not null default now(),
    blocked_until timestamptz not null default now()
);

-- Browsers and address blocks from which a person has signed in: others' failures don't slow them there.
create table known_places (
    user_id uuid not null references users,
    hash bytea not null,
    seen_at timestamptz not null default now(),
    primary key (user_id, hash)
);

create table invitations (
    brand_id uuid not null references brands,
    id uuid not null,
    email text not null check (length(email) between 3 and 320 and email = lower(email)),
    role text not null check (role in ('owner', 'admin', 'supervisor', 'agent', 'analyst')),
    team_ids uuid[] not null,
    token_hash bytea not null,
    invited_by uuid not null,
    sent_count int not null default 1,
    sent_at timestamptz not null default now(),
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    accepted_at timestamptz,
    revoked_at timestamptz,
    primary key (brand_id, id),
    foreign key (brand_id, invited_by) references members
);
-- Of 256 random bits: that one is taken tells nothing of another brand.
create unique index invitations_token_key on invitations (token_hash);
-- An address has one open invitation to a brand.
create unique index invitations_open_key on invitations (brand_id, email) where accepted_at is null and revoked_at is null;
