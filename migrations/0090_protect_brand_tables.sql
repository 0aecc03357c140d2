-- Row-level security on every table of a brand, and who may touch what.
-- The settings are read in a sub-select, so that a statement parses them once and not for each row.

do $$
declare
    relation text;
begin
    for relation in
        select c.relname from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        join pg_attribute a on a.attrelid = c.oid and a.attname = 'brand_id' and a.attnotnull
        where n.nspname = 'public' and c.relkind in ('r', 'p') and not c.relispartition
          and c.relname not in ('sessions', 'channel_routes', 'connect_requests', 'relay_marks')
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
        execute format('grant select, insert, update on %I to roost_ingest', relation);
    end loop;
end
$$;

-- Append-only tables.
grant delete on contacts to roost_ingest;
revoke update, delete on send_attempts, assignment_decisions, conversation_acts, inbound_events, audit_log from roost_app;
-- Messages are deleted for one reason: an echo that was stored by itself turned out to be a reply.
revoke delete on events, conversations, sla_firings from roost_app;
grant update on send_attempts to roost_app;
grant update (undone_at) on conversation_acts to roost_app;
revoke update, delete on brand_keys from roost_app;
-- What the inbox has no business with.
revoke all on brand_keys, api_keys, idempotency, audit_log, audit_heads, invitations from roost_ingest;
-- Limits are the operator's to set.
revoke insert, update, delete on brand_limits from roost_app, roost_ingest;

-- The inbox and the ingester read routes and keep what has no brand.
grant select on channel_routes to roost_ingest;
grant select, insert, update, delete on spool, dead_messages, raw_unclaimed, leases to roost_ingest;

grant usage on schema public to roost_app, roost_ingest, roost_cross;
