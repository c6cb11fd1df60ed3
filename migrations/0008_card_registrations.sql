-- New cards: from the registration window's one-time key to the card that is charged; and the keys that are to be deleted.

create table card_registrations (
    id                 uuid         primary key,
    subscription_id    uuid         not null references subscriptions (id),
    user_id            uuid         not null references users (id),
    auth_key           text,
    auth_key_hash      bytea        not null,
    customer_key       varchar(255) not null,
    idempotency_key    uuid         not null,
    status             varchar(20)  not null default 'pending',
    sealed_billing_key text,
    card_number        text,
    payment_id         uuid         references payments (id),
    sent_at            timestamptz,
    first_sent_at      timestamptz,
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
create index idx_jobs_live_registration on jobs ((subject->>'registration'))
    where state in ('available', 'running', 'parked');

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
create index idx_jobs_live_billing_key_deletion on jobs ((subject->>'billingKeyDeletion'))
    where state in ('available', 'running', 'parked');
comment on table billing_key_deletions is 'Billing keys that are no longer used, until the gateway has deleted them.';

-- A new card is proven by charging what is open with it.
alter table payments
    drop constraint payments_kind_known,
    add constraint payments_kind_known check (kind in ('first', 'renewal', 'new_card'));
