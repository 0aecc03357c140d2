-- The only doors through which the app role reaches rows without, or across, brands.
-- Each is owned by roost_cross (which nobody can log in as), has a fixed search_path, and returns
-- only ids of due work or resolves a credential; the comment above each says why that is safe.

grant select, insert, update on users, sessions, retired_tokens, leases, gateways, app_send_budgets, relay_marks to roost_cross;
grant select, insert, update, delete on channel_routes, connect_requests, dead_messages to roost_cross;
grant delete on gateways, leases to roost_cross;
grant select on members, brands, conversations, teams, sla_clocks, outbound_messages, presence, streams, events, channels
    to roost_cross;
grant select (brand_id, id, kind, author_type) on messages to roost_cross;
grant select, insert, update on event_heads to roost_cross;
grant update (position) on events to roost_cross;
grant delete on streams to roost_cross;

-- Sign-in: resolves an address to its own password hash; the caller proves the password.
create function auth_find_user(wanted text)
    returns table (user_id uuid, full_name text, password_hash text, totp_secret bytea)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select id, full_name, password_hash, case when totp_enabled_at is not null then totp_secret end
    from users where email = wanted
$$;

-- Sign-up: true if the address was free.
create function auth_create_user(new_id uuid, new_email text, new_name text, new_hash text)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with created as (
        insert into users (id, email, full_name, password_hash) values (new_id, new_email, new_name, new_hash)
        on conflict on constraint users_email_key do nothing returning id
    ) select exists (select from created)
$$;

-- The seats of a person who has proven who they are.
create function auth_memberships(wanted uuid)
    returns table (brand_id uuid, member_id uuid, brand_name text)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select m.brand_id, m.id, b.name from members m join brands b on b.brand_id = m.brand_id
    where m.user_id = wanted and m.active and m.kind = 'person' order by m.created_at, m.id
$$;

create function session_open(new_id uuid, new_user uuid, new_brand uuid, new_member uuid, hash bytea, expires timestamptz,
                             from_address text, from_agent text)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    insert into sessions (id, user_id, brand_id, member_id, refresh_hash, expires_at, address, user_agent)
    values (new_id, new_user, new_brand, new_member, hash, expires, from_address, from_agent)
$$;

-- Rotates a refresh token. A token that was rotated away more than 30 s ago, or before another was, is
-- a stolen one or a replay: the session ends. Within 30 s it is a second tab and is answered 'repeat'.
-- A session that rotated nothing for 12 h is idle and over.
create function session_rotate(presented bytea, successor bytea, from_address text, from_agent text)
    returns table (outcome text, session_id uuid, user_id uuid, brand_id uuid, member_id uuid)
    language plpgsql security definer set search_path = pg_catalog, public as
$$
declare
    found_session sessions;
begin
    select s.* into found_session from sessions s
        where (s.refresh_hash = presented or s.previous_hash = presented)
          and s.revoked_at is null and s.expires_at > now() and s.rotated_at > now() - interval '12 hours'
        for update;
    if not found then
        update sessions s set revoked_at = now()
            from retired_tokens t where t.hash = presented and s.id = t.session_id and s.revoked_at is null
            returning s.* into found_session;
        outcome := case when found then 'reused' else 'unknown' end;
        return query select outcome, found_session.id, found_session.user_id, found_session.brand_id, found_session.member_id;
        return;
    end if;
    if found_session.refresh_hash = presented then
        insert into retired_tokens (hash, session_id)
            select found_session.previous_hash, found_session.id where found_session.previous_hash is not null
            on conflict do nothing;
        update sessions s set refresh_hash = successor, previous_hash = presented, rotated_at = now(),
                              address = coalesce(from_address, s.address), user_agent = coalesce(from_agent, s.user_agent)
            where s.id = found_session.id;
        outcome := 'rotated';
    elsif found_session.rotated_at > now() - interval '30 seconds' then
        outcome := 'repeat';
    else
        update sessions s set revoked_at = now() where s.id = found_session.id;
        outcome := 'reused';
    end if;
    return query select outcome, found_session.id, found_session.user_id, found_session.brand_id, found_session.member_id;
end
$$;

-- Which of these sessions are still good, and as whom do they act? The ids are secrets of their own
-- sessions' tokens; a deactivated seat is told apart, so that a stream can say why it closes.
create function session_states(wanted uuid[])
    returns table (session_id uuid, user_id uuid, brand_id uuid, member_id uuid, role text, active boolean,
                   proven_at timestamptz, email_verified boolean, lacks_two_factor boolean)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select s.id, s.user_id, s.brand_id, s.member_id, m.role, m.active, s.proven_at,
           u.email_verified_at is not null, b.require_two_factor and u.totp_enabled_at is null
    from sessions s join members m on m.brand_id = s.brand_id and m.id = s.member_id
    join users u on u.id = s.user_id join brands b on b.brand_id = s.brand_id
    where s.id = any (wanted) and s.revoked_at is null and s.expires_at > now()
$$;

-- Moves a session to another seat of the same person; false if that person has no such seat.
create function session_switch(wanted uuid, new_brand uuid)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with moved as (
        update sessions s set brand_id = m.brand_id, member_id = m.id
        from members m
        where s.id = wanted and s.revoked_at is null and m.brand_id = new_brand and m.user_id = s.user_id
          and m.active and m.kind = 'person'
        returning s.id
    ) select exists (select from moved)
$$;

-- Gives an account's webhooks to a channel; returns who had them before, for its own brand only to act on.
create function route_take(of_platform text, of_app text, of_account text, new_brand uuid, new_channel uuid)
    returns table (brand_id uuid, channel_id uuid)
    language plpgsql security definer set search_path = pg_catalog, public as
$$
declare
    before channel_routes;
begin
    select r.* into before from channel_routes r
        where r.platform = of_platform and r.app = of_app and r.account_id = of_account for update;
    insert into channel_routes as r (platform, app, account_id, brand_id, channel_id)
        values (of_platform, of_app, of_account, new_brand, new_channel)
        on conflict (platform, app, account_id)
        do update set brand_id = excluded.brand_id, channel_id = excluded.channel_id, connected_at = now();
    if before.channel_id is not null and before.channel_id <> new_channel then
        return query select before.brand_id, before.channel_id;
    end if;
end
$$;

create function route_release(of_brand uuid, of_channel uuid)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ delete from channel_routes where brand_id = of_brand and channel_id = of_channel $$;

create function connect_begin(hash bytea, of_platform text, of_app text, of_brand uuid, of_member uuid, browser bytea, secret bytea)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    insert into connect_requests (token_hash, platform, app, brand_id, member_id, browser_hash, token_secret, expires_at)
    values (hash, of_platform, of_app, of_brand, of_member, browser, secret, now() + interval '10 minutes')
$$;

-- Resolves a request token once; the browser that began must be the one that ends.
create function connect_finish(hash bytea, browser bytea)
    returns table (app text, brand_id uuid, member_id uuid, token_secret bytea)
    language sql security definer set search_path = pg_catalog, public as
$$
    delete from connect_requests c
    where c.token_hash = hash and c.browser_hash = browser and c.expires_at > now()
    returning c.app, c.brand_id, c.member_id, c.token_secret
$$;

-- Leases: who works on what. Returns the epoch that fences the holder, or null if another has it.
create function lease_take(wanted text, by uuid, seconds int)
    returns bigint
    language sql security definer set search_path = pg_catalog, public as
$$
    insert into leases as l (name, holder, until) values (wanted, by, now() + make_interval(secs => seconds))
    on conflict (name) do update
        set epoch = case when l.holder = by then l.epoch else l.epoch + 1 end,
            holder = by, until = now() + make_interval(secs => seconds)
        where l.holder = by or l.until < now()
    returning epoch
$$;

create function lease_drop(wanted text, by uuid)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ update leases set until = now() - interval '1 second' where name = wanted and holder = by $$;

-- Who lives under a prefix; names and holders only. Lets go of members that have been gone for a minute.
create function lease_survey(prefix text)
    returns table (name text, holder uuid)
    language sql security definer set search_path = pg_catalog, public as
$$
    with gone as (
        delete from leases l
        where starts_with(l.name, prefix || 'node.') and l.until < now() - interval '1 minute'
    )
    select l.name, l.holder from leases l where starts_with(l.name, prefix) and l.until >= now() order by l.name
$$;

-- Those of the caller's relay slots whose leases it still holds, locked against a take-over until the
-- end of the transaction: the fence of everything that a relay writes.
create function relay_held(of_slots smallint[], epochs bigint[], by uuid)
    returns smallint[]
    language sql security definer set search_path = pg_catalog, public as
$$
    select array_agg(h.slot) from (
        select w.slot from unnest(of_slots, epochs) as w (slot, epoch)
        join leases l on l.name = 'relay.s' || lpad(w.slot::text, 2, '0')
        where l.holder = by and l.epoch = w.epoch and l.until > clock_timestamp()
        order by l.name for share of l
    ) h
$$;

-- The sequencer: gives committed events of some buckets their brand's next positions. Writes nothing
-- but positions and log heads; returns ids and what a consumer needs to find the event.
-- Buckets whose slot the caller no longer holds are left alone. The heads are locked in brand order
-- before the rows are read, so that two relays can't deadlock. What it costs depends on what waits, not
-- on the length of the log: what waits is read off the index of unnumbered events, in its order, which
-- the two settings make certain (statistics of a log say little of its last second).
create function cross_sequence_events(
        of_slots smallint[], epochs bigint[], by uuid, of_buckets smallint[], most int)
    returns table (brand_id uuid, event_id uuid, conversation_id uuid, seq bigint, type text,
                   bucket smallint, "position" bigint, request_id text)
    language plpgsql security definer set search_path = pg_catalog, public
    set enable_seqscan = off set enable_bitmapscan = off as
$$
declare
    held smallint[] := relay_held(of_slots, epochs, by);
    lows smallint[];
    highs smallint[];
    brands_due uuid[];
begin
    -- Runs of neighbouring buckets.
    select array_agg(r.low), array_agg(r.high) into lows, highs from (
        select min(w.bucket)::smallint as low, max(w.bucket)::smallint as high from (
            select b as bucket, b - row_number() over (order by b) as run from unnest(of_buckets) as b
            where (b / 16)::smallint = any (held)
        ) w group by w.run
    ) r;
    select array_agg(distinct d.brand_id) into brands_due from (
        select e.brand_id from unnest(lows, highs) as r (low, high)
        cross join lateral (
            select w.brand_id from events w
            where w.position is null and w.bucket between r.low and r.high
            order by w.bucket, w.conversation_id, w.seq limit most
        ) e limit most
    ) d;
    if brands_due is null then
        return;
    end if;
    insert into event_heads as h (brand_id) select unnest(brands_due) on conflict do nothing;
    perform from event_heads h where h.brand_id = any (brands_due) order by h.brand_id for update;
    return query
    with front as materialized (
        select e.* from unnest(lows, highs) as r (low, high)
        cross join lateral (
            select w.tableoid as part, w.ctid as place, w.brand_id, w.id, w.conversation_id, w.seq from events w
            where w.position is null and w.bucket between r.low and r.high
            order by w.bucket, w.conversation_id, w.seq limit most
        ) e limit most
    ), due as (
        -- Of a brand that came up between the two looks, the head isn't locked.
        select f.* from front f where f.brand_id = any (brands_due)
    ), counted as (
        select d.brand_id, count(*) as n from due d group by d.brand_id
    ), heads as (
        update event_heads h set position = h.position + c.n from counted c where h.brand_id = c.brand_id
        returning h.brand_id, h.position - c.n as base
    ), numbered as (
        select d.part, d.place,
               heads.base + row_number() over (partition by d.brand_id order by d.conversation_id, d.seq, d.id) as number
        from due d join heads on heads.brand_id = d.brand_id
    )
    -- By the rows' own places: nobody else changes an event of a slot that is held.
    update events e set position = n.number from numbered n
    where e.tableoid = n.part and e.ctid = n.place and e.position is null
    returning e.brand_id, e.id, e.conversation_id, e.seq, e.type, e.bucket, e.position, e.request_id;
end
$$;

-- After a take-over: what the last holder numbered and may not have published.
create function relay_unpublished(of_slot smallint, of_buckets smallint[], most int)
    returns table (brand_id uuid, event_id uuid, conversation_id uuid, seq bigint, type text,
                   bucket smallint, "position" bigint, request_id text)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select e.brand_id, e.id, e.conversation_id, e.seq, e.type, e.bucket, e.position, e.request_id
    from event_heads h
    left join relay_marks m on m.slot = of_slot and m.brand_id = h.brand_id
    join events e on e.brand_id = h.brand_id and e.position > coalesce(m.position, 0)
    where h.position > coalesce(m.position, 0) and e.bucket = any (of_buckets)
    order by e.brand_id, e.position limit most
$$;

-- Marks are only ever moved forward.
create function relay_mark(of_slots smallint[], of_brands uuid[], positions bigint[])
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    insert into relay_marks as m (slot, brand_id, position)
    select s, b, max(p) from unnest(of_slots, of_brands, positions) as t (s, b, p) group by s, b order by s, b
    on conflict (slot, brand_id) do update set position = greatest(m.position, excluded.position)
$$;

-- At rest: slots whose events are all published are marked up to the heads of the brands, so that a
-- take-over needn't search through what other slots wrote meanwhile. True only for a holder.
create function relay_settle(of_slots smallint[], epochs bigint[], by uuid, most int)
    returns void
    language plpgsql security definer set search_path = pg_catalog, public as
$$
declare
    held smallint[] := relay_held(of_slots, epochs, by);
begin
    insert into relay_marks as m (slot, brand_id, position)
    select s.slot, h.brand_id, h.position from unnest(held) as s (slot) cross join event_heads h
    left join relay_marks k on k.slot = s.slot and k.brand_id = h.brand_id
    where h.position > coalesce(k.position, 0) limit most
    on conflict (slot, brand_id) do update set position = greatest(m.position, excluded.position);
end
$$;

create function event_backlog()
    returns bigint
    language sql stable security definer set search_path = pg_catalog, public as
$$ select count(*) from (select from events where position is null limit 100000) waiting $$;

-- Due work, as ids only.
create function cross_waiting_teams(most int)
    returns table (brand_id uuid, team_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select c.brand_id, c.team_id from conversations c
    join teams t on t.brand_id = c.brand_id and t.id = c.team_id
    where c.queued_at is not null
      -- A team that assigns by hand has only those that it has not looked at yet.
      and (t.mode = 'auto' or c.waiting_reason is null or c.assignee_id is not null)
    group by c.brand_id, c.team_id order by min(c.queued_at) limit most
$$;

-- Figures only.
create function routing_backlog()
    returns table (waiting bigint, oldest_seconds double precision)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select count(*), coalesce(extract(epoch from now() - min(q.queued_at)), 0)::double precision
    from (select queued_at from conversations where queued_at is not null limit 100000) q
$$;

create function cross_due_clocks(most int)
    returns table (brand_id uuid, clock_id uuid, conversation_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select c.brand_id, c.id, c.conversation_id from sla_clocks c
    where c.next_fire_at <= now() order by c.next_fire_at, c.id limit most
$$;

create function cross_due_snoozes(most int)
    returns table (brand_id uuid, conversation_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select c.brand_id, c.id from conversations c
    where c.status = 'snoozed' and c.snoozed_until <= now() order by c.snoozed_until limit most
$$;

-- Seconds until the next clock or snooze falls due; null if there is none.
create function cross_next_timer()
    returns double precision
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select extract(epoch from least(
        (select min(next_fire_at) from sla_clocks where next_fire_at is not null),
        (select min(snoozed_until) from conversations where status = 'snoozed')) - now())::double precision
$$;

-- Replies that a sender has to look at: the first of each conversation unless another of it is under
-- way, unfinished attempts whose lease ran out, and unconfirmed ones whose look-up is due. People's
-- replies first, among them the nearest deadline; brands take turns. Two equal texts are never both in
-- doubt: one waits until a person has settled the other.
create function cross_due_messages(most int)
    returns table (brand_id uuid, message_id uuid, conversation_id uuid, channel_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select due.brand_id, due.message_id, due.conversation_id, due.channel_id from (
        select o.brand_id, o.message_id, o.conversation_id, o.channel_id, o.queued_at, m.human,
               row_number() over (partition by o.brand_id
                                  order by m.human desc, k.due_at, o.queued_at, o.message_id) as turn
        from outbound_messages o
        cross join lateral (
            select w.kind = 'reply' and w.author_type = 'member' as human from messages w
            where w.brand_id = o.brand_id and w.id = o.message_id
        ) m
        cross join lateral (
            select min(c.due_at) as due_at from sla_clocks c
            where c.brand_id = o.brand_id and c.conversation_id = o.conversation_id and c.state = 'running'
        ) k
        where o.state in ('queued', 'sending', 'unknown') and not o.needs_decision
          and (o.not_before is null or o.not_before <= now())
          and (o.state = 'queued' or o.lease_until is null or o.lease_until < now())
          and (o.state <> 'queued' or not exists (
              select from outbound_messages other
              where other.brand_id = o.brand_id and other.conversation_id = o.conversation_id
                and other.message_id <> o.message_id
                and (other.state in ('sending', 'unknown') and not other.needs_decision
                  or other.state = 'unknown' and other.fingerprint = o.fingerprint
                  or other.state = 'queued' and not other.needs_decision
                     and (other.queued_at, other.message_id) < (o.queued_at, o.message_id))))
    ) due
    order by due.human desc, due.turn, due.queued_at, due.message_id limit most
$$;

-- Members whose presence of record no longer holds: marked online or away, but without a stream of a
-- living gateway for longer than the grace.
create function cross_absent_members(grace_seconds int, most int)
    returns table (brand_id uuid, member_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select p.brand_id, p.member_id from presence p
    where p.status <> 'offline'
      and coalesce(p.last_stream_at, p.since) < now() - make_interval(secs => grace_seconds)
      and not exists (
          select from streams s join gateways g on g.id = s.gateway_id
          where s.brand_id = p.brand_id and s.member_id = p.member_id
            and g.seen_at > now() - make_interval(secs => grace_seconds))
    limit most
$$;

-- True where the gateway wasn't known: it is new, or was buried and has to open its streams again.
create function gateway_beat(of_gateway uuid)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with known as (update gateways set seen_at = now() where id = of_gateway returning id),
    made as (
        insert into gateways (id) select of_gateway where not exists (select from known)
        on conflict (id) do update set seen_at = now() returning id
    )
    select exists (select from made)
$$;

-- Drops the streams of gateways that have been silent too long, and the gateways themselves.
create function gateway_bury(grace_seconds int)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    with dead as (
        delete from gateways where seen_at < now() - make_interval(secs => grace_seconds) returning id
    )
    delete from streams where gateway_id in (select id from dead)
       or gateway_id not in (select id from gateways)
$$;

-- The send budget of an app: shared by the brands that send through it, and tells nothing of them.
create function app_budget(of_platform text, of_app text)
    returns table (remaining int, reset_at timestamptz)
    language sql stable security definer set search_path = pg_catalog, public as
$$ select b.remaining, b.reset_at from app_send_budgets b where b.platform = of_platform and b.app = of_app $$;

create function app_budget_note(of_platform text, of_app text, left_over int, until timestamptz)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    insert into app_send_budgets (platform, app, remaining, reset_at) values (of_platform, of_app, left_over, until)
    on conflict (platform, app) do update set remaining = excluded.remaining, reset_at = excluded.reset_at
$$;
