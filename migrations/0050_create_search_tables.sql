-- What lists are sorted and searched by.

-- The terms of a message, folded by roost_domain::terms: words, pairs of neighbouring signs in scripts
-- without spaces, emoji. Each lexeme begins with a code of the brand and of the stretch of time ("slice")
-- that the message falls into, so that a look-up reads the postings of one brand and stretch only and
-- costs the same however much there is besides. A row stands without a foreign key: it is written behind
-- its message by the same batch, and the check would lock every message once more.
create table message_terms (
    brand_id uuid not null,
    message_id uuid not null,
    conversation_id uuid not null,
    terms tsvector not null,
    primary key (brand_id, message_id)
);
-- A short pending list: a search reads all of it, and a writer that fills it has to clear it away.
create index message_terms_terms_idx on message_terms using gin (terms) with (gin_pending_list_limit = 256);

-- The slices in which a brand has messages.
create table search_slices (
    brand_id uuid not null references brands,
    slice int not null,
    primary key (brand_id, slice)
);

-- The same of a customer's name and handle; of the words of handles every ending, so that a part of one
-- is the beginning of a term.
create table contact_terms (
    brand_id uuid not null,
    contact_id uuid not null,
    terms tsvector not null,
    primary key (brand_id, contact_id),
    foreign key (brand_id, contact_id) references contacts on delete cascade
);
create index contact_terms_terms_idx on contact_terms using gin (terms) with (gin_pending_list_limit = 256);

-- Views that people keep.
create table saved_filters (
    brand_id uuid not null references brands,
    id uuid not null,
    -- Whose; null: everybody's.
    member_id uuid,
    name text not null check (length(name) between 1 and 100),
    -- Parameters of the list of conversations: a name to a value or several.
    filter jsonb not null,
    sort text not null,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, member_id) references members
);
create unique index saved_filters_name_key on saved_filters (brand_id, member_id, lower(name)) nulls not distinct;

-- left() may not use an index under a policy; the comparison of a number may.
alter table conversation_attributes
    add column value_hash bigint not null generated always as (hashtextextended(value, 0)) stored;
drop index conversation_attributes_value_idx;
create index conversation_attributes_value_idx
    on conversation_attributes (brand_id, definition_id, value_hash, conversation_id);

create index conversations_updated_idx on conversations (brand_id, updated_at desc, id desc);
create index conversations_waiting_idx on conversations (brand_id, waiting_since, id) where waiting_since is not null;
create index conversations_failed_idx on conversations (brand_id, id) where has_failed_send;
create index sla_clocks_running_due_idx on sla_clocks (brand_id, due_at, conversation_id) where state = 'running';
create index sla_clocks_risk_idx on sla_clocks (brand_id, conversation_id)
    where state = 'running' and (warned_at is not null or breached_at is not null);
