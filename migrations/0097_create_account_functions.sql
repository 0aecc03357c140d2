-- Accounts; see 0095 for what holds for every function here. A person belongs to no brand: these take the
-- hash of a secret, or the id of somebody who has proven who they are, and answer about that person only.

grant select, insert, update, delete on mails, account_tokens, recovery_codes, sign_in_tries, known_places to roost_cross;
grant select, delete on retired_tokens, sessions to roost_cross;
grant select on invitations to roost_cross;

create function mail_put(new_id uuid, of_kind text, sealed bytea)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ insert into mails (id, kind, body) values (new_id, of_kind, sealed) $$;

-- Due mails, sealed, for one sender: nobody else gets them before the lease is over.
create function mail_claim(most int, lease_seconds int)
    returns table (id uuid, kind text, body bytea, attempts int, age_seconds double precision)
    language sql security definer set search_path = pg_catalog, public as
$$
    update mails m set attempts = m.attempts + 1, next_try_at = now() + make_interval(secs => lease_seconds)
    from (select d.id from mails d where d.next_try_at <= now() order by d.next_try_at limit most for update skip locked) due
    where m.id = due.id
    returning m.id, m.kind, m.body, m.attempts, extract(epoch from now() - m.created_at)::double precision
$$;

create function mail_drop(wanted uuid)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ delete from mails where id = wanted $$;

create function mail_delay(wanted uuid, seconds int)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ update mails set next_try_at = now() + make_interval(secs => seconds) where id = wanted $$;

-- A figure only.
create function mail_backlog_seconds()
    returns double precision
    language sql stable security definer set search_path = pg_catalog, public as
$$ select coalesce(extract(epoch from now() - min(created_at)), 0)::double precision from mails $$;

-- Keeps a link's hash; false where the person has had so many within the hour that no more are sent. The
-- person's row is locked first, so that many who ask at once don't get more.
create function account_token_put(of_hash bytea, of_kind text, of_user uuid, of_email text, minutes int, most_an_hour int)
    returns boolean
    language plpgsql security definer set search_path = pg_catalog, public as
$$
begin
    perform from users u where u.id = of_user for no key update;
    insert into account_tokens (hash, kind, user_id, email, expires_at)
        select of_hash, of_kind, of_user, of_email, now() + make_interval(mins => minutes)
        where (select count(*) from account_tokens t where t.user_id = of_user and t.kind = of_kind
                 and t.created_at > now() - interval '1 hour') < most_an_hour;
    return found;
end
$$;

-- Uses up a link; the address must still be the person's.
create function account_verify_email(presented bytea)
    returns uuid
    language sql security definer set search_path = pg_catalog, public as
$$
    with used as (
        update account_tokens t set used_at = now() from users u
        where t.hash = presented and t.kind = 'verification' and t.used_at is null and t.expires_at > now()
          and u.id = t.user_id and u.email = t.email
        returning t.user_id
    )
    update users u set email_verified_at = coalesce(u.email_verified_at, now()) from used
    where u.id = used.user_id returning u.id
$$;

-- Whose password a link would change; it isn't used up by the question.
create function account_reset_peek(presented bytea)
    returns table (user_id uuid, email text, full_name text)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select u.id, u.email, u.full_name from account_tokens t join users u on u.id = t.user_id and u.email = t.email
    where t.hash = presented and t.kind = 'reset' and t.used_at is null and t.expires_at > now()
$$;

-- Uses up a link and every other of the person: new password, no session left, no place known.
create function account_reset(presented bytea, new_hash text)
    returns uuid
    language plpgsql security definer set search_path = pg_catalog, public as
$$
declare
    whose uuid;
begin
    update account_tokens t set used_at = now() from users u
        where t.hash = presented and t.kind = 'reset' and t.used_at is null and t.expires_at > now()
          and u.id = t.user_id and u.email = t.email
        returning t.user_id into whose;
    if whose is null then
        return null;
    end if;
    update account_tokens t set used_at = now() where t.user_id = whose and t.kind = 'reset' and t.used_at is null;
    -- Who read the mail has the address.
    update users u set password_hash = new_hash, email_verified_at = coalesce(u.email_verified_at, now()) where u.id = whose;
    update sessions s set revoked_at = now() where s.user_id = whose and s.revoked_at is null;
    delete from known_places k where k.user_id = whose;
    return whose;
end
$$;

create function account_find(wanted uuid)
    returns table (email text, full_name text, password_hash text, email_verified boolean, totp_secret bytea,
                   totp_enabled boolean, recovery_codes_left bigint)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select u.email, u.full_name, u.password_hash, u.email_verified_at is not null, u.totp_secret,
           u.totp_enabled_at is not null, (select count(*) from recovery_codes r where r.user_id = u.id)
    from users u where u.id = wanted
$$;

-- Changes a password unless it was changed meanwhile.
create function account_set_password(wanted uuid, old_hash text, new_hash text)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with changed as (
        update users set password_hash = new_hash where id = wanted and password_hash = old_hash returning 1
    ) select exists (select from changed)
$$;

-- The address was proven by a link to it.
create function account_trust_email(wanted uuid)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ update users set email_verified_at = coalesce(email_verified_at, now()) where id = wanted $$;

create function totp_begin(wanted uuid, sealed bytea)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with begun as (
        update users set totp_secret = sealed where id = wanted and totp_enabled_at is null returning 1
    ) select exists (select from begun)
$$;

create function totp_enable(wanted uuid, sealed bytea, used_step bigint, codes bytea[])
    returns boolean
    language plpgsql security definer set search_path = pg_catalog, public as
$$
begin
    update users set totp_enabled_at = now(), totp_step = used_step
        where id = wanted and totp_enabled_at is null and totp_secret = sealed;
    if not found then
        return false;
    end if;
    delete from recovery_codes where user_id = wanted;
    insert into recovery_codes (user_id, hash) select wanted, unnest(codes);
    return true;
end
$$;

create function totp_disable(wanted uuid)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    delete from recovery_codes where user_id = wanted;
    update users set totp_secret = null, totp_enabled_at = null, totp_step = 0 where id = wanted;
$$;

-- Uses up the code of a step: true once, and never again for it or an earlier one.
create function totp_use(wanted uuid, step bigint)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with used as (
        update users set totp_step = step where id = wanted and totp_enabled_at is not null and totp_step < step returning 1
    ) select exists (select from used)
$$;

create function recovery_use(wanted uuid, presented bytea)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with used as (delete from recovery_codes where user_id = wanted and hash = presented returning 1)
    select exists (select from used)
$$;

create function recovery_replace(wanted uuid, codes bytea[])
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    delete from recovery_codes where user_id = wanted and hash <> all (codes);
    insert into recovery_codes (user_id, hash) select wanted, unnest(codes) on conflict do nothing;
$$;

create function session_list(of_user uuid)
    returns table (id uuid, brand_id uuid, brand_name text, created_at timestamptz, used_at timestamptz, address text, user_agent text)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select s.id, s.brand_id, b.name, s.created_at, s.rotated_at, s.address, s.user_agent
    from sessions s join brands b on b.brand_id = s.brand_id
    where s.user_id = of_user and s.revoked_at is null and s.expires_at > now() and s.rotated_at > now() - interval '12 hours'
    order by s.rotated_at desc, s.id limit 200
$$;

create function session_end(of_user uuid, wanted uuid)
    returns boolean
    language sql security definer set search_path = pg_catalog, public as
$$
    with ended as (
        update sessions set revoked_at = now() where id = wanted and user_id = of_user and revoked_at is null returning 1
    ) select exists (select from ended)
$$;

create function session_end_others(of_user uuid, keep uuid)
    returns bigint
    language sql security definer set search_path = pg_catalog, public as
$$
    with ended as (
        update sessions set revoked_at = now() where user_id = of_user and id <> keep and revoked_at is null returning 1
    ) select count(*) from ended
$$;

create function session_prove(wanted uuid)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ update sessions set proven_at = now() where id = wanted and revoked_at is null $$;

-- How long tries wait after so many: nothing up to five, then 1, 2, 4 … seconds, at most 15 minutes.
create function sign_in_pause(tries int)
    returns interval
    language sql immutable as
$$ select case when tries < 5 then interval '0' else make_interval(secs => least(900, 2 ^ least(tries - 5, 10))) end $$;

-- Before a try: seconds to wait, or 0, which counts a try at the account. It counts before the password is
-- looked at, so that many at once are no way around it. Who waited out an hour in peace starts anew.
-- Kept here and not in Redis: nobody gets free tries by its absence.
create function sign_in_begin(account bytea, address bytea)
    returns int
    language plpgsql security definer set search_path = pg_catalog, public as
$$
declare
    wait double precision;
    count_now int;
begin
    select max(extract(epoch from t.blocked_until - now())) into wait from sign_in_tries t
        where t.key in (account, address) and t.blocked_until > now();
    if wait is not null then
        return ceil(wait);
    end if;
    insert into sign_in_tries as t (key, tries) values (account, 1)
    on conflict (key) do update
        set tries = case when t.last_at < now() - interval '1 hour' then 1 else t.tries + 1 end, last_at = now(),
            blocked_until = now() + sign_in_pause(case when t.last_at < now() - interval '1 hour' then 1 else t.tries + 1 end)
        where t.blocked_until <= now()
    returning t.tries into count_now;
    -- Another try took this turn.
    return case when count_now is null then 1 else 0 end;
end
$$;

-- After a try that failed: it counts against the address too.
create function sign_in_failed(address bytea)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    insert into sign_in_tries as t (key, tries) values (address, 1)
    on conflict (key) do update
        set tries = case when t.last_at < now() - interval '1 hour' then 1 else t.tries + 1 end, last_at = now(),
            blocked_until = now() + sign_in_pause(case when t.last_at < now() - interval '1 hour' then 1 else t.tries + 1 end)
$$;

create function sign_in_forgive(account bytea)
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$ delete from sign_in_tries where key = account $$;

create function place_is_known(of_email text, places bytea[])
    returns bytea
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select k.hash from known_places k join users u on u.id = k.user_id
    where u.email = of_email and k.hash = any (places) order by array_position(places, k.hash) limit 1
$$;

create function place_remember(of_user uuid, places bytea[])
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    insert into known_places (user_id, hash) select of_user, unnest(places)
    on conflict (user_id, hash) do update set seen_at = now()
$$;

-- Resolves the hash of an invitation's token; the hash is of 256 random bits.
create function invitation_find(presented bytea)
    returns table (brand_id uuid, invitation_id uuid, email text, brand_name text)
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select i.brand_id, i.id, i.email, b.name from invitations i join brands b on b.brand_id = i.brand_id
    where i.token_hash = presented and i.accepted_at is null and i.revoked_at is null and i.expires_at > now()
$$;

-- Throws out what no longer says anything.
create function account_sweep()
    returns void
    language sql security definer set search_path = pg_catalog, public as
$$
    delete from account_tokens where expires_at < now() - interval '1 day';
    delete from sign_in_tries where last_at < now() - interval '1 day';
    delete from known_places where seen_at < now() - interval '180 days';
    delete from sessions where expires_at < now() - interval '1 day';
$$;
