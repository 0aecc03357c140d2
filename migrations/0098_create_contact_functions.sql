-- Finding and erasing contacts; see 0095 for what holds for every function here.

grant select (brand_id, id, name_key, handle_key) on contacts to roost_cross;
grant select (brand_id, id, contact_id, home_id) on identities to roost_cross;
grant select (conversation_id, channel_id, platform_event_id) on messages to roost_cross;
grant select, update (payload) on inbound_events to roost_cross;
grant select, update (payload) on raw_unclaimed to roost_cross;
grant select, delete on spool to roost_cross;

-- The contacts of one brand that have a text in the name or handle of any account of theirs. Pattern
-- operators aren't leakproof, so under a policy no index would serve them; only ids come out, and they
-- are read in the brand's own transaction.
create function contact_search(of_brand uuid, pattern text)
    returns setof uuid
    language sql stable security definer set search_path = pg_catalog, public as
$$
    select distinct i.contact_id from contacts h
    join identities i on i.brand_id = h.brand_id and coalesce(i.home_id, i.contact_id) = h.id
    where h.brand_id = of_brand and (h.name_key like pattern or h.handle_key like pattern)
$$;

-- What came in for one brand's contacts and lies outside of its tables, or where the app role changes
-- nothing: blanked, and deleted where it waits. Only rows that name both the customer and an account of
-- the brand, and only for the brand whose transaction it is.
create function contact_erase_raw(of_brand uuid, of_contacts uuid[], of_customers text[])
    returns bigint
    language plpgsql security definer set search_path = pg_catalog, public as
$$
declare
    blanked bigint;
    more bigint;
    accounts text[];
begin
    if of_brand is distinct from nullif(current_setting('roost.brand_id', true), '')::uuid then
        raise exception 'not the brand of this transaction';
    end if;
    accounts := array(select c.account_id from channels c where c.brand_id = of_brand);
    update inbound_events e set payload = ''
    from conversations c join messages m on m.brand_id = c.brand_id and m.conversation_id = c.id
    where c.brand_id = of_brand and c.contact_id = any (of_contacts) and m.platform_event_id is not null
      and e.brand_id = of_brand and e.channel_id = m.channel_id and e.platform_event_id = m.platform_event_id
      and e.payload <> '';
    get diagnostics blanked = row_count;
    update raw_unclaimed r set payload = ''
    where exists (select from unnest(accounts) a where r.account_id = a or position('"' || a || '"' in r.payload) > 0)
      and exists (select from unnest(of_customers) k where position('"' || k || '"' in r.payload) > 0);
    get diagnostics more = row_count;
    blanked := blanked + more;
    delete from spool s
    where exists (select from unnest(accounts) a where position(convert_to('"' || a || '"', 'UTF8') in s.body) > 0)
      and exists (select from unnest(of_customers) k where position(convert_to('"' || k || '"', 'UTF8') in s.body) > 0);
    get diagnostics more = row_count;
    blanked := blanked + more;
    delete from dead_messages d
    where exists (select from unnest(accounts) a where position(convert_to('"' || a || '"', 'UTF8') in d.payload) > 0)
      and exists (select from unnest(of_customers) k where position(convert_to('"' || k || '"', 'UTF8') in d.payload) > 0);
    get diagnostics more = row_count;
    return blanked + more;
end
$$;
