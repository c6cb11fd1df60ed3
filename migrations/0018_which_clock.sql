-- Which clock each process follows, and which processes are there at all.

alter table processes
    add column clock text not null default 'test',
    add constraint processes_clock_is_known check (clock in ('system', 'test'));

comment on column processes.clock is 'The test clock never moves while a process follows the system''s.';

-- A process keeps an advisory lock named after its row for as long as it is connected. One that was killed is gone at
-- once; one that only stands still for a while is not.
create view present_processes as
select processes.*
  from processes
 where exists (
       select from pg_locks
        where pg_locks.locktype = 'advisory' and pg_locks.objsubid = 1 and pg_locks.granted
          and pg_locks.database = (select oid from pg_database where datname = current_database())
          and (pg_locks.classid::bigint << 32 | pg_locks.objid::bigint) = hashtextextended(processes.id::text, 0));
