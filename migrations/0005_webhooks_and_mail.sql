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
-- The sweep reads these in slices, in the order of ids, which is that of time.
create index idx_emails_queued on emails (id) where status = 'queued';
create index idx_emails_failed on emails (created_at, id) where status = 'failed';
-- An erasure reads all e-mails of a customer.
create index idx_emails_user_id on emails (user_id);
create index idx_emails_subscription_id on emails (subscription_id, created_at);

-- Writes an e-mail and the job that sends it, unless its fact has written one already. Returns whether it is new. One that is
-- not announced is sent when the queue is looked at next: with others then, and within seconds.
create function post_email(email jsonb, job jsonb, now timestamptz, is_announced boolean) returns boolean
language plpgsql as $$
begin
    insert into emails (id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text, message_id,
                        send_before, created_at)
    select id, kind, unique_key, user_id, subscription_id, to_address, subject, body_html, body_text, message_id,
           send_before, now
      from jsonb_to_record(email) as new (id uuid, kind text, unique_key text, user_id uuid, subscription_id uuid,
           to_address text, subject text, body_html text, body_text text, message_id text, send_before timestamptz)
    on conflict on constraint emails_unique_key_key do nothing;
    if not found then
        return false;
    end if;
    insert into jobs (kind, args, about, subject, run_at, due_at, priority, max_attempts, trace_context, created_at)
    select kind, args, about, subject, now, due_at(now, now), priority, max_attempts, trace_context, now
      from jsonb_to_record(job) as new (kind text, args jsonb, about uuid, subject jsonb, priority smallint,
           max_attempts integer, trace_context text);
    if is_announced then
        perform announce('jobs', job->>'kind');
    end if;
    return true;
end $$;

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
    subscription_id uuid        references subscriptions (id),
    constraint webhook_events_in_transmission_id_key unique (transmission_id),
    constraint webhook_events_in_headers_are_an_object check (jsonb_typeof(headers) = 'object'),
    constraint webhook_events_in_body_is_bounded check (octet_length(body) <= 65536),
    constraint webhook_events_in_state_known check (state in ('received', 'handled', 'ignored', 'failed')),
    constraint webhook_events_in_handled_has_time check ((state = 'received') = (handled_at is null)),
    constraint webhook_events_in_end_says_why check (state = 'received' or note is not null)
);
create index idx_webhook_events_in_received on webhook_events_in (received_at) where state = 'received';
create index idx_webhook_events_in_subscription_id on webhook_events_in (subscription_id, id) where subscription_id is not null;
create index idx_webhook_events_in_failed on webhook_events_in (received_at desc) where state = 'failed';
-- Webhooks that nobody has to look at are deleted: anybody can send them, and Toss repeats one for less than four days.
create index idx_webhook_events_in_settled on webhook_events_in (received_at) where state in ('ignored', 'handled');

comment on table webhook_events_in is 'Webhooks as they arrived. A body is a hint: nothing is booked that the gateway does not say when it is asked.';
comment on column webhook_events_in.transmission_id is 'The gateway''s name for the event, the same at each resend. Without a usable one: hash:<SHA-256 of sending time and body>.';
comment on column webhook_events_in.headers is 'The gateway''s three headers and the content type, as they came, and the sender''s address.';
comment on column webhook_events_in.body is 'As it came, but for billing keys, which are struck out: one that may still charge a card at once, that of a deletion once it is handled.';
comment on column webhook_events_in.event_type is 'What the body says it is; null where it says nothing readable.';
comment on column webhook_events_in.subscription_id is 'Whose payment it names; set when it is settled, null where it names none of ours.';
comment on column webhook_events_in.state is 'received: its job is to come. handled: done, see note. ignored: nothing of ours, forged or of no interest. failed: a person has to look.';

-- Events out: what happened to a subscription, told to the merchant's own application by signed webhooks. The transaction of
-- the change writes them, next to its entry in the audit log. Whoever changes a subscription, a payment or a refund holds the
-- subscription's row, so events of one subscription are numbered in the order of its changes.

create table webhook_events_out (
    id              uuid        primary key,
    seq             bigint      not null generated always as identity,
    type            text        not null,
    unique_key      text        not null,
    subscription_id uuid        not null references subscriptions (id),
    body            text        not null,
    created_at      timestamptz not null,
    constraint webhook_events_out_seq_key unique (seq),
    constraint webhook_events_out_unique_key_key unique (unique_key)
);
create index idx_webhook_events_out_subscription on webhook_events_out (subscription_id, seq);
create index idx_webhook_events_out_created_at on webhook_events_out (created_at);

comment on table webhook_events_out is 'Events for the merchant''s application, recorded whether or not an endpoint is configured. Holds no name, no address, no card.';
comment on column webhook_events_out.seq is 'The order in which events of one subscription are delivered.';
comment on column webhook_events_out.unique_key is 'The fact: it never writes two events.';
comment on column webhook_events_out.body is 'The bytes that are sent, the same at each try; what is signed is the id, the moment of the try and this.';

-- What an event says, and when, never changes: a receiver may have it already.
create trigger webhook_events_out_append_only before update on webhook_events_out
    for each row execute function refuse_rewriting_history();

create table webhook_deliveries (
    event_id       uuid        primary key references webhook_events_out (id),
    state          text        not null default 'pending',
    tries          integer     not null default 0,
    first_tried_at timestamptz,
    last_tried_at  timestamptz,
    last_error     text,
    settled_at     timestamptz,
    constraint webhook_deliveries_state_known check (state in ('pending', 'delivered', 'failed')),
    constraint webhook_deliveries_settled_has_time check ((state = 'pending') = (settled_at is null)),
    constraint webhook_deliveries_tries_counted check (tries >= 0 and (tries = 0) = (first_tried_at is null)),
    constraint webhook_deliveries_failed_says_why check (state <> 'failed' or last_error is not null)
);
create index idx_webhook_deliveries_pending on webhook_deliveries (event_id) where state = 'pending';
create index idx_webhook_deliveries_failed on webhook_deliveries (event_id) where state = 'failed';

comment on table webhook_deliveries is 'One row per event that goes to the endpoint. An event that was written while delivery was off has none until it is replayed.';
comment on column webhook_deliveries.state is 'pending: to be delivered, after earlier ones of its subscription. delivered: answered 2xx. failed: given up after three days, or refused for good.';
comment on column webhook_deliveries.tries is 'Since it was written or replayed.';
