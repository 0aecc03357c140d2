-- Apps that brands bring along, and signs of life of channels and apps.

-- A brand's own X app. Its id, as text, is the last part of its webhook's path and the `app` of its
-- channels and routes.
create table x_apps (
    brand_id uuid not null references brands,
    id uuid not null,
    name text not null check (length(name) between 1 and 100),
    -- X's numeric id: what the echo of a message that the app sent carries.
    app_id bigint not null check (app_id > 0),
    consumer_key text not null check (length(consumer_key) between 1 and 200),
    -- Sealed, as is every secret here.
    consumer_secret bytea not null,
    -- Honoured on webhooks until then, while X and we change over.
    previous_secret bytea,
    previous_until timestamptz,
    -- Null: asked for with key and secret.
    bearer_token bytea,
    verified_at timestamptz,
    version bigint not null default 1,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    constraint x_apps_name_key unique (brand_id, name),
    constraint x_apps_app_id_key unique (brand_id, app_id)
);

alter table channels
    -- Null: the installation's own app.
    add column x_app_id uuid,
    add constraint channels_x_app_fkey foreign key (brand_id, x_app_id) references x_apps;
create index channels_x_app_idx on channels (brand_id, x_app_id) where x_app_id is not null;

-- Whoever changes a channel, its version and the instant of its status follow.
create function note_channel_change()
    returns trigger
    language plpgsql set search_path = pg_catalog, public as
$$
begin
    new.version := old.version + 1;
    if new.status <> old.status then
        new.status_since := now();
    end if;
    return new;
end
$$;
create trigger note_change before update of name, team_id, handle, status, status_reason on channels
    for each row
    when (row (old.name, old.team_id, old.handle, old.status, old.status_reason)
          is distinct from row (new.name, new.team_id, new.handle, new.status, new.status_reason))
    execute function note_channel_change();

-- The newest event of each kind, to the minute: written once a minute at most.
create table channel_signs (
    brand_id uuid not null,
    channel_id uuid not null,
    kind text not null,
    last_at timestamptz not null,
    primary key (brand_id, channel_id, kind),
    foreign key (brand_id, channel_id) references channels
);

-- When an app's webhook was last challenged with success, to the minute.
create table app_signs (
    platform text not null,
    app text not null,
    last_crc_at timestamptz not null,
    primary key (platform, app)
);
grant select, insert, update on app_signs to roost_ingest;

-- What went wrong lately is found without reading what went well.
create index send_attempts_trouble_idx on send_attempts (brand_id, started_at)
    where outcome in ('failed', 'not_sent', 'reauth_required', 'unknown');
