-- $1 kinds, $2 limit of each kind, $3 now, $4 limit of all, $5 lease in seconds, $6 worker.
-- One index range per kind and priority in use: with one range over all, every claim would walk and sort the
-- future rows of each priority. The ids go through an array, so that the plan stays the same however many jobs there are:
-- as a join, a generic plan would read the whole table.
with recursive wanted (kind, free) as (
    select kind, free from unnest($1::text[], $2::integer[]) as w (kind, free)
), levels (kind, free, priority) as (
    select w.kind, w.free, (select min(j.priority) from jobs j where j.state = 'available' and j.kind = w.kind)
    from wanted w
    union all
    select l.kind, l.free,
           (select min(j.priority) from jobs j
            where j.state = 'available' and j.kind = l.kind and j.priority > l.priority)
    from levels l where l.priority is not null
)
update jobs
set state = 'running', lease_token = gen_random_uuid(), worker = $6, started_at = $3,
    lease_until = clock_timestamp() + make_interval(secs => $5)
where id = any (array(
    select ranked.id from (
        select due.id, due.priority, due.due_at, l.free,
               row_number() over (partition by l.kind order by due.priority, due.due_at, due.id) as place
        from levels l
        cross join lateral (
            select j.id, j.priority, j.due_at from jobs j
            where j.state = 'available' and j.kind = l.kind and j.priority = l.priority and j.due_at <= $3
            order by j.due_at, j.id limit l.free for update skip locked
        ) due
    ) ranked
    where ranked.place <= ranked.free
    order by ranked.priority, ranked.due_at, ranked.id limit $4))
returning id, kind, args, priority, attempt, max_attempts, run_at, due_at,
          coalesce(root_id, id) as "root_id!", crashes, snoozes, trace_context, lease_token as "token!"
