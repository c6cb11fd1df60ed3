-- Renewals and retries per day of [$1, $2), as the schedules are now; $3 is today. Periods are counted from the anchor in
-- months, and PostgreSQL ends a month that is too short on its last day, as the domain does.
with living as (
    select id, amount, anchor_on, greatest((next_billing_date at time zone 'Asia/Seoul')::date, $3) as due_on,
           (next_billing_date at time zone 'Asia/Seoul')::date as next_on, terms_since_month,
           case billing_cycle when 'yearly' then 12 else 1 end as months
      from subscriptions
     where status = 'active' and billing_key is not null and charging_paused_at is null
),
renewals as (
    -- The next one, which may be overdue.
    select id, amount, due_on as date, next_on as begins_on from living where due_on >= $1 and due_on < $2
    union all
    -- Later ones within the span.
    select living.id, living.amount, later.date, later.date
      from living
      cross join lateral (
          select (anchor_on + make_interval(months => terms_since_month + months * n))::date as date
            from generate_series(
                     greatest(((extract(year from age($1, anchor_on)) * 12 + extract(month from age($1, anchor_on)))::int
                               - terms_since_month) / months - 1, 0),
                     ((extract(year from age($2, anchor_on)) * 12 + extract(month from age($2, anchor_on)))::int
                      - terms_since_month) / months + 1) as n
      ) later
     where later.date > living.next_on and later.date > $3 and later.date >= $1 and later.date < $2
),
terms as (
    select renewals.date,
           case when change.id is null then renewals.amount
                when change.to_amount > change.from_amount and not change.is_consented then 0
                else change.to_amount end as amount
      from renewals
      left join lateral (
          select pending.id, pending.to_amount, pending.from_amount,
                 exists (select from consents where plan_change_id = pending.id) as is_consented
            from plan_changes pending
           where pending.subscription_id = renewals.id and pending.status = 'pending'
             and pending.effective_on <= renewals.begins_on
           order by pending.effective_on desc limit 1
      ) change on true
),
retries as (
    select greatest((invoice.next_attempt_at at time zone 'Asia/Seoul')::date, $3) as date, invoice.amount
      from invoices invoice join subscriptions subscription on subscription.id = invoice.subscription_id
     where invoice.status = 'open' and invoice.next_attempt_at is not null and invoice.held_since is null
       and subscription.status = 'past_due' and subscription.billing_key is not null
       and subscription.charging_paused_at is null
)
select date as "date!", count(*) as "count!", sum(amount)::bigint as "amount!"
  from (select date, amount from terms where amount > 0
        union all
        select date, amount from retries where date >= $1 and date < $2) as due
 group by date order by date
