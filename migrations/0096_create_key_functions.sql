-- API keys, and what is kept in order for all brands at once; see 0095 for what holds for every function here.

grant select, update (last_used_at) on api_keys to roost_cross;

-- Resolves the hash of a presented key to whom it acts for. The hash is of 256 random bits, so only who
-- has the key can ask; a revoked or expired key resolves to nothing, as one that never was.
create function api_key_resolve(presented bytea)
    returns table (brand_id uuid, key_id uuid, member_id uuid, role text, mode text, scopes text[], team_ids uuid[], channel_ids uuid[])
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select k.brand_id, k.id, k.member_id, m.role, k.mode, k.scopes, k.team_ids, k.channel_ids
    from api_keys k join members m on m.brand_id = k.brand_id and m.id = k.member_id
    where (k.hash = presented or k.previous_hash = presented and k.previous_until > now())
      and k.revoked_at is null and (k.expires_at is null or k.expires_at > now()) and m.active
$$;

-- Keys that were used just now; at most one write a minute and key.
create function api_keys_used(keys uuid[])
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    update api_keys set last_used_at = now()
    where id = any (keys) and (last_used_at is null or last_used_at < now() - interval '1 minute')
$$;

-- The right to update is what locking a row needs.
grant select, delete, update (created_at) on idempotency to roost_cross;

-- Deletes answers that are older than they are good for, some at a time; tells only how many.
create function idempotency_forget(hours int, most int)
    returns bigint
    language sql security definer set search_path = pg_catalog, public as
$$
    with gone as (
        delete from idempotency i using (
            select brand_id, actor_id, route, key from idempotency
            where created_at < now() - make_interval(hours => hours)
            order by created_at limit most for update skip locked
        ) old
        where (i.brand_id, i.actor_id, i.route, i.key) = (old.brand_id, old.actor_id, old.route, old.key)
        returning 1
    ) select count(*) from gone
$$;

grant select, update (told_on) on audit_heads to roost_cross;

-- Heads of the audit chains that have not been written elsewhere today, marked as written: a number and a
-- hash that only the holder of the key can make anything of.
create function audit_heads_untold(most int)
    returns table (brand_id uuid, seq bigint, hash bytea)
    language sql security definer set search_path = pg_catalog, public as
$$
    update audit_heads h set told_on = (now() at time zone 'utc')::date
    from (
        select brand_id from audit_heads
        where seq > 0 and told_on is distinct from (now() at time zone 'utc')::date
        order by brand_id limit most for update skip locked
    ) due
    where h.brand_id = due.brand_id
    returning h.brand_id, h.seq, h.hash
$$;

grant select on usage_marks, handbacks to roost_cross;

-- Brands whose log has grown since their usage was counted, as ids only.
create function cross_usage_behind(most int)
    returns table (brand_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select h.brand_id from event_heads h left join usage_marks m on m.brand_id = h.brand_id
    where h.position > coalesce(m.position, 0) order by h.position - coalesce(m.position, 0) desc limit most
$$;

-- Brands in which something has to be given back and nobody has finished it, as ids only.
create function cross_handbacks_due(older_seconds int, most int)
    returns table (brand_id uuid)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select h.brand_id from handbacks h
    where h.created_at < now() - make_interval(secs => older_seconds)
    group by h.brand_id order by min(h.created_at) limit most
$$;
