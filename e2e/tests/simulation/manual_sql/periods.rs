//! Forbidden invoices, amounts, consents and statuses.

use super::ForbiddenWrite;

pub(super) const WRITES: [ForbiddenWrite; 9] = [
    ForbiddenWrite {
        description: "a second invoice for a period",
        targets: "select id, subscription_id, period_no from invoices where status = 'paid' and period_no > 0",
        statement: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), subscription_id, period_no, period_start + 1, period_end, due_on, amount, now
                  from invoices join given on target = id",
    },
    ForbiddenWrite {
        description: "a second invoice with the same first day",
        targets: "select id, subscription_id, period_no from invoices invoice
                   where status = 'paid' and not exists (
                        select from invoices where subscription_id = invoice.subscription_id and period_no > invoice.period_no)",
        statement: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), subscription_id, period_no + 1, period_start, period_end, due_on, amount, now
                  from invoices join given on target = id",
    },
    ForbiddenWrite {
        description: "an invoice above the agreed amount",
        targets: "select id, id, 0 from subscriptions where status = 'active'",
        statement: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), id, period_no + 1, current_period_end, current_period_end + 30,
                       current_period_end, amount + 1000, now
                  from subscriptions join given on target = id",
    },
    ForbiddenWrite {
        description: "an invoice while a plan change of its period is pending",
        targets: "select subscription.id, subscription.id, 0
                    from subscriptions subscription join plan_changes change on subscription_id = subscription.id
                   where subscription.status = 'active' and change.status = 'pending' and effective_on = current_period_end",
        statement: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), id, period_no + 1, current_period_end, current_period_end + 30,
                       current_period_end, amount, now
                  from subscriptions join given on target = id",
    },
    ForbiddenWrite {
        description: "an invoice for a day that another system charged",
        targets: "select subscription_id, subscription_id, 0 from imported_subscriptions",
        statement: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), subscription_id, number, charged_elsewhere_until - 1, charged_elsewhere_until, charged_elsewhere_until - 1,
                       100, now
                  from imported_subscriptions join given on target = subscription_id",
    },
    ForbiddenWrite {
        description: "a paid invoice opened again",
        targets: "select id, subscription_id, period_no from invoices where status = 'paid' and period_no > 0",
        statement: "update invoices set status = 'open', paid_at = null, closed_at = null, next_attempt_at = now
                  from given where id = target",
    },
    ForbiddenWrite {
        description: "a higher amount without a consent",
        targets: "select id, id, 0 from subscriptions where status = 'active'",
        statement: "update subscriptions set amount = amount + 1000, updated_at = now from given where id = target",
    },
    ForbiddenWrite {
        description: "a consent given more than 30 days before",
        targets: "select id, subscription_id, effective_no from plan_changes change
                   where status = 'pending' and to_amount > from_amount
                     and not exists (select from consents where plan_change_id = change.id)",
        statement: "insert into consents (id, plan_change_id, subscription_id, plan, billing_cycle, old_amount, new_amount,
                                      effective_on, shown_text, given_by, given_at)
                select gen_random_uuid(), id, subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on,
                       'forged', 'nobody', (effective_on - 45)::timestamp at time zone 'Asia/Seoul'
                  from plan_changes join given on target = id",
    },
    ForbiddenWrite {
        description: "a suspension of an active subscription",
        targets: "select id, id, 0 from subscriptions where status = 'active'",
        statement: "update subscriptions set status = 'suspended', suspended_at = now, updated_at = now
                  from given where id = target",
    },
];
