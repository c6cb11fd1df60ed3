-- Users, plans, subscriptions, invoices and attempts: the money, with the fences that hold whoever asks.

create table users (
    id         uuid        primary key,
    email      text,
    name       text,
    created_at timestamptz not null,
    updated_at timestamptz not null
);

create table plans (
    code           text        primary key,
    name           text        not null,
    monthly_amount integer     not null,
    yearly_amount  integer     not null,
    updated_at     timestamptz not null default now(),
    -- Toss refuses cards below 100 won (BELOW_MINIMUM_AMOUNT).
    constraint plans_amounts_chargeable check (monthly_amount >= 100 and yearly_amount >= 100),
    constraint plans_code_plain check (code ~ '^[a-z0-9_-]{1,50}$')
);

insert into plans (code, name, monthly_amount, yearly_amount) values
    ('personal', '퍼스널', 9900, 94800),
    ('pro', '프로', 19900, 190800);

-- A dunning policy never changes once an invoice is pinned to it; other days are another row.
create table dunning_policies (
    id         integer     primary key generated always as identity,
    retry_days integer[]   not null,
    created_at timestamptz not null default now(),
    constraint dunning_policies_retry_days_key unique (retry_days),
    constraint dunning_policies_days_positive check (0 < all (retry_days))
);

create table subscriptions (
    id                   uuid        primary key,
    user_id              uuid        not null references users (id),
    plan                 varchar(50) not null references plans (code),
    billing_cycle        varchar(20) not null,
    -- Sealed (key id, nonce, ciphertext); null until a card is registered. Useless without customer_key.
    billing_key          text,
    customer_key         varchar(255) not null,
    card_number          text,
    card_registered_at   timestamptz,
    -- What the customer agreed to pay each period, in won. No invoice may ask for more.
    amount               integer     not null,
    status               varchar(20) not null default 'incomplete',
    customer_email       text        not null,
    customer_name        text        not null,
    -- Civil dates in Asia/Seoul. Every period is counted from the anchor, never from the period before.
    anchor_on            date        not null,
    period_no            integer     not null default 0,
    current_period_start date        not null,
    current_period_end   date        not null,
    -- When the card is charged next: midnight in Seoul of that day. In dunning, the day of the next try.
    next_billing_date    timestamptz not null,
    charging_paused_at   timestamptz,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    activated_at         timestamptz,
    suspended_at         timestamptz,
    canceled_at          timestamptz,
    cancel_reason        text,
    constraint subscriptions_status_known check (status in ('incomplete', 'active', 'past_due', 'suspended', 'canceled')),
    constraint subscriptions_cycle_known check (billing_cycle in ('monthly', 'yearly')),
    constraint subscriptions_amount_chargeable check (amount >= 100),
    constraint subscriptions_period_forward check (current_period_end > current_period_start and period_no >= 0),
    constraint subscriptions_canceled_has_time check ((status = 'canceled') = (canceled_at is not null)),
    constraint subscriptions_suspended_has_time check (status <> 'suspended' or suspended_at is not null)
);
create index idx_subscriptions_user_id on subscriptions (user_id, created_at desc, id desc);
create index idx_subscriptions_next_billing on subscriptions (next_billing_date, id) where status = 'active';

create table invoices (
    id                uuid        primary key,
    subscription_id   uuid        not null references subscriptions (id),
    period_no         integer     not null,
    period_start      date        not null,
    period_end        date        not null,
    due_on            date        not null,
    amount            integer     not null,
    status            varchar(20) not null default 'open',
    dunning_policy_id integer     references dunning_policies (id),
    first_failed_at   timestamptz,
    next_attempt_at   timestamptz,
    -- An older unpaid period after an outage: charged or forgiven by an operator, never by itself.
    held_since        timestamptz,
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
    constraint invoices_period_forward check (period_end > period_start)
);
create index idx_invoices_next_attempt on invoices (next_attempt_at, id) where status = 'open';

-- One row per attempt, first payments included. The guide's columns, and what is needed to settle a lost answer.
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
    not_found_count  integer      not null default 0,
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
    constraint payments_kind_known check (kind in ('first', 'renewal')),
    constraint payments_decline_kind_known check (decline_kind in ('soft', 'hard')),
    constraint payments_status_known check (status in ('pending', 'unknown', 'completed', 'failed', 'refunded', 'partially_refunded')),
    constraint payments_captured_is_proven check (
        status not in ('completed', 'refunded', 'partially_refunded') or (payment_key is not null and paid_at is not null)),
    constraint payments_unknown_was_sent check (status <> 'unknown' or (sent_at is not null and unknown_since is not null)),
    constraint payments_settled_has_time check ((status in ('pending', 'unknown')) = (settled_at is null))
);
create index idx_payments_user_id on payments (user_id);
create index idx_payments_subscription_id on payments (subscription_id, created_at desc, id desc);
create index idx_payments_unfinished on payments (created_at) where status in ('pending', 'unknown');
create unique index payments_one_unfinished_per_invoice on payments (invoice_id) where status in ('pending', 'unknown');
create unique index payments_paid_at_most_once on payments (invoice_id)
    where status in ('completed', 'refunded', 'partially_refunded');
create unique index payments_payment_key_key on payments (payment_key)
    where status in ('completed', 'refunded', 'partially_refunded');

-- A step of the dunning ladder on which the bank was not asked: the last decline was final for that card, or there is none.
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
    toss_code       text,
    toss_message    text,
    toss_trace_id   text,
    created_at      timestamptz  not null,
    settled_at      timestamptz,
    constraint refunds_request_key_key unique (payment_id, request_key),
    constraint refunds_idempotency_key_key unique (idempotency_key),
    constraint refunds_amount_positive check (amount > 0),
    constraint refunds_reason_tossable check (char_length(reason) between 1 and 200),
    constraint refunds_status_known check (status in ('pending', 'unknown', 'completed', 'failed')),
    constraint refunds_settled_has_time check ((status in ('pending', 'unknown')) = (settled_at is null))
);
create unique index refunds_one_unfinished_per_payment on refunds (payment_id) where status in ('pending', 'unknown');
create unique index refunds_transaction_key_key on refunds (transaction_key);

create table emails (
    id              uuid        primary key,
    kind            varchar(40) not null,
    -- kind, subscription, period, attempt: the same fact never writes two mails.
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
    last_error      text,
    created_at      timestamptz not null,
    settled_at      timestamptz,
    constraint emails_unique_key_key unique (unique_key),
    constraint emails_message_id_key unique (message_id),
    constraint emails_status_known check (status in ('queued', 'sent', 'dropped', 'failed')),
    constraint emails_settled_has_time check ((status = 'queued') = (settled_at is null))
);
create index idx_emails_queued on emails (created_at) where status = 'queued';
create index idx_emails_subscription_id on emails (subscription_id, created_at);

create table subscription_events (
    id              bigint      primary key generated always as identity,
    subscription_id uuid        not null references subscriptions (id),
    at              timestamptz not null,
    actor           text        not null,
    what            text        not null,
    why             text        not null,
    before          jsonb       not null,
    after           jsonb       not null
);
create index idx_subscription_events_subscription_id on subscription_events (subscription_id, id);

create table operators (
    id         uuid        primary key,
    email      text        not null,
    token_hash bytea       not null,
    created_at timestamptz not null default now(),
    constraint operators_email_key unique (email),
    constraint operators_token_hash_key unique (token_hash)
);

create table settings (
    name       text        primary key,
    value      jsonb       not null,
    updated_at timestamptz not null default clock_timestamp()
);
insert into settings (name, value) values ('charging', '{"enabled": true}');

-- Who is alive, and up to which move of the test clock each process has followed. By the database's clock.
create table processes (
    id         uuid        primary key,
    name       text        not null,
    clock_move bigint      not null default 0,
    started_at timestamptz not null default clock_timestamp(),
    seen_at    timestamptz not null default clock_timestamp()
);

-- The sweep asks for these: which unfinished row has no live job of its own.
create index idx_jobs_live_invoice on jobs ((subject->>'invoice')) where state in ('available', 'running', 'parked');
create index idx_jobs_live_email on jobs ((subject->>'email')) where state in ('available', 'running', 'parked');
create index idx_jobs_live_refund on jobs ((subject->>'refund')) where state in ('available', 'running', 'parked');
