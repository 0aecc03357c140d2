-- What a brand may use, and what it has used.

-- Set by the operator. Null: the install's default; 0: no limit.
create table brand_limits (
    brand_id uuid primary key references brands,
    members int check (members >= 0),
    channels int check (channels >= 0),
    messages_per_month int check (messages_per_month >= 0),
    requests_per_minute int check (requests_per_minute >= 0)
);

-- Messages by calendar month in UTC, counted from the log up to a position. Counted behind the writers,
-- in batches: a counter in their own transactions would make all of a brand's messages wait in one row.
create table usage_marks (
    brand_id uuid primary key references brands,
    position bigint not null default 0
);

create table usage_months (
    brand_id uuid not null references brands,
    month date not null,
    messages bigint not null,
    primary key (brand_id, month)
);
