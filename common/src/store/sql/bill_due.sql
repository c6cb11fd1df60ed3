-- $1 due until, $2 and $3 the last row of the batch before (next billing date, id), $4 limit, $5 the day, $6 now,
-- $7 trace context, $8 the first 48 bits of the ids, in hexadecimal.
-- Bills one batch of due subscriptions: an invoice for the period that has begun, and its charge job. No row travels.
-- A row that somebody holds is left out: nobody else's charge waits for it. It is billed on its own afterwards.
with due as materialized (
    select id, next_billing_date, anchor_on, amount,
           case billing_cycle when 'yearly' then 12 else 1 end as months,
           greatest(period_no + 1, terms_since_period) as no, terms_since_period, terms_since_month
      from subscriptions
     where status = 'active' and next_billing_date <= $1 and (next_billing_date, id) > ($2, $3)
       and charging_paused_at is null
       and not exists (select from plan_changes change
                        where change.subscription_id = subscriptions.id and change.status = 'pending'
                          and change.effective_on <= $5)
     order by next_billing_date, id
     limit $4
       for share skip locked
), months as (
    select *, terms_since_month + (no - terms_since_period) * months as begins from due
), periods as materialized (
    -- As the domain counts: always from the anchor, and a day that the month does not have becomes its last.
    select id, next_billing_date, amount, no,
           (anchor_on + make_interval(months => begins))::date as starts,
           (anchor_on + make_interval(months => begins + months))::date as ends
      from months
), billed as (
    -- Exactly one period has begun. Where more have, the older ones are put on hold, one subscription at a time.
    insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
    select ($8 || '7' || substr(replace(gen_random_uuid()::text, '-', ''), 14))::uuid,
           id, no, starts, ends, starts, amount, $6
      from periods where starts <= $5 and ends > $5
    on conflict (subscription_id, period_no) do nothing
    returning id, subscription_id
), queued as (
    -- The row of the job `ChargeSubscription`; a test compares them.
    insert into jobs (kind, args, about, subject, unique_key, run_at, due_at, priority, max_attempts, trace_context, created_at)
    select 'charge-subscription',
           jsonb_build_object('invoiceId', id, 'subscriptionId', subscription_id, 'byScan', true), id,
           jsonb_build_object('subscription', 'sub_' || replace(subscription_id::text, '-', ''), 'invoice', id),
           'invoice:' || id, $6, due_at($6, $6), 100, 25, $7, $6
      from billed
    on conflict (kind, unique_key) where unique_key is not null do nothing
    returning id
), last as (
    select next_billing_date, id from periods order by next_billing_date desc, id desc limit 1
)
select (select count(*) from periods) as "seen!", (select count(*) from queued) as "queued!",
       (select next_billing_date from last) as last_billing_date, (select id from last) as last_id,
       case when exists (select from queued) then announce('jobs', 'charge-subscription') end as announced
