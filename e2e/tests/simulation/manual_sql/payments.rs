//! Forbidden payments, captures and refunds.

use super::ForbiddenWrite;

pub(super) const WRITES: [ForbiddenWrite; 11] = [
    ForbiddenWrite {
        description: "a second unfinished payment of an invoice",
        targets: "select id, subscription_id, attempt_no from payments where status in ('pending', 'unknown')",
        statement: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, invoice_id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), gen_random_uuid(), amount, now
                  from payments join given on target = id",
    },
    ForbiddenWrite {
        description: "a payment above its invoice",
        targets: "select id, subscription_id, period_no from invoices invoice
                   where status = 'open' and not exists (
                        select from payments where invoice_id = invoice.id and status in ('pending', 'unknown'))",
        statement: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, invoice.id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), gen_random_uuid(),
                       invoice.amount + 1000, now
                  from invoices invoice join given on target = invoice.id
                  join subscriptions subscription on subscription.id = subscription_id",
    },
    ForbiddenWrite {
        description: "a payment with a used order id",
        targets: "select id, subscription_id, period_no from invoices invoice
                   where status = 'open' and not exists (
                        select from payments where invoice_id = invoice.id and status in ('pending', 'unknown'))",
        statement: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, target, 'renewal', number, order_id,
                       gen_random_uuid(), invoice.amount, now
                  from invoices invoice join given on target = invoice.id join payments used using (subscription_id)
                 order by used.created_at desc limit 1",
    },
    ForbiddenWrite {
        description: "a payment with a used idempotency key",
        targets: "select id, subscription_id, attempt_no from payments where status = 'failed'",
        statement: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, invoice_id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), idempotency_key, amount, now
                  from payments join given on target = id",
    },
    ForbiddenWrite {
        description: "a second capture of a paid period",
        targets: "select id, subscription_id, attempt_no from payments where status = 'completed'",
        statement: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, payment_key,
                                      idempotency_key, amount, status, paid_at, created_at, settled_at)
                select gen_random_uuid(), user_id, subscription_id, invoice_id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), 'forged_' || number,
                       gen_random_uuid(), amount, 'completed', now, now, now
                  from payments join given on target = id",
    },
    ForbiddenWrite {
        description: "a completed payment turned into a failed one",
        targets: "select id, subscription_id, attempt_no from payments where status = 'completed'",
        statement: "update payments set status = 'failed' from given where id = target",
    },
    ForbiddenWrite {
        description: "another order id for a sent payment",
        targets: "select id, subscription_id, attempt_no from payments
                   where status in ('pending', 'unknown') and sent_at is not null and kind = 'renewal'",
        statement: "update payments set order_id = format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number)
                  from given where id = target",
    },
    ForbiddenWrite {
        description: "a refund above the captured amount",
        targets: "select id, subscription_id, attempt_no from payments where status = 'completed'",
        statement: "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, status,
                                     created_at, settled_at)
                select gen_random_uuid(), id, amount + 1, 'forged', 'nobody', 'forged_' || number, gen_random_uuid(),
                       'completed', now, now
                  from payments join given on target = id",
    },
    ForbiddenWrite {
        description: "a refund of a failed payment",
        targets: "select id, subscription_id, attempt_no from payments where status = 'failed'",
        statement: "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
                select gen_random_uuid(), id, amount, 'forged', 'nobody', 'forged_' || number, gen_random_uuid(), now
                  from payments join given on target = id",
    },
    ForbiddenWrite {
        description: "a second unfinished refund of a payment",
        targets: "select payment_id, subscription_id, attempt_no
                    from refunds refund join payments payment on payment.id = payment_id
                   where refund.status in ('pending', 'unknown')",
        statement: "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
                select gen_random_uuid(), id, 1, 'forged', 'nobody', 'forged_' || number, gen_random_uuid(), now
                  from payments join given on target = id",
    },
    ForbiddenWrite {
        description: "a completed refund turned into a failed one",
        targets: "select refund.id, subscription_id, extract(epoch from refund.created_at)::integer
                    from refunds refund join payments payment on payment.id = payment_id
                   where refund.status = 'completed'",
        statement: "update refunds set status = 'failed' from given where id = target",
    },
];
