with given as (
    select * from jsonb_to_recordset($1::jsonb) as it (
        id uuid, user_id uuid, plan text, billing_cycle text, billing_key text, customer_key text, amount integer,
        status text, customer_email text, customer_name text, anchor_on date, period_no integer,
        current_period_start date, current_period_end date, next_billing_date timestamptz, created_at timestamptz,
        suspended_at timestamptz, canceled_at timestamptz, cancel_reason text, source_id text,
        source_next_billing_date date, charged_elsewhere_until date, why text)
), users_made as (
    insert into users as known (id, email, name, created_at, updated_at)
    select distinct on (user_id) user_id, customer_email, customer_name, created_at, $4::timestamptz
      from given order by user_id
    on conflict (id) do update
       set email = coalesce(known.email, excluded.email), name = coalesce(known.name, excluded.name)
), brought as (
    insert into subscriptions
        (id, user_id, plan, billing_cycle, billing_key, customer_key, card_registered_at, amount, status, customer_email,
         customer_name, anchor_on, period_no, current_period_start, current_period_end, next_billing_date, created_at,
         updated_at, activated_at, suspended_at, canceled_at, cancel_reason, may_be_held_beside_others)
    select id, user_id, plan, billing_cycle, billing_key, customer_key, $4, amount, status, customer_email,
           customer_name, anchor_on, period_no, current_period_start, current_period_end, next_billing_date, created_at,
           $4, created_at, suspended_at, canceled_at, cancel_reason,
           coalesce((select may_be_held_beside_others from plans where code = plan), false)
      from given
    on conflict (id) do nothing
    returning id, status, period_no, current_period_end, next_billing_date, amount
), remembered as (
    insert into imported_subscriptions
        (subscription_id, source, source_id, source_next_billing_date, charged_elsewhere_until, imported_at)
    select id, $2, source_id, source_next_billing_date, charged_elsewhere_until, $4
      from given join brought using (id)
), told as (
    insert into subscription_events (subscription_id, at, actor, what, why, before, after)
    select id, $4, $3, 'subscription.imported', given.why, '{}',
           jsonb_build_object('status', brought.status, 'periodNo', brought.period_no,
                              'currentPeriodEnd', brought.current_period_end,
                              'nextBillingDate', brought.next_billing_date, 'amount', brought.amount)
      from given join brought using (id)
)
select count(*) as "brought!" from brought
