-- Calendars and policies with versions, the four kinds of clock, and what reports count.
-- A version never changes once it is written: a clock names the ones that it runs by.

create table calendars (
    brand_id uuid not null references brands,
    id uuid not null,
    name text not null,
    version int not null default 1,
    -- roost_domain::sla::CalendarSpec of the present version.
    spec jsonb not null,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz,
    primary key (brand_id, id)
);
create unique index calendars_name_key on calendars (brand_id, lower(name)) where deleted_at is null;

create table calendar_versions (
    brand_id uuid not null,
    calendar_id uuid not null,
    version int not null,
    spec jsonb not null,
    created_by uuid,
    created_at timestamptz not null default now(),
    primary key (brand_id, calendar_id, version),
    foreign key (brand_id, calendar_id) references calendars
);

create table sla_policy_versions (
    brand_id uuid not null,
    policy_id uuid not null,
    version int not null,
    -- roost_domain::sla::PolicySpec
    spec jsonb not null,
    created_by uuid,
    created_at timestamptz not null default now(),
    primary key (brand_id, policy_id, version),
    foreign key (brand_id, policy_id) references sla_policies
);

alter table sla_policies
    add column version int not null default 1,
    add column spec jsonb,
    add column created_at timestamptz not null default now(),
    add column updated_at timestamptz not null default now(),
    add column deleted_at timestamptz;
update sla_policies p set spec = jsonb_strip_nulls(jsonb_build_object(
    'first_response', case when first_response_seconds is not null then
        jsonb_build_object('seconds', jsonb_build_object('low', first_response_seconds, 'normal', first_response_seconds,
            'high', first_response_seconds, 'urgent', first_response_seconds)) end,
    'next_response', case when next_response_seconds is not null then
        jsonb_build_object('seconds', jsonb_build_object('low', next_response_seconds, 'normal', next_response_seconds,
            'high', next_response_seconds, 'urgent', next_response_seconds)) end,
    'warnings', jsonb_build_array(warning_percent)));
insert into sla_policy_versions (brand_id, policy_id, version, spec) select brand_id, id, 1, spec from sla_policies;
alter table sla_policies
    alter column spec set not null,
    drop column first_response_seconds,
    drop column next_response_seconds,
    drop column warning_percent;
create unique index sla_policies_name_key on sla_policies (brand_id, lower(name)) where deleted_at is null;

-- The cycle that the running response clock began in, and a first-response clock that a resolve without an
-- answer has cancelled: it is taken up again if the customer writes soon.
alter table conversations
    add column clock_cycle int,
    add column lapsed_cycle int,
    add column lapsed_started_at timestamptz,
    add column waits int not null default 0;
alter table conversation_acts
    drop constraint conversation_acts_act_check,
    add constraint conversation_acts_act_check check (act in (
        'open', 'pend', 'snooze', 'resolve', 'wake', 'no_reply', 'block', 'erase', 'disconnect'));
update conversations set clock_cycle = cycle where clock_kind is not null;

drop index sla_clocks_running_key;
drop index sla_clocks_due_idx;
drop index sla_clocks_running_due_idx;
drop index sla_clocks_risk_idx;
alter table sla_clocks
    drop constraint sla_clocks_kind_check,
    add constraint sla_clocks_kind_check check (kind in ('first_response', 'next_response', 'resolution', 'assignment')),
    drop constraint sla_clocks_state_check,
    add constraint sla_clocks_state_check check (state in ('running', 'paused', 'met', 'met_late', 'cancelled')),
    drop constraint sla_clocks_cancelled_as_check,
    add constraint sla_clocks_cancelled_as_check check (cancelled_as in (
        'resolved', 'no_reply_needed', 'blocked', 'erased', 'channel_disconnected', 'policy', 'left_queue', 'withdrawn')),
    alter column started_by drop not null,
    alter column due_at drop not null,
    add column policy_version int not null default 1,
    -- Null: calendar time.
    add column calendar_id uuid,
    add column calendar_version int,
    add column priority text not null default 'normal' check (priority in ('low', 'normal', 'high', 'urgent')),
    -- The warnings that it still has to give, in percent of the target.
    add column warnings smallint[] not null default '{}',
    add column escalations_done smallint not null default 0,
    -- Of a resolution clock: [status, from, to] for each stretch in which we waited; to is null in the last.
    add column stretches jsonb not null default '[]',
    -- A change that put the due instant in the past: it fell due then.
    add column due_floor timestamptz,
    add column marks text[] not null default '{}',
    -- By how much the message that began it came late, where that was more than a minute.
    add column late_seconds int,
    -- Of an ended one: the time that counted.
    add column used_ms bigint,
    -- What the actions on its breach changed: {field: [before, after]}.
    add column undo jsonb,
    -- [{at, what, ref, …}]
    add column story jsonb not null default '[]',
    add column has_result boolean not null default false;
update sla_clocks set
    warnings = case when state = 'running' and warned_at is null and breached_at is null
        then array[warning_percent] else '{}' end,
    cancelled_as = case when state = 'cancelled' then coalesce(cancelled_as, 'resolved') end,
    used_ms = case when settled_at is not null then (extract(epoch from settled_at - started_at) * 1000)::bigint end;

alter table sla_clocks drop column warning_percent, alter column warn_at drop not null;

create unique index sla_clocks_running_key on sla_clocks (brand_id, conversation_id, kind)
    where state in ('running', 'paused');
create index sla_clocks_due_idx on sla_clocks (next_fire_at, id) where next_fire_at is not null;
create index sla_clocks_running_due_idx on sla_clocks (brand_id, due_at, conversation_id) where state = 'running';
create index sla_clocks_risk_idx on sla_clocks (brand_id, conversation_id)
    where state = 'running' and (warned_at is not null or breached_at is not null);

-- A verdict for each clock that has one, as reports count it: written with the clock, in the same transaction.
create table sla_results (
    brand_id uuid not null,
    clock_id uuid not null,
    conversation_id uuid not null,
    kind text not null check (kind in ('first_response', 'next_response', 'resolution', 'assignment')),
    cycle int not null,
    -- Null: it was withdrawn, and the clock runs again.
    verdict text check (verdict in ('met', 'breached', 'cancelled')),
    -- Met, cancelled: its end. Breached: its due instant, so that what is never answered counts at once.
    verdict_at timestamptz not null,
    due_at timestamptz,
    -- Null: breached and running on.
    ended_at timestamptz,
    target_seconds bigint not null,
    -- As the clock counts, and by the wall clock.
    used_ms bigint,
    calendar_ms bigint,
    cancelled_as text,
    channel_id uuid not null,
    team_id uuid,
    -- Who answered; while nobody has, who had it.
    member_id uuid,
    priority text not null,
    policy_id uuid not null,
    primary key (brand_id, clock_id),
    foreign key (brand_id, clock_id) references sla_clocks
);
-- Reports group by periods of these, 400 at the most: without this the planner sorts where it could hash.
alter table sla_results
    alter column verdict_at set (n_distinct = 400),
    alter column ended_at set (n_distinct = 400);
create index sla_results_verdict_idx on sla_results (brand_id, verdict_at);
create index sla_results_ended_idx on sla_results (brand_id, ended_at) where ended_at is not null;

-- Breaches that fell due in a period, over one channel or all: counted, and counted apart.
create table sla_excuses (
    brand_id uuid not null references brands,
    id uuid not null,
    channel_id uuid,
    starts_at timestamptz not null,
    ends_at timestamptz not null,
    reason text not null,
    created_by uuid,
    created_at timestamptz not null default now(),
    primary key (brand_id, id),
    foreign key (brand_id, channel_id) references channels,
    check (starts_at < ends_at)
);

-- Running clocks of a policy to be moved to a version of it; the worker does it a chunk at a time.
create table sla_reapplies (
    brand_id uuid not null,
    id uuid not null,
    policy_id uuid not null,
    version int not null,
    actor_type text not null,
    actor_id uuid,
    request_id text,
    moved int not null default 0,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (brand_id, id),
    foreign key (brand_id, policy_id) references sla_policies
);
create unique index sla_reapplies_open_key on sla_reapplies (brand_id, policy_id) where finished_at is null;

do $$
declare
    relation text;
begin
    foreach relation in array array[
        'calendars', 'calendar_versions', 'sla_policy_versions', 'sla_results', 'sla_excuses', 'sla_reapplies']
    loop
        execute format('alter table %I enable row level security', relation);
        execute format('alter table %I force row level security', relation);
        execute format('create policy app on %I to roost_app
            using (brand_id = (select nullif(current_setting(''roost.brand_id'', true), '''')::uuid))
            with check (brand_id = (select nullif(current_setting(''roost.brand_id'', true), '''')::uuid))', relation);
        execute format('create policy ingest on %I to roost_ingest
            using (brand_id = any ((select nullif(current_setting(''roost.brand_ids'', true), '''')::uuid[])::uuid[]))
            with check (brand_id = any ((select nullif(current_setting(''roost.brand_ids'', true), '''')::uuid[])::uuid[]))',
            relation);
        execute format('create policy owner on %I to roost_owner using (true) with check (true)', relation);
        execute format('create policy cross_brand on %I to roost_cross using (true) with check (true)', relation);
        execute format('grant select, insert, update, delete on %I to roost_app', relation);
        execute format('grant select on %I to roost_ingest', relation);
    end loop;
end
$$;
grant insert, update on sla_results to roost_ingest;
-- Versions are what clocks are explained by.
revoke update, delete on calendar_versions, sla_policy_versions from roost_app;
revoke delete on sla_policies, calendars, sla_results from roost_app;

-- Brands with clocks to be moved; safe because it tells ids of work alone.
create function cross_open_reapplies(most int)
    returns table (brand_id uuid, reapply_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select r.brand_id, r.id from sla_reapplies r where r.finished_at is null order by r.created_at limit most
$$;
grant select on sla_reapplies to roost_cross;
grant create on schema public to roost_cross;
revoke all on function cross_open_reapplies from public;
alter function cross_open_reapplies owner to roost_cross;
grant execute on function cross_open_reapplies to roost_app;
revoke create on schema public from roost_cross;
