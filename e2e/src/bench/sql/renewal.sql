-- The statements of one renewal with its e-mail, as the worker sends them. CLAIM_CHARGE and CLAIM_EMAIL are the queue's claim.
with claimed as (CLAIM_CHARGE)
select id as job, token, args->>'invoiceId' as invoice, args->>'subscriptionId' as subscription,
       gen_random_uuid() as payment, gen_random_uuid() as email, clock_timestamp()::text as at from claimed \gset
begin;
select lock_charge_facts(:subscription, :invoice);
insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, idempotency_key, amount,
                      status, created_at, sent_at, first_sent_at)
values (:payment::uuid, :subscription::uuid, :subscription::uuid, :invoice::uuid, 'renewal', 1,
        'AUTO_' || replace(:subscription::text, '-', '') || '_1', gen_random_uuid(), 9900, 'pending',
        :at::timestamptz, :at::timestamptz, :at::timestamptz);
commit;
begin;
select lock_charge_facts(:subscription, :invoice);
with payment as (
    update payments set status = 'completed', payment_key = :payment::text, paid_at = :at::timestamptz,
           payment_method = 'card', receipt_url = 'https://example.com', settled_at = :at::timestamptz
     where id = :payment::uuid and status in ('pending', 'unknown') returning id
), invoice as (
    update invoices set status = 'paid', paid_at = :at::timestamptz, closed_at = :at::timestamptz
     where id = :invoice::uuid and status <> 'paid' returning id
), renewed as (
    update subscriptions set status = 'active', period_no = 1, current_period_start = current_period_end,
           current_period_end = current_period_end + 30, next_billing_date = next_billing_date + interval '30 days',
           suspended_at = null, updated_at = :at::timestamptz
     where id = :subscription::uuid and status <> 'canceled' and period_no < 1
    returning id
)
select (select count(*) from payment), (select count(*) from invoice), (select count(*) from renewed);
insert into subscription_events (subscription_id, at, actor, what, why, before, after)
    select id, :at::timestamptz, 'worker', 'subscription.renewed', 'the period is paid', '{}',
           jsonb_build_object('status', status, 'periodNo', period_no, 'currentPeriodEnd', current_period_end,
                              'nextBillingDate', next_billing_date, 'amount', amount) from subscriptions where id = :subscription::uuid;
insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text, message_id,
                    created_at)
values (:email::uuid, 'payment_succeeded', :email::text, :subscription::uuid, :subscription::uuid, 'user@example.com',
        'subject', repeat('html ', 500), repeat('text ', 150), :email::text || '@example.com', :at::timestamptz);
insert into jobs (kind, args, about, subject, run_at, due_at, priority, max_attempts, created_at)
values ('send-email', jsonb_build_object('emailId', :email::text, 'subscriptionId', :subscription::text), :email::uuid,
        jsonb_build_object('email', :email::text), :at::timestamptz, :at::timestamptz - interval '1 hour', 100, 25,
        :at::timestamptz);
update jobs set state = 'done', note = 'paid', finished_at = :at::timestamptz, lease_token = null, lease_until = null
 where id = :job::bigint and lease_token = :token::uuid;
commit;
with claimed as (CLAIM_EMAIL) select id as job, token, args->>'emailId' as email from claimed \gset
select id, kind, to_address, subject, body_html, body_text from emails where id = :email::uuid and status = 'queued';
begin;
update emails set status = 'sent', settled_at = now() where id = :email::uuid and status = 'queued';
update jobs set state = 'done', note = 'sent', finished_at = now(), lease_token = null, lease_until = null
 where id = :job::bigint and lease_token = :token::uuid;
commit;
