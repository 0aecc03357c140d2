-- Apps across brands; see 0095 for what holds for every function here.

grant select (brand_id, id, version) on x_apps to roost_cross;
grant select on app_signs to roost_cross;
-- The inbox has to know an app's number and nothing more of it.
revoke all on x_apps from roost_ingest;
grant select (brand_id, id, app_id) on x_apps to roost_ingest;

-- Which apps there are, so that the ingester can load, brand by brand, the keys of those that changed.
-- Ids and numbers only.
create function cross_x_apps()
    returns table (brand_id uuid, id uuid, version bigint)
    language sql stable security definer set search_path = pg_catalog, public as
$$ select a.brand_id, a.id, a.version from x_apps a $$;

-- When an app's webhook was last challenged: an instant that all who use the app share.
create function app_last_crc(of_platform text, of_app text)
    returns timestamptz
    language sql stable security definer set search_path = pg_catalog, public as
$$ select s.last_crc_at from app_signs s where s.platform = of_platform and s.app = of_app $$;
