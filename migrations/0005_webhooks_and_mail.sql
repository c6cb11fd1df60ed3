-- E-mails, and webhooks in and out.

create table emails (
    id              uuid        primary key,
    kind            varchar(40) not null,
    -- kind, subscription, period, attempt: the same fact never writes two e-mails.
    unique_key      text        not null,
    user_id         uuid        not null references users (id),
    subscription_id uuid        not null references subscriptions (id),
    to_address      text        not null,
    subject         text        not null,
    body_html       text        not null,
    body_text       text        not null,
    message_id      text        not null,
    send_before     timestamptz,
    status          varchar(20) not null default 'queued',
    -- Tries that did not end it, why the last one did not, and when the next one is due.
    attempts        integer     not null default 0,
    last_error      text,
    next_try_at     timestamptz,
    -- The e-mail that an operator had sent again as this one.
    resend_of       uuid        references emails (id),
    created_at      timestamptz not null,
    settled_at      timestamptz,
    constraint emails_attempts_not_negative check (attempts >= 0),
    constraint emails_unique_key_key unique (unique_key),
    constraint emails_message_id_key unique (message_id),
    constraint emails_status_known check (status in ('queued', 'sent', 'dropped', 'failed')),
    constraint emails_settled_has_time check ((status = 'queued') = (settled_at is null))
);
create index idx_emails_queued on emails (created_at) where status = 'queued';
create index idx_emails_failed on emails (created_at, id) where status = 'failed';
-- An erasure reads all e-mails of a customer.
create index idx_emails_user_id on emails (user_id);
create index idx_emails_subscription_id on emails (subscription_id, created_at);

-- Webhooks from the gateway: kept as they came, acted on only after the payment has been read back.
create table webhook_events_in (
    id              uuid        primary key,
    transmission_id text        not null,
    received_at     timestamptz not null,
    headers         jsonb       not null,
    body            bytea       not null,
    event_type      text,
    state           text        not null default 'received',
    note            text,
    handled_at      timestamptz,
    constraint webhook_events_in_transmission_id_key unique (transmission_id),
    constraint webhook_events_in_headers_are_an_object check (jsonb_typeof(headers) = 'object'),
    constraint webhook_events_in_body_is_bounded check (octet_length(body) <= 65536),
    constraint webhook_events_in_state_known check (state in ('received', 'handled', 'ignored', 'failed')),
    constraint webhook_events_in_handled_has_time check ((state = 'received') = (handled_at is null)),
    constraint webhook_events_in_end_says_why check (state = 'received' or note is not null)
);
create index idx_webhook_events_in_received on webhook_events_in (received_at) where state = 'received';
create index idx_webhook_events_in_failed on webhook_events_in (received_at desc) where state = 'failed';
-- Webhooks of no interest are deleted: anybody can send them, and Toss repeats one for less than four days.
create index idx_webhook_events_in_ignored on webhook_events_in (received_at) where state = 'ignored';

comment on table webhook_events_in is 'Webhooks as they arrived. A body is a hint: nothing is booked that the gateway does not say when it is asked.';
comment on column webhook_events_in.transmission_id is 'The gateway''s name for the event, the same at each resend. Without a usable one: hash:<SHA-256 of sending time and body>.';
comment on column webhook_events_in.headers is 'The gateway''s three headers and the content type, as they came, and the sender''s address.';
comment on column webhook_events_in.body is 'As it came, but for billing keys, which are struck out: one that may still charge a card at once, that of a deletion once it is handled.';
comment on column webhook_events_in.event_type is 'What the body says it is; null where it says nothing readable.';
comment on column webhook_events_in.state is 'received: its job is to come. handled: done, see note. ignored: nothing of ours, forged or of no interest. failed: a person has to look.';

-- Events out: what happened to a subscription, told to the merchant's own application by signed webhooks.
--
-- A row is written by the change of state itself, whichever program or hand makes it, so that no fact can forget its
-- event and no event can be without its fact. The triggers run at the end of the transaction: a payload shows everything
-- as it was committed, and events of one subscription are numbered in the order of its facts, because whoever changes a
-- subscription, a payment or a refund holds the subscription's row.

create table webhook_events_out (
    id              uuid        primary key default gen_random_uuid(),
    seq             bigint      not null generated always as identity,
    type            text        not null,
    unique_key      text        not null,
    subscription_id uuid        not null references subscriptions (id),
    body            text        not null,
    state           text        not null,
    tries           integer     not null default 0,
    first_tried_at  timestamptz,
    last_tried_at   timestamptz,
    last_error      text,
    created_at      timestamptz not null,
    settled_at      timestamptz,
    constraint webhook_events_out_seq_key unique (seq),
    constraint webhook_events_out_unique_key_key unique (unique_key),
    constraint webhook_events_out_state_known check (state in ('pending', 'delivered', 'failed', 'unheard')),
    constraint webhook_events_out_settled_has_time check ((state = 'pending') = (settled_at is null)),
    constraint webhook_events_out_tries_counted check (tries >= 0 and (tries = 0) = (first_tried_at is null)),
    constraint webhook_events_out_failed_says_why check (state <> 'failed' or last_error is not null)
);
create index idx_webhook_events_out_subscription on webhook_events_out (subscription_id, seq);
create index idx_webhook_events_out_pending on webhook_events_out (subscription_id, seq) where state = 'pending';
create index idx_webhook_events_out_failed on webhook_events_out (seq) where state = 'failed';
create index idx_webhook_events_out_created_at on webhook_events_out (created_at);

comment on table webhook_events_out is 'The outbox of webhooks to the merchant''s application. Holds no name, no address, no card.';
comment on column webhook_events_out.seq is 'The order in which events of one subscription are delivered.';
comment on column webhook_events_out.unique_key is 'The fact: it never writes two events.';
comment on column webhook_events_out.body is 'The bytes that are sent, the same at each try; what is signed is the id, the moment of the try and this.';
comment on column webhook_events_out.state is 'pending: to be delivered, after earlier ones of its subscription. delivered: answered 2xx. failed: given up after three days, or refused for good. unheard: written or met while nobody listened.';
comment on column webhook_events_out.tries is 'Since it was written or replayed.';

create function event_instant(at timestamptz) returns text language sql stable as $$
    select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;

-- As the API shows it, but for what is personal.
create function event_subscription(of_id uuid) returns jsonb language sql stable as $$
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

create function event_payment(of_id uuid) returns jsonb language sql stable as $$
    select jsonb_build_object(
        'id', payment.id,
        'orderId', payment.order_id,
        'amount', payment.amount,
        'status', payment.status,
        'periodNo', invoice.period_no,
        'paymentMethod', payment.payment_method,
        'paidAt', event_instant(payment.paid_at),
        'receiptUrl', payment.receipt_url,
        'failure', case when payment.status = 'failed' then jsonb_build_object(
            'code', payment.toss_code,
            'message', payment.toss_message,
            'isFinalForCard', payment.decline_kind = 'hard') end,
        'createdAt', event_instant(payment.created_at))
    from payments payment join invoices invoice on invoice.id = payment.invoice_id
    where payment.id = of_id
$$;

-- Writes the event of a fact, and the job that delivers it unless an earlier event of the subscription goes first: its end
-- makes the next one's job.
create function write_event(kind text, fact text, of_id uuid, at timestamptz, more jsonb) returns void
language plpgsql as $$
declare
    listening boolean := coalesce((select (value->>'listening')::boolean from settings where name = 'events'), false);
    written webhook_events_out;
begin
    insert into webhook_events_out (type, unique_key, subscription_id, body, state, last_error, created_at, settled_at)
    values (kind, fact, of_id,
            format('{"type":%s,"timestamp":%s,"data":%s}', to_json(kind), to_json(event_instant(at)),
                   jsonb_build_object('subscription', event_subscription(of_id)) || more),
            case when listening then 'pending' else 'unheard' end,
            case when listening then null else 'nobody listened' end,
            at, case when listening then null else at end)
    on conflict on constraint webhook_events_out_unique_key_key do nothing
    returning * into written;
    if written.state = 'pending' and not exists (
        select from webhook_events_out earlier
         where earlier.subscription_id = of_id and earlier.state = 'pending' and earlier.seq < written.seq) then
        insert into jobs (kind, args, about, subject, run_at, due_at, max_attempts, created_at)
        values ('deliver-event',
                jsonb_build_object('eventId', written.id, 'subscriptionId', of_id), written.id,
                jsonb_build_object('subscription', 'sub_' || replace(of_id::text, '-', ''),
                                   'event', 'evt_' || replace(written.id::text, '-', '')),
                at, due_at(at, at), 25, at);
        perform announce('jobs', 'deliver-event');
    end if;
end $$;

create function write_payment_method_event(of_id uuid, reason text, since text, at timestamptz) returns void
language sql as $$
    select write_event('payment_method.required', 'payment_method.required:' || of_id || ':' || reason || ':' || since,
                       of_id, at, jsonb_build_object('reason', reason))
$$;

-- Only an update: a subscription that is brought in as it is has had its events elsewhere.
create function write_subscription_event() returns trigger language plpgsql as $$
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
    return null;
end $$;

create constraint trigger subscriptions_write_event after update on subscriptions deferrable initially deferred
    for each row when (old.status <> new.status
        or (old.ended_at is null and new.ended_at > new.canceled_at))
    execute function write_subscription_event();

-- An attempt that was withdrawn before the bank was asked is no failure, and tells nobody.
create function write_payment_event() returns trigger language plpgsql as $$
declare kind text := case new.status when 'completed' then 'payment.succeeded' else 'payment.failed' end;
declare stands text;
begin
    perform write_event(kind, kind || ':' || new.id, new.subscription_id, new.settled_at,
                        jsonb_build_object('payment', event_payment(new.id)));
    if new.status = 'failed' then
        select status into stands from subscriptions where id = new.subscription_id;
        if stands = 'incomplete' then
            perform write_payment_method_event(new.subscription_id, 'first_payment_failed', new.id::text, new.settled_at);
        elsif stands in ('active', 'past_due') and new.decline_kind = 'hard' then
            perform write_payment_method_event(new.subscription_id, 'card_refused', new.id::text, new.settled_at);
        end if;
    end if;
    return null;
end $$;

create constraint trigger payments_write_event after update on payments deferrable initially deferred
    for each row when (old.status <> new.status
        and (new.status = 'completed' or (new.status = 'failed' and new.decline_kind is not null)))
    execute function write_payment_event();

create function write_refund_event() returns trigger language plpgsql as $$
declare of_id uuid := (select subscription_id from payments where id = new.payment_id);
begin
    perform write_event('payment.refunded', 'payment.refunded:' || new.id, of_id, new.settled_at,
        jsonb_build_object('payment', event_payment(new.payment_id), 'refund', jsonb_build_object(
            'id', new.id, 'amount', new.amount, 'status', new.status,
            'refundedAt', event_instant(coalesce(new.refunded_at, new.settled_at)))));
    return null;
end $$;

create constraint trigger refunds_write_event after update on refunds deferrable initially deferred
    for each row when (old.status <> new.status and new.status = 'completed')
    execute function write_refund_event();
-- One that was made in the gateway's dashboard is booked as completed from the start.
create constraint trigger refunds_write_event_of_found after insert on refunds deferrable initially deferred
    for each row when (new.status = 'completed')
    execute function write_refund_event();

-- What an event says, and when, never changes afterwards: a receiver may have it already.
create function refuse_changed_event() returns trigger language plpgsql as $$
begin
    raise exception 'event % is fixed: its id, place, type and body do not change', old.id
        using errcode = 'check_violation', constraint = 'webhook_events_out_fixed';
end $$;

create trigger webhook_events_out_fixed before update on webhook_events_out for each row
    when ((old.id, old.seq, old.type, old.unique_key, old.subscription_id, old.body, old.created_at)
        is distinct from (new.id, new.seq, new.type, new.unique_key, new.subscription_id, new.body, new.created_at))
    execute function refuse_changed_event();
