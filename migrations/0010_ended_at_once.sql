-- Ended at once by an operator: no access from then on, no way back, and at most one refund of what was not used.

alter table subscriptions
    add column ended_at timestamptz,
    add constraint subscriptions_ended_is_canceled check (ended_at is null or status = 'canceled');
comment on column subscriptions.ended_at is 'When an operator ended it at once, before its paid period was over. Never taken back.';

create function refuse_undone_ending() returns trigger language plpgsql as $$
begin
    raise exception 'subscription % was ended and stays so', old.id
        using errcode = 'check_violation', constraint = 'subscriptions_ended_for_good';
end $$;

create trigger subscriptions_ended_for_good before update of ended_at on subscriptions for each row
    when (old.ended_at is not null and new.ended_at is distinct from old.ended_at)
    execute function refuse_undone_ending();

create table subscription_endings (
    -- A subscription is ended once.
    subscription_id uuid        primary key references subscriptions (id),
    request_key     text,
    refund_policy   varchar(10) not null,
    reason          text        not null,
    requested_by    text        not null,
    unused_days     integer     not null,
    period_days     integer     not null,
    refund_id       uuid        references refunds (id),
    created_at      timestamptz not null,
    constraint subscription_endings_refund_id_key unique (refund_id),
    constraint subscription_endings_policy_known check (refund_policy in ('pro_rata', 'none')),
    constraint subscription_endings_refund_as_wished check (refund_policy = 'pro_rata' or refund_id is null),
    constraint subscription_endings_days_of_the_period check (unused_days >= 0 and unused_days < period_days)
);
comment on table subscription_endings is 'One row per subscription that an operator ended at once: who, why, and how much of the period was not used.';

create trigger subscription_endings_append_only before update or delete on subscription_endings
    for each row execute function refuse_rewriting_history();
