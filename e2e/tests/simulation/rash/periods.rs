//! Wrong periods, amounts, consents and states.

use super::Deed;

pub(super) const DEEDS: [Deed; 9] = [
    Deed {
        what: "a second invoice for a period",
        victims: "select id, subscription_id, period_no from invoices where status = 'paid' and period_no > 0",
        wrong: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), subscription_id, period_no, period_start + 1, period_end, due_on, amount, now
                  from invoices join given on victim = id",
    },
    Deed {
        what: "a second invoice from one day on",
        victims: "select id, subscription_id, period_no from invoices one
                   where status = 'paid' and not exists (
                        select from invoices where subscription_id = one.subscription_id and period_no > one.period_no)",
        wrong: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), subscription_id, period_no + 1, period_start, period_end, due_on, amount, now
                  from invoices join given on victim = id",
    },
    Deed {
        what: "a dearer invoice for the next period",
        victims: "select id, id, 0 from subscriptions where status = 'active'",
        wrong: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), id, period_no + 1, current_period_end, current_period_end + 30,
                       current_period_end, amount + 1000, now
                  from subscriptions join given on victim = id",
    },
    Deed {
        what: "an invoice before its terms are decided",
        victims: "select one.id, one.id, 0
                    from subscriptions one join plan_changes change on subscription_id = one.id
                   where one.status = 'active' and change.status = 'pending' and effective_on = current_period_end",
        wrong: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), id, period_no + 1, current_period_end, current_period_end + 30,
                       current_period_end, amount, now
                  from subscriptions join given on victim = id",
    },
    Deed {
        what: "an invoice for a day that was charged elsewhere",
        victims: "select subscription_id, subscription_id, 0 from imported_subscriptions",
        wrong: "insert into invoices (id, subscription_id, period_no, period_start, period_end, due_on, amount, created_at)
                select gen_random_uuid(), subscription_id, number, charged_elsewhere_until - 1, charged_elsewhere_until, charged_elsewhere_until - 1,
                       100, now
                  from imported_subscriptions join given on victim = subscription_id",
    },
    Deed {
        what: "a paid invoice that is open again",
        victims: "select id, subscription_id, period_no from invoices where status = 'paid' and period_no > 0",
        wrong: "update invoices set status = 'open', paid_at = null, closed_at = null, next_attempt_at = now
                  from given where id = victim",
    },
    Deed {
        what: "a higher amount that nobody agreed to",
        victims: "select id, id, 0 from subscriptions where status = 'active'",
        wrong: "update subscriptions set amount = amount + 1000, updated_at = now from given where id = victim",
    },
    Deed {
        what: "a consent from long before",
        victims: "select id, subscription_id, effective_no from plan_changes change
                   where status = 'pending' and to_amount > from_amount
                     and not exists (select from consents where plan_change_id = change.id)",
        wrong: "insert into consents (id, plan_change_id, subscription_id, plan, billing_cycle, old_amount, new_amount,
                                      effective_on, shown_text, given_by, given_at)
                select gen_random_uuid(), id, subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on,
                       'forged', 'nobody', (effective_on - 45)::timestamp at time zone 'Asia/Seoul'
                  from plan_changes join given on victim = id",
    },
    Deed {
        what: "a suspension of who is not even late",
        victims: "select id, id, 0 from subscriptions where status = 'active'",
        wrong: "update subscriptions set status = 'suspended', suspended_at = now, updated_at = now
                  from given where id = victim",
    },
];
