-- The durable queue: one row per try of a job. Nothing here knows what the jobs are about.
--
-- Two clocks. run_at, due_at, created_at, started_at, finished_at and next_run_at are written and judged by the
-- application's clock, which a test may move by months. lease_until is written and judged by the database's
-- clock alone, so that moving the application's clock never takes a job from a live worker.

-- The only place that sends a NOTIFY. It is a hint: whoever listens also polls, so that an engine without NOTIFY needs
-- nothing but another body here. Returns null.
create function announce(channel text, payload text) returns text language plpgsql as $$
begin
    perform pg_notify(channel, payload);
    return null;
end $$;

-- When a try may be claimed. A job for now is due an hour ago: a worker whose clock is behind that of the process that
-- made the job claims it all the same, and before those that became due since.
create function due_at(run_at timestamptz, now timestamptz) returns timestamptz language sql stable as $$
    select case when run_at <= now then run_at - interval '1 hour' else run_at end
$$;

create table jobs (
    id            bigint generated always as identity,
    kind          text        not null,
    args          jsonb       not null,
    about         uuid,
    subject       jsonb       not null default '{}',
    state         text        not null default 'available',
    priority      smallint    not null default 100,
    run_at        timestamptz not null,
    due_at        timestamptz not null,
    attempt       integer     not null default 1,
    max_attempts  integer     not null,
    unique_key    text,
    root_id       bigint,
    retry_of      bigint,
    next_id       bigint,
    next_run_at   timestamptz,
    last_error    text,
    note          text,
    crashes       integer     not null default 0,
    snoozes       integer     not null default 0,
    lease_token   uuid,
    lease_until   timestamptz,
    worker        text,
    trace_context text,
    created_at    timestamptz not null,
    started_at    timestamptz,
    finished_at   timestamptz,
    constraint jobs_pkey primary key (id),
    -- What a row holds in each state. A lease has a token and an end; only what has ended has a next try.
    constraint jobs_state_fits check (case state
        when 'available' then lease_token is null and lease_until is null and finished_at is null and next_id is null
        when 'parked' then lease_token is null and lease_until is null and finished_at is null and next_id is null
        when 'running' then lease_token is not null and lease_until is not null and finished_at is null and next_id is null
        when 'done' then lease_token is null and lease_until is null and finished_at is not null and next_id is null
        when 'failed' then lease_token is null and lease_until is null and finished_at is not null
                           and last_error is not null and (next_id is null) = (next_run_at is null)
        when 'discarded' then lease_token is null and lease_until is null and finished_at is not null
                              and (next_id is null) = (next_run_at is null)
        else false end),
    -- A later try is linked to the first and to the one before, and has no unique key: the first one holds it.
    constraint jobs_tries_fit check (attempt between 1 and max_attempts and (retry_of is null) = (root_id is null)
        and (retry_of is null or unique_key is null) and crashes >= 0 and snoozes >= 0),
    constraint jobs_is_named check (kind <> '' and jsonb_typeof(subject) = 'object')
);

-- Whoever writes run_at by hand need not know due_at. The queue's own statements write both.
create function set_due_at() returns trigger language plpgsql as $$
begin
    new.due_at := due_at(new.run_at, new.created_at);
    return new;
end $$;

create trigger jobs_due_at_of_new before insert on jobs for each row
    when (new.due_at is null) execute function set_due_at();
create trigger jobs_due_at_of_moved before update of run_at on jobs for each row
    when (new.run_at <> old.run_at and new.due_at = old.due_at) execute function set_due_at();

-- Rows come and go all day: vacuum early, or claims walk over dead index entries.
alter table jobs set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);

create unique index jobs_unique_key_idx on jobs (kind, unique_key) where unique_key is not null;
create index jobs_available_idx on jobs (kind, priority, due_at, id) where state = 'available';
-- The sweep asks which unfinished row has no job of its own.
create index jobs_live_idx on jobs (about) where state in ('available', 'running', 'parked') and about is not null;
-- Not on lease_until: a heartbeat then changes no indexed column and stays cheap (HOT).
create index jobs_running_idx on jobs (id) where state = 'running';
-- What only a person can move on. A failed try that was tried again is not in it.
create index jobs_attention_idx on jobs (id) where state = 'parked' or (state = 'failed' and next_id is null);
create index jobs_finished_idx on jobs (finished_at) where finished_at is not null;
create index jobs_chain_idx on jobs (root_id) where root_id is not null;
-- What failed lately, for people.
create index jobs_failed_idx on jobs (finished_at, id) where state = 'failed';
-- Everything that was done for one subscription.
create index idx_jobs_subscription on jobs ((subject->>'subscription'), id) where subject ? 'subscription';

-- Work that one process of an installation does for all: whoever finds it due takes the turn.
create table turns (
    name     text        primary key,
    taken_at timestamptz not null default '-infinity',
    -- What the last one found, for the metrics of the others.
    result   jsonb
);
comment on table turns is 'Periodic work that one process does for all: sweeping, measuring.';
comment on column turns.taken_at is 'When somebody last took the turn (database clock).';

comment on table jobs is 'The queue: one row per try of a job. A failed try stays here with its reason; the next try is a row of its own.';
comment on column jobs.id is 'This try.';
comment on column jobs.kind is 'What is to be done; chooses the handler. Each kind is a queue of its own.';
comment on column jobs.args is 'What the handler gets: ids, not data.';
comment on column jobs.about is 'The row that this job moves on, for example an invoice: what the sweep looks for.';
comment on column jobs.subject is 'For people: the ids this job is about, for example {"subscription": "sub_1"}.';
comment on column jobs.state is 'available: waits for run_at. running: leased by a worker. done. failed: see last_error, next_id. discarded: see note. parked: crashed its worker too often, waits for an operator.';
comment on column jobs.priority is 'Lower runs first within a kind.';
comment on column jobs.run_at is 'Not before (application clock).';
comment on column jobs.due_at is 'From when a claim takes it: run_at, or long past for a job that was due when it was written.';
comment on column jobs.attempt is 'Which try this is, from 1.';
comment on column jobs.max_attempts is 'The last try there may be.';
comment on column jobs.unique_key is 'With kind, unique for as long as the row exists, whatever became of the job. Only on the first try.';
comment on column jobs.root_id is 'The first try; null on the first itself.';
comment on column jobs.retry_of is 'The try before this one; null on the first.';
comment on column jobs.next_id is 'The try after this one; null on a failed row means nothing more will happen by itself.';
comment on column jobs.next_run_at is 'When the try after this one was set to run (application clock).';
comment on column jobs.last_error is 'Why this try failed, or that its worker stopped answering.';
comment on column jobs.note is 'A sentence for people: what was done, why it was discarded, why it was put off.';
comment on column jobs.crashes is 'How often a worker stopped answering while it held this try.';
comment on column jobs.snoozes is 'How often a handler put this try off without attempting it.';
comment on column jobs.lease_token is 'The fence: only its bearer may write the outcome. New at each claim.';
comment on column jobs.lease_until is 'When the worker counts as dead unless it renews (database clock).';
comment on column jobs.worker is 'Who ran it last.';
comment on column jobs.trace_context is 'W3C traceparent of the request or job that enqueued this one.';
comment on column jobs.created_at is 'Application clock.';
comment on column jobs.started_at is 'Last start (application clock).';
comment on column jobs.finished_at is 'Application clock.';

create view jobs_waiting as
select j.id, j.kind, j.subject, j.run_at, j.attempt, j.max_attempts, j.priority, j.snoozes, j.crashes,
       coalesce(j.note, j.last_error, before.last_error) as why_waiting, j.args, j.created_at
from jobs j
left join jobs before on before.id = j.retry_of
where j.state = 'available'
order by j.run_at, j.id;
comment on view jobs_waiting is 'What is still to run, when, and what went wrong before.';

create view jobs_running as
select id, kind, subject, worker, started_at, lease_until, lease_until < clock_timestamp() as lease_ran_out,
       attempt, max_attempts, crashes
from jobs where state = 'running' order by started_at, id;
comment on view jobs_running is 'What is being worked on, by whom.';

create view jobs_failed as
select j.id, j.kind, j.subject, j.last_error, j.finished_at, j.attempt, j.max_attempts, j.worker,
       j.next_id, j.next_run_at, following.state as next_state, j.args
from jobs j
left join jobs following on following.id = j.next_id
where j.state = 'failed'
order by j.finished_at desc, j.id desc;
comment on view jobs_failed is 'Every failed try: what, for whom, why, and when it was tried again.';

create view jobs_attention as
select id, kind, subject, state, last_error, attempt, max_attempts, crashes, worker, started_at, args
from jobs
where state = 'parked' or (state = 'failed' and next_id is null)
order by id desc;
comment on view jobs_attention is 'What only a person can move on: out of tries, or parked after crashes.';

create view job_history as
select coalesce(root_id, id) as job, attempt, id, kind, subject, state, run_at, started_at, finished_at,
       last_error, note, snoozes, crashes, worker, next_id, next_run_at
from jobs
order by coalesce(root_id, id), attempt, id;
comment on view job_history is 'The tries of each job in order: where job = <id of the first try>.';

create view jobs_by_kind as
select kind, state, count(*) as jobs, min(run_at) as oldest_run_at
from jobs group by kind, state order by kind, state;
comment on view jobs_by_kind is 'How much of what is in which state.';
