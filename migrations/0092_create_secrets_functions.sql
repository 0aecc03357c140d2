-- Which keys stored values need; see 0095 for what holds for every function here.

grant select on brand_keys, mails to roost_cross;

-- The operator's keys that stored values need: names alone, which are the operator's and no brand's.
create function secrets_key_ids()
    returns setof text
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select sealed_key_id(wrapped) from brand_keys
    union select sealed_key_id(payload) from dead_messages
    union select sealed_key_id(token_secret) from connect_requests where expires_at > now()
    union select sealed_key_id(body) from mails
    union select sealed_key_id(totp_secret) from users where totp_secret is not null
$$;
