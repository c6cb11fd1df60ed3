-- $1 id, $2 token, $3 error, $4 next run_at, $5 now.
-- Marks the try failed and writes the next in one statement; no row when the token is not the owner's.
with numbered as (select nextval('jobs_id_seq') as next_id),
failed as (
    update jobs
    set state = 'failed', last_error = $3, finished_at = $5, next_id = numbered.next_id, next_run_at = $4,
        lease_token = null, lease_until = null
    from numbered where id = $1 and lease_token = $2
    returning jobs.*
), next as (
    insert into jobs (id, kind, args, about, subject, priority, run_at, due_at, attempt, max_attempts, root_id, retry_of,
                      trace_context, created_at)
    overriding system value
    select next_id, kind, args, about, subject, priority, $4, due_at($4, $5), attempt + 1, max_attempts, coalesce(root_id, id), id,
           trace_context, $5
    from failed
    returning id, kind
)
select id as "id!", case when $4 <= $5 then announce('jobs', kind) end as announced from next
