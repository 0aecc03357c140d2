-- Full-text operators aren't leakproof: under a policy they can't use an index. These functions look up ids
-- in one brand, which the caller names and whose transaction reads the rows; see 0095 for what holds for
-- every function here. They return ids only, and a brand's terms are no other brand's: the condition on
-- brand_id stands in each statement. The planner knows neither query nor brand when it plans them: "offset 0"
-- and the settings leave it the term index, always.

grant select on message_terms, contact_terms to roost_cross;

-- Conversations with a message that has the terms, out of a bounded number of such messages.
create function search_messages(of_brand uuid, wanted tsquery, most int)
    returns table (conversation_id uuid)
    language sql stable security definer set search_path = pg_catalog, public
    set enable_seqscan = off set enable_indexscan = off as
$$
    select distinct found.conversation_id from (
        select any_brand.conversation_id from (
            select t.brand_id, t.conversation_id from message_terms t where t.terms @@ wanted offset 0
        ) any_brand
        where any_brand.brand_id = of_brand limit most
    ) found
$$;

-- Customers whose name or handle has the terms.
create function search_contacts(of_brand uuid, wanted tsquery, most int)
    returns table (contact_id uuid)
    language sql stable security definer set search_path = pg_catalog, public
    set enable_seqscan = off set enable_indexscan = off as
$$
    select any_brand.contact_id from (
        select t.brand_id, t.contact_id from contact_terms t where t.terms @@ wanted offset 0
    ) any_brand
    where any_brand.brand_id = of_brand limit most
$$;
