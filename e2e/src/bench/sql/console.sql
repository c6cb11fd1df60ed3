-- Fills the tables that the console reads. $1: payments, ten of each subscription. Ids begin with their time, as the product's do.
create function pg_temp.id_at(at timestamptz, kind int, n bigint) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '7' || lpad(to_hex(kind), 3, '0') || '8'
            || lpad(to_hex(n), 15, '0'))::uuid
$$;
create temporary table made as
select n, now() - interval '300 days' + (n % 1000) * interval '1 minute' as at,
       pg_temp.id_at(now() - interval '300 days' + (n % 1000) * interval '1 minute', 1, n) as id
  from generate_series(1, $1 / 10) n;
create temporary table charges as
select made.n, made.id as subscription_id, p as period_no, made.at + p * interval '30 days' as at, made.n * 10 + p as no
  from made, generate_series(0, 9) p;
insert into users (id, email, name, created_at, updated_at)
select id, 'user' || n || '@example.com', '홍길동' || n, at, at from made;
insert into subscriptions
    (id, user_id, plan, billing_cycle, billing_key, customer_key, card_registered_at, amount, status, customer_email,
     customer_name, anchor_on, period_no, current_period_start, current_period_end, next_billing_date, created_at, updated_at,
     activated_at, suspended_at, canceled_at)
select id, id, 'personal', 'monthly', 'k1:none', id::text, at, 9900, s.status, 'user' || n || '@example.com', '홍길동' || n,
       at::date, 9, (at + interval '270 days')::date, (at + interval '300 days')::date,
       ((at + interval '300 days')::date)::timestamp at time zone 'Asia/Seoul', at, at, at,
       case when s.status = 'suspended' then now() end, case when s.status = 'canceled' then now() end
  from made, lateral (select case when n % 50 = 1 then 'canceled' when n % 100 = 2 then 'suspended'
                                  when n % 100 = 3 then 'past_due' else 'active' end as status) s;
insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, status, paid_at, closed_at,
                      held_since, next_attempt_at, created_at)
select pg_temp.id_at(at, 2, no), subscription_id, period_no, at::date, (at + interval '30 days')::date, at::date, 9900,
       case when no % 40 = 7 then 'open' else 'paid' end, case when no % 40 <> 7 then at end, case when no % 40 <> 7 then at end,
       case when no % 4000 = 7 then now() end, case when no % 40 = 7 and no % 4000 <> 7 then now() + interval '1 day' end, at
  from charges;
insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, payment_key, idempotency_key,
                      amount, status, payment_method, paid_at, sent_at, unknown_since, review_since, decline_kind, toss_code,
                      toss_trace_id, created_at, settled_at)
select pg_temp.id_at(at, 3, no), subscription_id, subscription_id, pg_temp.id_at(at, 2, no), 'renewal', 1, 'ORDER_' || no,
       case when s.status = 'completed' then 'pay_' || no end, gen_random_uuid(), 9900, s.status, 'card',
       case when s.status = 'completed' then at end, at, case when s.status = 'unknown' then now() - interval '1 hour' end,
       case when s.status = 'unknown' and no % 8000 = 7 then now() end, case when s.status = 'failed' then 'soft' end,
       case when s.status = 'failed' then (array['REJECT_CARD_PAYMENT', 'INVALID_STOPPED_CARD', 'FDS_ERROR'])[1 + no % 3] end,
       'trace-' || no, at,
       case s.status when 'completed' then at when 'failed' then now() - (no % 20160) * interval '1 minute' end
  from charges, lateral (select case when no % 4000 = 7 then 'unknown' when no % 40 = 7 then 'failed' else 'completed' end
                                as status) s;
insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, status, toss_code, created_at,
                     settled_at)
select pg_temp.id_at(at, 4, no), pg_temp.id_at(at, 3, no), 1000, '고객 요청', 'operator:kim@example.com', 'once:' || no,
       gen_random_uuid(), case when no % 5000 = 1 then 'failed' else 'completed' end,
       case when no % 5000 = 1 then 'NOT_CANCELABLE_PAYMENT' end, at, now() - (no % 10080) * interval '1 minute'
  from charges where no % 50 = 1;
insert into card_registrations (id, subscription_id, user_id, auth_key_hash, customer_key, idempotency_key, status, card_number,
                                toss_code, created_at, settled_at)
select pg_temp.id_at(at, 5, n), id, id, convert_to(n::text, 'UTF8'), id::text, gen_random_uuid(),
       case when n % 200 = 1 then 'refused' else 'applied' end, '43001234****0001',
       case when n % 200 = 1 then 'INVALID_CARD_EXPIRATION' end, at, now() - (n % 10080) * interval '1 minute'
  from made;
insert into jobs (kind, args, subject, state, run_at, due_at, max_attempts, created_at, started_at, finished_at, last_error,
                  root_id)
select case when no % 3 = 0 then 'send-email' else 'charge-subscription' end, '{}',
       jsonb_build_object('subscription', subscription_ref(subscription_id)),
       case when no % 50 = 1 then 'failed' else 'done' end, at, at, 25, at, at,
       case when no % 50 = 1 then now() - (no % 20160) * interval '1 minute' else at end,
       case when no % 50 = 1 then 'Toss could not be asked: connection ' || no || ' was reset' end, null
  from charges where no % 20 <> 0;
insert into jobs (kind, args, subject, state, run_at, due_at, max_attempts, created_at)
select 'charge-subscription', '{}', jsonb_build_object('subscription', subscription_ref(subscription_id)),
       case when no % 2000 = 0 then 'parked' else 'available' end, now() + interval '1 day', now() + interval '1 day', 25, at
  from charges where no % 20 = 0;
insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text, message_id, status,
                    last_error, created_at, settled_at)
select pg_temp.id_at(at, 6, no), 'payment_receipt', 'receipt:' || no, subscription_id, subscription_id,
       'user' || n || '@example.com', '결제가 완료되었습니다', '<p>결제</p>', '결제', 'm' || no || '@example.com',
       case when no % 500 = 5 then 'failed' else 'sent' end, case when no % 500 = 5 then '550 no such user ' || no end, at, at
  from charges where no % 5 = 0;
insert into webhook_events_in (id, transmission_id, received_at, headers, body, event_type, state, note, handled_at,
                               subscription_id)
select pg_temp.id_at(at, 7, no), 'transmission-' || no, at, '{}', convert_to('{"no":' || no || '}', 'UTF8'),
       'PAYMENT_STATUS_CHANGED', case when no % 1000 = 0 then 'failed' else 'handled' end, 'booked before', at, subscription_id
  from charges where no % 10 = 0;
insert into webhook_events_out (id, type, unique_key, subscription_id, body, created_at)
select pg_temp.id_at(at, 8, no), 'payment.completed', 'completed:' || no, subscription_id, '{"no":' || no || '}', at
  from charges where no % 5 = 0;
insert into webhook_deliveries (event_id, state, tries, first_tried_at, last_tried_at, last_error, settled_at)
select pg_temp.id_at(at, 8, no), case when no % 500 = 0 then 'failed' else 'delivered' end, 1, at,
       case when no % 500 = 0 then now() - (no % 10080) * interval '1 minute' else at end,
       case when no % 500 = 0 then '503 of receiver ' || no end, at
  from charges where no % 5 = 0;
insert into subscription_events (subscription_id, at, actor, what, why, before, after)
select subscription_id, at, 'worker', 'payment.completed', 'the gateway captured it', '{"status":"active"}', '{"status":"active"}'
  from charges where no % 3 = 0;
insert into operator_actions (at, actor, operator_id, channel, address, action, target_kind, target_id, subscription_id, reason,
                              before, after)
select at, 'operator:kim@example.com', gen_random_uuid(), 'console', '127.0.0.1', 'payment.look_up', 'payment',
       pg_temp.id_at(at, 3, no)::text, subscription_id, '고객 문의', '{"status":"unknown"}', '{"status":"unknown"}'
  from charges where no % 10 = 0;
insert into discrepancies (id, date, kind, reference, order_id, our_amount, their_amount, first_seen_at, last_seen_at)
select pg_temp.id_at(at, 9, no), at::date, 'unknown_capture', 'pay_x' || no, 'ORDER_' || no, null, 9900, at, at
  from charges where no % 5000 = 0;
