-- $1 payment, $2 payment key, $3 paid at, $4 method, $5 receipt URL, $6 secret, $7 trace id, $8 now, $9 invoice,
-- $10 subscription, $11 period, $12 its first day, $13 its end, $14 next billing date.
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
       set status = 'active', period_no = $11, current_period_start = $12, current_period_end = $13,
           next_billing_date = $14, activated_at = coalesce(activated_at, $8), suspended_at = null,
           updated_at = $8
     where id = $10 and status <> 'canceled' and period_no < $11
    returning id
)
select (select count(*) from payment) as "payments!", (select count(*) from invoice) as "invoices!",
       (select count(*) from renewed) as "subscriptions!"
