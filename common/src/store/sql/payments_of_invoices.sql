-- The attempts of several invoices, those of each in order.
select id, user_id, subscription_id, invoice_id, kind as "kind: _", attempt_no, order_id, payment_key, idempotency_key,
       amount as "amount: _", status as "status: _", decline_kind as "decline_kind: _", toss_code, toss_message, receipt_url,
       paid_at, created_at, settled_at, sent_at, first_sent_at, unknown_since, review_since, not_found_count, gateway_status,
       deposit_due_at, server_errors, is_plain
  from payments
 where invoice_id = any ($1)
 order by invoice_id, attempt_no
