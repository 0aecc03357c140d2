-- The data keys that seal a brand's secrets, each wrapped by one of the operator's keys. A brand gets its
-- first one when it first has something to seal. Losing a row loses what it sealed, so the app role may
-- add one and never change or remove it.

create table brand_keys (
    brand_id uuid not null references brands,
    key_no int not null check (key_no > 0),
    wrapped bytea not null,
    created_at timestamptz not null default now(),
    primary key (brand_id, key_no)
);

-- Which of the operator's keys sealed a value; empty for what isn't sealed by one of them.
create function sealed_key_id(sealed bytea)
    returns text
    language sql immutable set search_path = pg_catalog, public as
$$
    select case when length(sealed) > 2 and get_byte(sealed, 0) = 1 and get_byte(sealed, 1) = 0
        then encode(substring(sealed from 4 for get_byte(sealed, 2)), 'escape') else '' end
$$;
