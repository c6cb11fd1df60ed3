insert into users (id, created_at, updated_at)
select ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, now(), now() from generate_series($1, $2) n;
insert into subscriptions
    (id, user_id, plan, billing_cycle, billing_key, customer_key, card_registered_at, amount, status, customer_email,
     customer_name, anchor_on, period_no, current_period_start, current_period_end, next_billing_date, created_at, updated_at,
     activated_at)
select id, id, 'personal', 'monthly', 'k1:none', id::text, now(), 9900, 'active', 'user@example.com', 'name', d.anchor, 0,
       d.anchor, (d.anchor + interval '1 month')::date,
       ((d.anchor + interval '1 month')::date)::timestamp at time zone 'Asia/Seoul', now(), now(), now()
  from (select n, ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid as id from generate_series($1, $2) n) as made
  cross join lateral (select (now() - interval '28 days')::date + (n % 28)::int as anchor) as d;
insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, status, paid_at, closed_at,
                      created_at)
select ('00000000-0000-7000-8001-' || lpad(to_hex(n), 12, '0'))::uuid,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 0,
       (now() - interval '28 days')::date + (n % 28)::int, (now() + interval '2 days')::date + (n % 28)::int, now()::date, 9900,
       'paid', now(), now(), now() - interval '28 days'
  from generate_series($1, $2) n;
insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
select ('00000000-0000-7000-8002-' || lpad(to_hex(n), 12, '0'))::uuid,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 1,
       (now() + interval '2 days')::date + (n % 28)::int, (now() + interval '32 days')::date + (n % 28)::int, now()::date, 9900,
       now() - interval '1 hour'
  from generate_series($1, $2) n where n % 10 = 0;
insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, payment_key, idempotency_key,
                      amount, status, payment_method, paid_at, created_at, settled_at)
select gen_random_uuid(), ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
       ('00000000-0000-7000-8001-' || lpad(to_hex(n), 12, '0'))::uuid, 'renewal', 1, 'ORDER_' || n, 'pay_' || n,
       gen_random_uuid(), 9900, 'completed', 'card', now(), now(), now()
  from generate_series($1, $2) n;
insert into jobs (kind, args, about, subject, run_at, due_at, max_attempts, created_at)
select 'charge-subscription', '{}', ('00000000-0000-7000-8002-' || lpad(to_hex(n), 12, '0'))::uuid, '{}',
       now() + interval '1 day', now() + interval '1 day', 25, now()
  from generate_series($1, $2) n where n % 10 = 0;
insert into jobs (kind, args, subject, run_at, due_at, max_attempts, created_at)
select 'bench', '{}', '{}', now() + interval '1 day', now() + interval '1 day', 25, now() from generate_series($1, $2) n;
insert into jobs (kind, args, subject, state, run_at, due_at, max_attempts, created_at, started_at, finished_at)
select 'bench', '{}', '{}', 'done', now(), now(), 25, now(), now(), now() from generate_series($1, $2) n, generate_series(1, 10);
insert into jobs (kind, args, subject, run_at, due_at, max_attempts, created_at)
select 'bench', '{}', '{}', now(), now() - interval '1 hour', 25, now() from generate_series(1, 200) n where $1 = 1 and $2 > 0;
