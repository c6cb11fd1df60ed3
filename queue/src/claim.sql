-- $1 kinds, $2 now, $3 limit, $4 lease in seconds, $5 worker.
-- One index range per kind and priority in use: with one range over all, every claim would walk and sort the
-- future rows of each priority.
with recursive levels as (
    select k.kind,
           (select min(j.priority) from jobs j where j.state = 'available' and j.kind = k.kind) as priority
    from unnest($1::text[]) as k (kind)
    union all
    select l.kind,
           (select min(j.priority) from jobs j
            where j.state = 'available' and j.kind = l.kind and j.priority > l.priority)
    from levels l where l.priority is not null
), due as (
    select d.id from levels l
    cross join lateral (
        select j.id, j.priority, j.run_at from jobs j
        where j.state = 'available' and j.kind = l.kind and j.priority = l.priority and j.run_at <= $2
        order by j.run_at, j.id limit $3 for update skip locked
    ) d
    order by d.priority, d.run_at, d.id limit $3
)
update jobs
set state = 'running', lease_token = gen_random_uuid(), worker = $5, started_at = $2,
    lease_until = clock_timestamp() + make_interval(secs => $4)
from due where jobs.id = due.id
returning jobs.id, kind, args, subject, priority, attempt, max_attempts, run_at,
          coalesce(root_id, jobs.id) as "root_id!", crashes, snoozes, trace_context, lease_token as "token!"
