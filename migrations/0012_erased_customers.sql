-- Customers who are erased: what is personal goes, the money stays. And events of subscriptions that were ended at once.

alter table users add column erased_at timestamptz;
comment on column users.erased_at is 'When what was personal was last erased here. A customer who comes back is known by what they say then.';

-- The one exception to the diary being append-only: the words of a customer who was erased, which become '(erased)'.
create function refuse_rewriting_diary() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.why = '(erased)' and old.actor like 'customer:%'
        and to_jsonb(new) - 'why' = to_jsonb(old) - 'why'
        and exists (select from subscriptions join users on users.id = subscriptions.user_id
                     where subscriptions.id = old.subscription_id and users.erased_at is not null) then
        return new;
    end if;
    raise exception 'subscription_events is append-only'
        using errcode = 'check_violation', constraint = 'subscription_events_append_only';
end $$;
drop trigger subscription_events_append_only on subscription_events;
create trigger subscription_events_append_only before update or delete on subscription_events
    for each row execute function refuse_rewriting_diary();

-- As before, and an end at once is an end of access.
create or replace function event_subscription(of_id uuid) returns jsonb language sql stable as $$
    select jsonb_build_object(
        'id', 'sub_' || replace(id::text, '-', ''),
        'userId', user_id,
        'plan', plan,
        'billingCycle', billing_cycle,
        'amount', amount,
        'status', status,
        'currentPeriodStart', current_period_start,
        'currentPeriodEnd', current_period_end,
        'nextBillingDate', case when status in ('incomplete', 'active', 'past_due')
            then (next_billing_date at time zone 'Asia/Seoul')::date end,
        'accessUntil', case when status <> 'canceled' then null
            when ended_at is not null then (ended_at at time zone 'Asia/Seoul')::date
            when activated_at is not null and suspended_at is null then current_period_end
            else (canceled_at at time zone 'Asia/Seoul')::date end,
        'hasPaymentMethod', billing_key is not null)
    from subscriptions where id = of_id
$$;

create or replace function write_subscription_event() returns trigger language plpgsql as $$
declare
    -- Back from a cancel, a suspension or a failed charge: resumed, and previousStatus says from what.
    kind text := case when new.status = 'active' and old.status = 'incomplete' then 'activated'
                      when new.status = 'active' then 'resumed' else new.status end;
    nth bigint;
begin
    -- One that was canceled already and is ended now loses its access earlier: it is told as canceled once more.
    if old.status <> new.status or (old.ended_at is null and new.ended_at > new.canceled_at) then
        kind := 'subscription.' || kind;
        select count(*) + 1 into nth from webhook_events_out where subscription_id = new.id and type = kind;
        perform write_event(kind, kind || ':' || new.id || ':' || nth, new.id, new.updated_at,
                            jsonb_build_object('previousStatus', old.status));
        if new.status = 'suspended' then
            perform write_payment_method_event(new.id, 'suspended', nth::text, new.updated_at);
        elsif new.status in ('active', 'past_due')
            and exists (select from subscriptions where id = new.id and billing_key is null) then
            perform write_payment_method_event(new.id, 'no_card', new.status || ':' || nth, new.updated_at);
        end if;
    end if;
    if old.card_suspect_since is null and new.card_suspect_since is not null then
        perform write_payment_method_event(new.id, 'card_in_doubt', event_instant(new.card_suspect_since), new.updated_at);
    end if;
    return null;
end $$;

drop trigger subscriptions_write_event on subscriptions;
create constraint trigger subscriptions_write_event after update on subscriptions deferrable initially deferred
    for each row when (old.status <> new.status
        or (old.card_suspect_since is null and new.card_suspect_since is not null)
        or (old.ended_at is null and new.ended_at > new.canceled_at))
    execute function write_subscription_event();
