-- Canned replies, and what contacts need to be found, joined, blocked and erased.

create table canned_replies (
    brand_id uuid not null references brands,
    id uuid not null,
    title text not null check (length(title) between 1 and 200),
    shortcut text not null check (shortcut ~ '^[^[:space:]]{1,50}$'),
    text text not null check (length(text) between 1 and 10000),
    -- Only for members of its teams. One whose last team is gone is seen by leads, not by everybody.
    is_restricted boolean not null default false,
    -- roost_domain::text::search_key of title and shortcut.
    search_key text not null,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (brand_id, id)
);
create unique index canned_replies_shortcut_key on canned_replies (brand_id, lower(shortcut));

create table canned_reply_teams (
    brand_id uuid not null,
    canned_reply_id uuid not null,
    team_id uuid not null,
    primary key (brand_id, canned_reply_id, team_id),
    foreign key (brand_id, canned_reply_id) references canned_replies on delete cascade,
    foreign key (brand_id, team_id) references teams on delete cascade
);
create index canned_reply_teams_team_idx on canned_reply_teams (brand_id, team_id);

create extension if not exists pg_trgm;

alter table contacts
    -- The brand's own name for them.
    add column external_id text check (length(external_id) between 1 and 200),
    -- A member named them: the platform's name doesn't replace that.
    add column is_renamed boolean not null default false,
    -- roost_domain::text::search_key of name and handle.
    add column name_key text not null default '',
    add column handle_key text not null default '',
    -- Whose conversations and identities theirs are now. Their own row stays for an undo.
    add column merged_into uuid,
    add column blocked_at timestamptz,
    -- Messages that came while they were blocked.
    add column blocked_count bigint not null default 0,
    add column erased_at timestamptz,
    add column version bigint not null default 1,
    add column updated_at timestamptz not null default now(),
    add foreign key (brand_id, merged_into) references contacts;
create unique index contacts_external_key on contacts (brand_id, external_id) where external_id is not null;
create index contacts_name_idx on contacts (brand_id, name_key, id);
create index contacts_updated_idx on contacts (brand_id, updated_at, id);
create index contacts_handle_idx on contacts (brand_id, handle_key);
create index contacts_name_part_idx on contacts using gin (name_key gin_trgm_ops);
create index contacts_handle_part_idx on contacts using gin (handle_key gin_trgm_ops);

alter table identities
    -- The contact that it was made with, once it has moved: that one keeps its profile.
    add column home_id uuid,
    -- As its contact; here too, because the inbox holds this row.
    add column is_blocked boolean not null default false,
    -- No conversation that was resolved before this reopens.
    add column unblocked_at timestamptz,
    -- What is older belongs to somebody who was erased.
    add column erased_before timestamptz,
    add foreign key (brand_id, home_id) references contacts;
create index identities_contact_idx on identities (brand_id, contact_id);
create index identities_home_idx on identities (brand_id, (coalesce(home_id, contact_id)));

create index conversations_contact_idx on conversations (brand_id, contact_id, opened_at desc, id desc);

-- Came while its contact was blocked: kept, and does nothing. Such a message is history too.
alter table messages add column is_blocked boolean not null default false;

-- Why a clock was cancelled, where that was no resolve: blocked or erased.
alter table sla_clocks add column cancelled_as text check (cancelled_as in ('blocked', 'erased'));

create table contact_merges (
    brand_id uuid not null,
    id uuid not null,
    survivor_id uuid not null,
    merged_id uuid not null,
    conversations int not null,
    merged_by uuid,
    created_at timestamptz not null default now(),
    undone_at timestamptz,
    primary key (brand_id, id),
    foreign key (brand_id, survivor_id) references contacts,
    foreign key (brand_id, merged_id) references contacts
);

-- What an undo gives back. An identity that an earlier merge's undo has given back is no longer here.
create table contact_merge_identities (
    brand_id uuid not null,
    merge_id uuid not null,
    identity_id uuid not null,
    primary key (brand_id, merge_id, identity_id),
    foreign key (brand_id, merge_id) references contact_merges,
    foreign key (brand_id, identity_id) references identities
);
create index contact_merge_identities_identity_idx on contact_merge_identities (brand_id, identity_id);

-- Who was erased, as a digest by a key that isn't in the database, and when: what is older must not
-- come back.
create table erased_identities (
    brand_id uuid not null references brands,
    digest text not null,
    erased_at timestamptz not null,
    primary key (brand_id, digest)
);
