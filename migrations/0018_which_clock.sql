-- Which clock each process follows, and which processes are there at all.

alter table processes
    add column clock text not null default 'test',
    add constraint processes_clock_is_known check (clock in ('system', 'test'));

comment on column processes.clock is 'The test clock never moves while a process follows the system''s.';

-- Judged by the database's clock alone, as leases are. On the test clock a process says every second that it is there; one
-- on the system's may be held up for longer, and the clock stays for it.
create view present_processes as
select processes.*
  from processes
 where seen_at > clock_timestamp() - case clock when 'system' then interval '1 minute' else interval '5 seconds' end;
