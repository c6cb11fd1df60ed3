-- One subscription, its row held until the transaction ends.
select id, user_id, plan, billing_cycle, billing_key, customer_key, card_number, card_registered_at, amount, status,
       customer_email, customer_name, anchor_on, terms_since_period, terms_since_month, period_no, current_period_start,
       current_period_end, next_billing_date, charging_paused_at, repair_until, created_at, activated_at, suspended_at,
       canceled_at, cancel_reason, ended_at
  from subscriptions
 where id = $1
   for update
