-- Subscriptions that begin with a registered card: incomplete until the first charge, repaired with another card, or ended.

alter table subscriptions add column repair_until timestamptz;
comment on column subscriptions.repair_until is 'Until then a card may pay the first period; then the subscription ends without having begun. Null: it began with a confirmed payment.';

create index idx_subscriptions_incomplete on subscriptions (repair_until)
    where status = 'incomplete' and repair_until is not null;
create index idx_jobs_live_incomplete on jobs ((subject->>'incomplete')) where state in ('available', 'running', 'parked');

-- The first period is counted from the day of its capture, so it may move until it is paid for; no later one ever does.
create function refuse_moved_period() returns trigger language plpgsql as $$
begin
    raise exception 'invoice % is for a period that does not move', old.id
        using errcode = 'check_violation', constraint = 'invoices_period_fixed';
end $$;

create trigger invoices_period_fixed before update of period_no, period_start, period_end on invoices for each row
    when ((old.period_no, old.period_start, old.period_end) is distinct from (new.period_no, new.period_start, new.period_end)
        and (old.period_no > 0 or old.status <> 'open'))
    execute function refuse_moved_period();
