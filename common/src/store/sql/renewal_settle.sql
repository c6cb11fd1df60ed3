-- $1 payment, $2 payment key, $3 paid at, $4 method, $5 receipt URL, $6 secret, $7 trace id, $8 now, $9 invoice,
-- $10 subscription, $11 period, $12 its first day, $13 its end, $14 next billing date, $15 the subscription before;
-- of the events, in order: $16 ids, $17 types, $18 unique keys, $19 bodies; $20 the e-mail and $21 its job.
with payment as (
    update payments
       set status = 'completed', payment_key = $2, paid_at = $3, payment_method = $4, receipt_url = $5,
           toss_secret = $6, toss_trace_id = coalesce($7, toss_trace_id), toss_code = null, toss_message = null,
           settled_at = $8
     where id = $1 and status in ('pending', 'unknown')
    returning id
), invoice as (
    update invoices
       set status = 'paid', paid_at = $3, closed_at = $3, next_attempt_at = null, held_since = null
     where id = $9 and status <> 'paid'
    returning id
), renewed as (
    update subscriptions
       set period_no = $11, current_period_start = $12, current_period_end = $13, next_billing_date = $14,
           activated_at = coalesce(activated_at, $8), suspended_at = null, updated_at = $8
     where id = $10 and status = 'active' and period_no < $11
    returning id, status, period_no, current_period_end, next_billing_date, amount
), entry as (
    insert into subscription_events (subscription_id, at, actor, what, why, before, after)
    select id, $8, 'worker', 'subscription.renewed', 'the period is paid', $15,
           jsonb_build_object('status', status, 'periodNo', period_no, 'currentPeriodEnd', current_period_end,
                              'nextBillingDate', next_billing_date, 'amount', amount)
      from renewed
), event as (
    insert into webhook_events_out (id, type, unique_key, subscription_id, body, created_at)
    select new.id, new.kind, new.unique_key, renewed.id, new.body, $8
      from renewed, unnest($16::uuid[], $17::text[], $18::text[], $19::text[]) with ordinality
                        as new (id, kind, unique_key, body, place)
     order by new.place
    on conflict on constraint webhook_events_out_unique_key_key do nothing
    returning id, seq
), delivery as (
    insert into webhook_deliveries (event_id)
    select id from event
     where exists (select from settings where name = 'events' and (value->>'enabled')::boolean)
    returning event_id
)
select (select count(*) from payment) as "payments!", (select count(*) from invoice) as "invoices!",
       (select count(*) from renewed) as "subscriptions!",
       -- Nobody waits for the receipt of a renewal: a NOTIFY would only serialise the commits.
       (select post_email($20, $21, $8, false) from renewed) as emailed,
       -- Where an earlier event of the subscription waits, its end makes the next job.
       (select event.id from event join delivery on delivery.event_id = event.id
         where not exists (select from webhook_events_out earlier
                             join webhook_deliveries waiting on waiting.event_id = earlier.id
                            where earlier.subscription_id = $10 and waiting.state = 'pending')
         order by event.seq limit 1) as to_deliver
