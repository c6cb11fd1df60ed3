-- $1 now, $2 maximum of tries, $3 lost if older, $4 the kind, or null for all but those of $5, $6 the last row of the slice
-- before, $7 rows of a slice.
-- Makes the missing jobs of one slice. The end of the slice is known first, so that each index is read in one range, and the
-- arguments of a job are built only where there is none.
with slice as materialized (
    select end_of_slice($4, $6, $7) as until
), made as (
    insert into jobs (kind, args, about, subject, run_at, due_at, max_attempts, created_at)
    select kind, args, about, subject, $1, due_at($1, $1), $2, $1 from work_without_job
     where case when $4::text is null then kind <> all ($5::text[]) else kind = $4 end
       and since < $3 and about > $6
       and about <= coalesce((select until from slice), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
     -- What has waited longest goes first.
     order by since, subscription_id, kind
    returning 1
), announced as (
    select announce('jobs', '') from made having count(*) > 0
)
select (select count(*) from made) + 0 * (select count(*) from announced) as "made!", (select until from slice) as until
