-- Resolving an API key; see 0095 for what holds for every function here.

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
