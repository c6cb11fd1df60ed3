//! Wrong attempts, captures and refunds.

use super::Deed;

pub(super) const DEEDS: [Deed; 11] = [
    Deed {
        what: "another attempt beside an unfinished one",
        victims: "select id, subscription_id, attempt_no from payments where status in ('pending', 'unknown')",
        wrong: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, invoice_id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), gen_random_uuid(), amount, now
                  from payments join given on victim = id",
    },
    Deed {
        what: "an attempt for more than its invoice",
        victims: "select id, subscription_id, period_no from invoices one
                   where status = 'open' and not exists (
                        select from payments where invoice_id = one.id and status in ('pending', 'unknown'))",
        wrong: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, invoice.id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), gen_random_uuid(),
                       invoice.amount + 1000, now
                  from invoices invoice join given on victim = invoice.id
                  join subscriptions subscription on subscription.id = subscription_id",
    },
    Deed {
        what: "an attempt under an order id that was used",
        victims: "select id, subscription_id, period_no from invoices one
                   where status = 'open' and not exists (
                        select from payments where invoice_id = one.id and status in ('pending', 'unknown'))",
        wrong: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, victim, 'renewal', number, order_id,
                       gen_random_uuid(), invoice.amount, now
                  from invoices invoice join given on victim = invoice.id join payments used using (subscription_id)
                 order by used.created_at desc limit 1",
    },
    Deed {
        what: "an attempt under a key that was used",
        victims: "select id, subscription_id, attempt_no from payments where status = 'failed'",
        wrong: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id,
                                      idempotency_key, amount, created_at)
                select gen_random_uuid(), user_id, subscription_id, invoice_id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), idempotency_key, amount, now
                  from payments join given on victim = id",
    },
    Deed {
        what: "a second capture of a period that is paid",
        victims: "select id, subscription_id, attempt_no from payments where status = 'completed'",
        wrong: "insert into payments (id, user_id, subscription_id, invoice_id, kind, attempt_no, order_id, payment_key,
                                      idempotency_key, amount, status, paid_at, created_at, settled_at)
                select gen_random_uuid(), user_id, subscription_id, invoice_id, 'renewal', number,
                       format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number), 'forged_' || number,
                       gen_random_uuid(), amount, 'completed', now, now, now
                  from payments join given on victim = id",
    },
    Deed {
        what: "a capture that is a failure afterwards",
        victims: "select id, subscription_id, attempt_no from payments where status = 'completed'",
        wrong: "update payments set status = 'failed' from given where id = victim",
    },
    Deed {
        what: "another order id for an attempt that is out",
        victims: "select id, subscription_id, attempt_no from payments
                   where status in ('pending', 'unknown') and sent_at is not null and kind = 'renewal'",
        wrong: "update payments set order_id = format('AUTO_%s_0_%s', replace(subscription_id::text, '-', ''), number)
                  from given where id = victim",
    },
    Deed {
        what: "a refund of more than there is",
        victims: "select id, subscription_id, attempt_no from payments where status = 'completed'",
        wrong: "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, status,
                                     created_at, settled_at)
                select gen_random_uuid(), id, amount + 1, 'forged', 'nobody', 'forged_' || number, gen_random_uuid(),
                       'completed', now, now
                  from payments join given on victim = id",
    },
    Deed {
        what: "a refund of what was never captured",
        victims: "select id, subscription_id, attempt_no from payments where status = 'failed'",
        wrong: "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
                select gen_random_uuid(), id, amount, 'forged', 'nobody', 'forged_' || number, gen_random_uuid(), now
                  from payments join given on victim = id",
    },
    Deed {
        what: "a refund beside an unfinished one",
        victims: "select payment_id, subscription_id, attempt_no
                    from refunds refund join payments payment on payment.id = payment_id
                   where refund.status in ('pending', 'unknown')",
        wrong: "insert into refunds (id, payment_id, amount, reason, requested_by, request_key, idempotency_key, created_at)
                select gen_random_uuid(), id, 1, 'forged', 'nobody', 'forged_' || number, gen_random_uuid(), now
                  from payments join given on victim = id",
    },
    Deed {
        what: "a refund that is a failure afterwards",
        victims: "select refund.id, subscription_id, extract(epoch from refund.created_at)::integer
                    from refunds refund join payments payment on payment.id = payment_id
                   where refund.status = 'completed'",
        wrong: "update refunds set status = 'failed' from given where id = victim",
    },
];
