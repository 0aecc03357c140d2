-- Canned replies.

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
