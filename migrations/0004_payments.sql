-- Invoices, payments, refunds, card registrations: the money, with the fences that hold whoever asks.

create table invoices (
    id                uuid        primary key,
    subscription_id   uuid        not null references subscriptions (id),
    period_no         integer     not null,
    period_start      date        not null,
    period_end        date        not null,
    due_on            date        not null,
    amount            integer     not null,
    status            varchar(20) not null default 'open',
    -- The dunning schedule: days from one declined try to the next. Set at the first decline, so that a later change of
    -- DUNNING_RETRY_DAYS does not touch an invoice in dunning.
    retry_days        integer[],
    first_failed_at   timestamptz,
    next_attempt_at   timestamptz,
    -- An older unpaid period after an outage: charged or forgiven by an operator, never by itself.
    held_since        timestamptz,
    -- When an operator let a held invoice be charged although its period is over; it is never held again.
    released_at       timestamptz,
    paid_at           timestamptz,
    closed_at         timestamptz,
    created_at        timestamptz not null,
    constraint invoices_one_per_period unique (subscription_id, period_no),
    constraint invoices_one_per_start unique (subscription_id, period_start),
    -- Lets a payment's foreign key hold it to exactly this amount.
    constraint invoices_id_amount_key unique (id, amount),
    constraint invoices_amount_chargeable check (amount >= 100),
    constraint invoices_status_known check (status in ('open', 'paid', 'void', 'uncollectible')),
    constraint invoices_paid_has_time check ((status = 'paid') = (paid_at is not null)),
    constraint invoices_period_forward check (period_end > period_start),
    constraint invoices_retry_days_positive check (0 < all (retry_days)),
    constraint invoices_held_or_released check (held_since is null or released_at is null)
);
create index idx_invoices_next_attempt on invoices (next_attempt_at, id) where status = 'open';
create index idx_invoices_held on invoices (period_start, id) where status = 'open' and held_since is not null;
-- The sweep reads these in slices, in the order of ids.
create index idx_invoices_unfinished on invoices (id) where status = 'open' and held_since is null;

create trigger invoices_legal_transition before update of status on invoices for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('open', 'paid'), ('open', 'void'), ('open', 'uncollectible'),
        ('uncollectible', 'open'), ('uncollectible', 'paid'), ('uncollectible', 'void'))
        -- A cancel that is taken back brings the held invoices back that it had closed. An operator decides on them.
        and not ((old.status, new.status) = ('void', 'open') and new.held_since is not null))
    execute function refuse_transition();

-- An invoice asks for what was agreed for its own period, or less; and for nothing while a change of that period is undecided.
create function refuse_amount_above_agreement() returns trigger language plpgsql as $$
declare agreed integer;
begin
    select amount into agreed from subscriptions where id = new.subscription_id for share;
    if exists (select from plan_changes
                where subscription_id = new.subscription_id and status = 'pending' and effective_on <= new.period_start) then
        raise exception 'invoice % is for a period whose terms are still undecided', new.id
            using errcode = 'check_violation', constraint = 'invoices_terms_decided';
    end if;
    select from_amount into agreed from plan_changes
     where subscription_id = new.subscription_id and status = 'applied' and effective_on > new.period_start
     order by effective_on, effective_no limit 1;
    if not found then
        select amount into agreed from subscriptions where id = new.subscription_id;
    end if;
    if new.amount > agreed then
        raise exception 'invoice % asks for % won, the customer agreed to %', new.id, new.amount, agreed
            using errcode = 'check_violation', constraint = 'invoices_amount_agreed';
    end if;
    return new;
end $$;

create trigger invoices_amount_agreed before update of amount on invoices
    for each row execute function refuse_amount_above_agreement();

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

-- What the other system may have been paid for is never billed here, whoever asks.
create function refuse_period_charged_elsewhere() returns trigger language plpgsql as $$
declare elsewhere date;
begin
    select charged_elsewhere_until into elsewhere from imported_subscriptions where subscription_id = new.subscription_id;
    if new.period_start <= elsewhere or new.due_on <= elsewhere then
        raise exception 'invoice % is for the period from %, which another system charged up to %',
            new.id, new.period_start, elsewhere
            using errcode = 'check_violation', constraint = 'invoices_not_charged_elsewhere';
    end if;
    return new;
end $$;

create trigger invoices_not_charged_elsewhere before update of period_start, due_on, subscription_id on invoices
    for each row execute function refuse_period_charged_elsewhere();

-- Every subscription that pays an amount which a price change replaces, with the renewal from which it pays the new one: the
-- first on the price's date or later that has neither begun nor been billed, and for a higher price no earlier than
-- first_raise_on, so that there is time to ask.
create function affected_by_price_change(price_id uuid, today date, first_raise_on date)
returns table (subscription_id uuid, status text, from_amount integer, effective_no integer, effective_on date)
language sql stable as $$
    select subscription.id, subscription.status, subscription.amount, renewal.no, renewal.starts_on
      from price_changes price
      join subscriptions subscription
        on subscription.plan = price.plan and subscription.billing_cycle = price.cycle
       and subscription.amount <> price.new_amount
       and subscription.amount in (select earlier.old_amount from price_changes earlier
                                    where earlier.plan = price.plan and earlier.cycle = price.cycle
                                      and earlier.withdrawn_at is null
                                      and (earlier.closed_at is not null or earlier.id = price.id))
     cross join lateral (
           select greatest(subscription.period_no,
                           (select max(period_no) from invoices where invoices.subscription_id = subscription.id)) as last_no,
                  greatest(price.effective_from, today + 1,
                           case when price.new_amount > subscription.amount then first_raise_on end) as not_before
           ) bounds
     -- The period that begins in the month of that day, or the one before or after it.
     cross join lateral (
           select subscription.terms_since_period + floor(
                      ((extract(year from not_before) - extract(year from subscription.anchor_on)) * 12
                       + extract(month from not_before) - extract(month from subscription.anchor_on)
                       - subscription.terms_since_month)
                      / case subscription.billing_cycle when 'yearly' then 12 else 1 end)::integer as guess_no
           ) nearby
     cross join lateral (
           select no, period_start(subscription, no) as starts_on
             from generate_series(greatest(bounds.last_no + 1, nearby.guess_no),
                                  greatest(bounds.last_no + 1, nearby.guess_no) + 1) as no
            where period_start(subscription, no) >= bounds.not_before
            order by no limit 1
           ) renewal
     where price.id = price_id
$$;

-- The same rules for new invoices, checked once for all rows of a statement: the daily run inserts thousands at a time.
create function refuse_wrong_invoices() returns trigger language plpgsql as $$
declare wrong record;
begin
    -- First the locks, in the order of ids; each statement below sees what was committed before they were granted.
    perform from subscriptions where id in (select subscription_id from added) order by id for share;
    select added.id into wrong from added
      join plan_changes change on change.subscription_id = added.subscription_id
     where change.status = 'pending' and change.effective_on <= added.period_start limit 1;
    if found then
        raise exception 'invoice % is for a period whose terms are still undecided', wrong.id
            using errcode = 'check_violation', constraint = 'invoices_terms_decided';
    end if;
    select checked.* into wrong from (
        select added.id, added.amount,
               coalesce((select change.from_amount from plan_changes change
                          where change.subscription_id = added.subscription_id and change.status = 'applied'
                            and change.effective_on > added.period_start
                          order by change.effective_on, change.effective_no limit 1), subscription.amount) as agreed
          from added join subscriptions subscription on subscription.id = added.subscription_id
         offset 0) as checked
     where checked.amount > checked.agreed limit 1;
    if found then
        raise exception 'invoice % asks for % won, the customer agreed to %', wrong.id, wrong.amount, wrong.agreed
            using errcode = 'check_violation', constraint = 'invoices_amount_agreed';
    end if;
    select added.id, added.period_start, elsewhere.charged_elsewhere_until as until into wrong
      from added join imported_subscriptions elsewhere on elsewhere.subscription_id = added.subscription_id
     where added.period_start <= elsewhere.charged_elsewhere_until or added.due_on <= elsewhere.charged_elsewhere_until
     limit 1;
    if found then
        raise exception 'invoice % is for the period from %, which another system charged up to %',
            wrong.id, wrong.period_start, wrong.until
            using errcode = 'check_violation', constraint = 'invoices_not_charged_elsewhere';
    end if;
    return null;
end $$;

create trigger invoices_as_agreed after insert on invoices referencing new table as added
    for each statement execute function refuse_wrong_invoices();

-- One row per attempt to collect an invoice, first payments included. The guide's columns, and what is needed to settle a lost answer.
create table payments (
    id              uuid         primary key,
    user_id         uuid         not null references users (id),
    subscription_id uuid         not null references subscriptions (id),
    invoice_id      uuid         not null,
    kind            varchar(20)  not null,
    attempt_no      integer      not null,
    order_id        varchar(64)  not null,
    -- Null until Toss names it; a declined charge never gets one.
    payment_key     varchar(200),
    idempotency_key uuid         not null,
    amount          integer      not null,
    status          varchar(20)  not null default 'pending',
    payment_method  varchar(50),
    paid_at         timestamptz,
    -- When the request last left, or may have left. Null: certainly not sent (yet).
    sent_at         timestamptz,
    first_sent_at   timestamptz,
    unknown_since   timestamptz,
    review_since    timestamptz,
    not_found_count integer      not null default 0,
    -- The status that Toss shows of a payment that it has accepted and not ended; e.g. WAITING_FOR_DEPOSIT.
    gateway_status  varchar(50),
    -- Until when the buyer may pay into the virtual account of this payment.
    deposit_due_at  timestamptz,
    -- Sendings that Toss answered with 5xx: it may repeat that answer under the same idempotency key.
    server_errors   integer      not null default 0,
    -- Toss refused an optional field: the next request leaves all of them out.
    is_plain        boolean      not null default false,
    -- When an event from outside last had the payment read back, and which read-back was followed up to its end.
    read_back_at    timestamptz,
    followed_up_at  timestamptz,
    decline_kind    varchar(10),
    toss_code       text,
    toss_message    text,
    toss_trace_id   text,
    toss_secret     text,
    receipt_url     text,
    created_at      timestamptz  not null,
    settled_at      timestamptz,
    constraint payments_order_id_key unique (order_id),
    constraint payments_idempotency_key_key unique (idempotency_key),
    constraint payments_one_per_attempt unique (invoice_id, attempt_no),
    constraint payments_amount_is_the_invoices foreign key (invoice_id, amount) references invoices (id, amount),
    constraint payments_order_id_tossable check (order_id ~ '^[A-Za-z0-9_-]{6,64}$'),
    constraint payments_kind_known check (kind in ('first', 'renewal', 'new_card')),
    constraint payments_decline_kind_known check (decline_kind in ('soft', 'hard')),
    constraint payments_status_known check (status in ('pending', 'unknown', 'completed', 'failed', 'refunded', 'partially_refunded')),
    constraint payments_captured_is_proven check (
        status not in ('completed', 'refunded', 'partially_refunded') or (payment_key is not null and paid_at is not null)),
    constraint payments_unknown_was_sent check (status <> 'unknown' or (sent_at is not null and unknown_since is not null)),
    constraint payments_settled_has_time check ((status in ('pending', 'unknown')) = (settled_at is null)),
    -- Order ids that begin with AUTO_ are made here, for renewals: a confirmation under such a name would stand in a renewal's way.
    constraint payments_first_order_is_not_ours check (kind <> 'first' or not starts_with(order_id, 'AUTO_'))
);
-- Also finds the payments of a user, by way of their subscriptions.
create index idx_payments_subscription_id on payments (subscription_id, created_at desc, id desc);
-- Also lists the unfinished ones, which are few.
create unique index payments_one_unfinished_per_invoice on payments (invoice_id) where status in ('pending', 'unknown');
create unique index payments_paid_at_most_once on payments (invoice_id)
    where status in ('completed', 'refunded', 'partially_refunded');
create unique index payments_payment_key_key on payments (payment_key)
    where status in ('completed', 'refunded', 'partially_refunded');
-- An event may name a payment by the gateway's key alone. Those that are captured are in the index above.
create index idx_payments_payment_key on payments (payment_key)
    where payment_key is not null and status in ('pending', 'unknown', 'failed');
-- Rows lie in the order of their capture, nearly, so that a summary of each range of pages finds a day.
create index idx_payments_paid_at on payments using brin (paid_at) with (pages_per_range = 32, autosummarize = on);
create index idx_payments_toss_trace_id on payments (toss_trace_id) where toss_trace_id is not null;
-- The declines of a day, and what went wrong lately.
create index idx_payments_declined on payments (settled_at, id) where status = 'failed';
-- What operators filter by: Toss's code, and the ends that are rare. Neither is written for a payment that just succeeds.
create index idx_payments_toss_code on payments (toss_code, id) where toss_code is not null;
create index idx_payments_rare_end on payments (id) where status in ('failed', 'refunded', 'partially_refunded');
-- The first tries of a day, for the stop at an absurd rate of declines.
create index idx_payments_first_tries on payments (settled_at) where kind = 'renewal' and attempt_no = 1;

create trigger payments_legal_transition before update of status on payments for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('pending', 'unknown'), ('pending', 'completed'), ('pending', 'failed'),
        -- Back to pending: the same key, sent again, was answered "not sent", so it never was.
        ('unknown', 'completed'), ('unknown', 'failed'), ('unknown', 'pending'),
        ('completed', 'partially_refunded'), ('completed', 'refunded'), ('partially_refunded', 'refunded')))
    execute function refuse_transition();

-- An attempt belongs to one order for ever: what was sent under that name cannot be renamed afterwards.
create function refuse_changed_attempt() returns trigger language plpgsql as $$
begin
    raise exception 'attempt % is fixed: order, amount, invoice and a sent key do not change', old.id
        using errcode = 'check_violation', constraint = 'payments_attempt_fixed';
end $$;

create trigger payments_attempt_fixed before update on payments for each row
    when (old.order_id <> new.order_id or old.amount <> new.amount or old.invoice_id <> new.invoice_id
        or (old.idempotency_key <> new.idempotency_key and new.sent_at is not null)
        or (old.status in ('completed', 'refunded', 'partially_refunded')
            and (old.payment_key <> new.payment_key or old.paid_at <> new.paid_at)))
    execute function refuse_changed_attempt();

-- Where the buyer of an order pays in. One account belongs to one payment, and takes money until payments.deposit_due_at.
create table virtual_accounts (
    payment_id     uuid         primary key references payments (id),
    -- In Korean, for people.
    bank           varchar(50)  not null,
    account_number varchar(50)  not null,
    holder_name    varchar(100) not null
);

-- An attempt of the dunning schedule on which the bank was not asked: the last decline was final for that card, or there is none.
create table dunning_skips (
    invoice_id uuid        not null references invoices (id),
    step       integer     not null,
    reason     varchar(30) not null,
    skipped_at timestamptz not null,
    primary key (invoice_id, step),
    constraint dunning_skips_reason_known check (reason in ('hard_decline', 'no_payment_method'))
);

create table refunds (
    id              uuid         primary key,
    payment_id      uuid         not null references payments (id),
    amount          integer      not null,
    reason          text         not null,
    requested_by    text         not null,
    request_key     text         not null,
    idempotency_key uuid         not null,
    status          varchar(20)  not null default 'pending',
    transaction_key text,
    sent_at         timestamptz,
    first_sent_at   timestamptz,
    unknown_since   timestamptz,
    -- Sendings that Toss answered with 5xx: it may repeat that answer under the same idempotency key.
    server_errors   integer      not null default 0,
    toss_code       text,
    toss_message    text,
    toss_trace_id   text,
    created_at      timestamptz  not null,
    settled_at      timestamptz,
    -- When the gateway gave the money back, by its clock; null where it did not say.
    refunded_at     timestamptz,
    constraint refunds_request_key_key unique (payment_id, request_key),
    constraint refunds_idempotency_key_key unique (idempotency_key),
    constraint refunds_amount_positive check (amount > 0),
    constraint refunds_reason_tossable check (char_length(reason) between 1 and 200),
    constraint refunds_status_known check (status in ('pending', 'unknown', 'completed', 'failed')),
    constraint refunds_settled_has_time check ((status in ('pending', 'unknown')) = (settled_at is null))
);
create unique index refunds_one_unfinished_per_payment on refunds (payment_id) where status in ('pending', 'unknown');
create unique index refunds_transaction_key_key on refunds (transaction_key);
create index idx_refunds_toss_trace_id on refunds (toss_trace_id) where toss_trace_id is not null;
create index idx_refunds_failed on refunds (settled_at, id) where status = 'failed';
create index idx_refunds_refunded_at on refunds ((coalesce(refunded_at, settled_at))) where status = 'completed';

create trigger refunds_legal_transition before update of status on refunds for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('pending', 'unknown'), ('pending', 'completed'), ('pending', 'failed'),
        ('unknown', 'completed'), ('unknown', 'failed')))
    execute function refuse_transition();

-- Refunds asked for, in flight or done never exceed what was captured. The payment's row is the lock.
create function refuse_refund_above_capture() returns trigger language plpgsql as $$
declare captured integer; asked bigint;
begin
    select amount into captured from payments
     where id = new.payment_id and status in ('completed', 'partially_refunded', 'refunded') for update;
    if captured is null then
        raise exception 'payment % has captured nothing to refund', new.payment_id
            using errcode = 'check_violation', constraint = 'refunds_of_captured_money';
    end if;
    select coalesce(sum(amount), 0) into asked from refunds
     where payment_id = new.payment_id and id <> new.id and status <> 'failed';
    if new.status <> 'failed' and asked + new.amount > captured then
        raise exception 'refunds of payment % would exceed the % won captured', new.payment_id, captured
            using errcode = 'check_violation', constraint = 'refunds_at_most_captured';
    end if;
    return new;
end $$;

create trigger refunds_at_most_captured before insert or update of amount, status, payment_id on refunds
    for each row execute function refuse_refund_above_capture();

-- An end at once by an operator: no access from then on, no way back, and at most one refund of what was not used.
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

-- New cards: from the registration window's one-time key to the card that is charged.
create table card_registrations (
    id                 uuid         primary key,
    subscription_id    uuid         not null references subscriptions (id),
    user_id            uuid         not null references users (id),
    auth_key           text,
    auth_key_hash      bytea        not null,
    customer_key       varchar(300) not null,
    idempotency_key    uuid         not null,
    status             varchar(20)  not null default 'pending',
    sealed_billing_key text,
    card_number        text,
    payment_id         uuid         references payments (id),
    sent_at            timestamptz,
    first_sent_at      timestamptz,
    -- Sendings that Toss answered with 5xx: it may repeat that answer under the same idempotency key.
    server_errors      integer      not null default 0,
    toss_code          text,
    toss_message       text,
    created_at         timestamptz  not null,
    settled_at         timestamptz,
    constraint card_registrations_auth_key_hash_key unique (auth_key_hash),
    constraint card_registrations_idempotency_key_key unique (idempotency_key),
    constraint card_registrations_payment_id_key unique (payment_id),
    constraint card_registrations_status_known
        check (status in ('pending', 'unknown', 'issued', 'proving', 'applied', 'refused', 'dropped')),
    constraint card_registrations_auth_key_while_unused
        check ((status in ('pending', 'unknown')) = (auth_key is not null)),
    constraint card_registrations_key_while_in_hand
        check ((status in ('issued', 'proving')) = (sealed_billing_key is not null)),
    constraint card_registrations_settled_has_time
        check ((status in ('applied', 'refused', 'dropped')) = (settled_at is not null)),
    constraint card_registrations_refused_says_why check (status <> 'refused' or toss_code is not null)
);
create unique index card_registrations_one_unfinished on card_registrations (subscription_id)
    where status in ('pending', 'unknown', 'issued', 'proving');

create index idx_card_registrations_refused on card_registrations (settled_at, id) where status = 'refused';

-- A browser that waits for its card asks every two seconds.
create index idx_card_registrations_subscription_id on card_registrations (subscription_id);

comment on table card_registrations is 'One row per card that a customer registers for a subscription, and what became of it.';
comment on column card_registrations.auth_key is 'The registration window''s one-time key; wiped once it is used or refused.';
comment on column card_registrations.auth_key_hash is 'SHA-256 of auth_key: the same key again is the same registration.';
comment on column card_registrations.status is 'pending: not sent yet. unknown: sent, no answer. issued: the key is sealed. proving: payment_id charges an open invoice with it. applied: it is the subscription''s card. refused: by the gateway or the bank, see toss_code. dropped: the subscription was canceled meanwhile.';
comment on column card_registrations.sealed_billing_key is 'Sealed for the subscription; here only until it is the subscription''s own or given up.';

-- A replaced key charges until the gateway has deleted it.
create table billing_key_deletions (
    id                 uuid        primary key,
    subscription_id    uuid        not null references subscriptions (id),
    sealed_billing_key text,
    created_at         timestamptz not null,
    deleted_at         timestamptz,
    constraint billing_key_deletions_wiped_when_deleted check ((deleted_at is null) = (sealed_billing_key is not null))
);
create index idx_billing_key_deletions_waiting on billing_key_deletions (created_at) where deleted_at is null;
comment on table billing_key_deletions is 'Billing keys that are no longer used, until the gateway has deleted them.';

-- Locks a subscription, then its invoice, and reads everything that a charge is decided by, in one round trip. Null where
-- either does not exist. Each statement sees what was committed before its own start, so the attempts are read as they are
-- under the locks: one SELECT over all would read them as they were before it waited.
create function lock_charge_facts(of_subscription uuid, of_invoice uuid) returns jsonb language plpgsql as $$
declare
    subscription jsonb;
    invoice jsonb;
begin
    perform from subscriptions where id = of_subscription for no key update;
    select to_jsonb(own) || jsonb_build_object('customer_email', coalesce(users.email, own.customer_email),
                                               'customer_name', coalesce(users.name, own.customer_name))
      into subscription
      from subscriptions own join users on users.id = own.user_id where own.id = of_subscription;
    select to_jsonb(own) into invoice from invoices own where own.id = of_invoice for update;
    if subscription is null or invoice is null then
        return null;
    end if;
    return jsonb_build_object(
        'subscription', subscription,
        'invoice', invoice,
        'attempts', coalesce((select jsonb_agg(to_jsonb(attempt) order by attempt.attempt_no)
                                from payments attempt where attempt.invoice_id = of_invoice), '[]'),
        'skips', (select count(*) from dunning_skips where invoice_id = of_invoice),
        'gateway', gateway_status(),
        'plan_name', (select name from plans where code = subscription->>'plan'));
end $$;
