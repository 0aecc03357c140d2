-- The named functions belong to the role that owns nothing else and are open to the app role alone: what
-- the ingest role needs it does on the tables themselves. Stands after every file that makes a function.

grant create on schema public to roost_cross;

do $$
declare
    signature regprocedure;
begin
    for signature in
        select p.oid::regprocedure from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'public' and p.prosecdef
    loop
        execute format('revoke all on function %s from public', signature);
        execute format('alter function %s owner to roost_cross', signature);
        execute format('grant execute on function %s to roost_app', signature);
    end loop;
end
$$;

revoke create on schema public from roost_cross;
