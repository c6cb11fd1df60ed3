-- $1 e-mails, $2 now; in the order of the e-mails: $3 their jobs, $4 the tokens of their leases, $5 the notes of their ends.
-- Its commit does not wait for the disk: a server that dies and forgets it has the e-mail sent twice, recognisably.
with free as materialized (
    select id from emails where id = any ($1) and status = 'queued' order by id for no key update skip locked
), sent as (
    update emails set status = 'sent', last_error = null, settled_at = $2, next_try_at = null
      from free where emails.id = free.id
), locked as (
    select id from emails where id = any ($1) and status = 'queued' and id not in (select id from free)
), own as materialized (
    select jobs.id, given.note
      from unnest($1::uuid[], $3::bigint[], $4::uuid[], $5::text[]) as given (email_id, id, token, note)
      join jobs on jobs.id = given.id and jobs.lease_token = given.token
     where given.email_id not in (select id from locked)
     order by jobs.id
       for update of jobs skip locked
), ended as (
    update jobs
       set state = 'done', note = own.note, finished_at = $2, lease_token = null, lease_until = null
      from own where jobs.id = own.id
    returning jobs.id
)
select array(select id from ended) as "ended!", array(select id from locked) as "locked!"
  from set_config('synchronous_commit', 'off', true)
