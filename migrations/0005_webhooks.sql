-- What the gateway tells us unasked: kept as it came, acted on only after the payment has been read back.

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
create index idx_jobs_live_webhook on jobs ((subject->>'webhook')) where state in ('available', 'running', 'parked');

comment on table webhook_events_in is 'Webhooks as they arrived. A body is a hint: nothing is booked that the gateway does not say when it is asked.';
comment on column webhook_events_in.transmission_id is 'The gateway''s name for the event, the same at each resend. Without a usable one: hash:<SHA-256 of sending time and body>.';
comment on column webhook_events_in.headers is 'The gateway''s three headers and the content type, as they came, and the sender''s address.';
comment on column webhook_events_in.body is 'As it came, but for billing keys, which are struck out: one that may still charge a card at once, that of a deletion once it is handled.';
comment on column webhook_events_in.event_type is 'What the body says it is; null where it says nothing readable.';
comment on column webhook_events_in.state is 'received: its job is to come. handled: done, see note. ignored: nothing of ours, forged or of no interest. failed: a person has to look.';

-- An event may name a payment by the gateway's key alone, whatever became of it.
create index idx_payments_payment_key on payments (payment_key) where payment_key is not null;

-- A deletion names a billing key, and ours are sealed: the keyed hash beside the ciphertext finds the subscription.
alter table subscriptions
    add column billing_key_fingerprint text
        generated always as (substring(billing_key from '\.([A-Za-z0-9+/]{43}=)$')) stored,
    add column card_suspect_since timestamptz;
create index idx_subscriptions_billing_key_fingerprint on subscriptions (billing_key_fingerprint)
    where billing_key_fingerprint is not null;

comment on column subscriptions.billing_key_fingerprint is 'HMAC-SHA256 of the billing key, made with the key that sealed it; the last part of billing_key.';
comment on column subscriptions.card_suspect_since is 'Since when the gateway is said to have deleted the billing key. Unproven: the next charge tells, and an answer from the card or a new card takes it back.';

-- When the gateway moved the money, which may be long before we heard of it.
alter table refunds add column refunded_at timestamptz;
comment on column refunds.refunded_at is 'When the gateway gave the money back, by its clock; null where it did not say.';
