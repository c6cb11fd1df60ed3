-- Several subscriptions, with their customers' newest addresses and names.
select subscription.id, subscription.user_id, plan, billing_cycle as "cycle: _", billing_key as sealed_billing_key,
       customer_key, card_number, card_registered_at, amount as "amount: _", status as "status: _",
       coalesce(users.email, customer_email) as "customer_email!", coalesce(users.name, customer_name) as "customer_name!",
       anchor_on, terms_since_period as "terms_since_period: Count", terms_since_month as "terms_since_month: Count",
       period_no as "period_no: Count", current_period_start, current_period_end, next_billing_date, charging_paused_at,
       repair_until, subscription.created_at, activated_at, suspended_at, canceled_at, cancel_reason, ended_at
  from subscriptions subscription join users on users.id = subscription.user_id
 where subscription.id = any ($1)
 order by subscription.id
