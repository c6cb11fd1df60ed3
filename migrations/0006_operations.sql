-- The circuit breaker, the rate limit, and the daily comparison with the gateway's transactions.

-- Whether Toss is worth asking at present, known to all workers.
create table gateway_breaker (
    gateway      text        primary key,
    -- Technical failures in a row; an answer from the bank, yes or no, sets it back.
    failures     integer     not null default 0,
    open_until   timestamptz,
    last_failure text,
    constraint gateway_breaker_failures_counted check (failures >= 0)
);
insert into gateway_breaker (gateway) values ('toss');

-- The next free turn to ask Toss, handed out to all workers. By the database's clock: it is about real requests.
create table gateway_pace (
    gateway   text        primary key,
    next_turn timestamptz not null default clock_timestamp()
);
insert into gateway_pace (gateway) values ('toss');

-- The gateway's transactions against ours, day by day: every difference is a row, and none is repaired silently.
create table reconciliation_runs (
    id            uuid        primary key,
    date          date        not null,
    job_id        bigint      not null,
    started_at    timestamptz not null,
    finished_at   timestamptz not null,
    captures      integer     not null,
    refunds       integer     not null,
    payments      integer     not null,
    our_refunds   integer     not null,
    discrepancies_open  integer     not null,
    discrepancies_new   integer     not null,
    discrepancies_ended integer     not null,
    constraint reconciliation_runs_counts_not_negative check (
        least(captures, refunds, payments, our_refunds, discrepancies_open, discrepancies_new, discrepancies_ended) >= 0)
);
create index idx_reconciliation_runs_date on reconciliation_runs (date, finished_at);
create index idx_reconciliation_runs_job_id on reconciliation_runs (job_id);

create table discrepancies (
    id              uuid        primary key,
    date            date        not null,
    kind            varchar(30) not null,
    reference       text        not null,
    order_id        text,
    payment_key     text,
    transaction_key text,
    payment_id      uuid        references payments (id),
    refund_id       uuid        references refunds (id),
    our_amount      bigint,
    their_amount    bigint,
    first_seen_at   timestamptz not null,
    last_seen_at    timestamptz not null,
    resolved_at     timestamptz,
    resolution      text,
    accepted_at     timestamptz,
    accepted_by     text,
    -- Why a person accepts the discrepancy as it is. Void as soon as an amount changes.
    acceptance      text,
    constraint discrepancies_once unique (date, kind, reference),
    constraint discrepancies_kind_known check (kind in (
        'unknown_capture', 'capture_known_as_failed', 'capture_known_as_unfinished', 'amount_differs', 'missing_at_toss',
        'unknown_refund', 'refund_missing_at_toss', 'refund_amount_differs')),
    constraint discrepancies_end_says_why check ((resolved_at is null) = (resolution is null)),
    constraint discrepancies_acceptance_says_who_and_why check (
        (accepted_at is null) = (accepted_by is null) and (accepted_at is null) = (acceptance is null))
);
create index idx_discrepancies_open on discrepancies (date, kind)
    where resolved_at is null and accepted_at is null;

comment on table reconciliation_runs is 'One row per finished comparison of a day.';
comment on column reconciliation_runs.date is 'The civil day in Asia/Seoul that was compared.';
comment on column reconciliation_runs.captures is 'Rows of the gateway for that day: money taken.';
comment on column reconciliation_runs.refunds is 'Rows of the gateway for that day: money given back.';
comment on column reconciliation_runs.payments is 'Payments that we say were captured on that day.';
comment on column reconciliation_runs.our_refunds is 'Refunds that we say were made on that day.';
comment on table discrepancies is 'Where the gateway''s books and ours differ. A row stays for good; it is resolved when a later run of its day no longer finds it.';
comment on column discrepancies.date is 'The civil day in Asia/Seoul on which the money moved.';
comment on column discrepancies.kind is 'unknown_capture: the gateway took money that we know nothing of. capture_known_as_failed: it took money, we say declined. capture_known_as_unfinished: it took money, we do not know yet. amount_differs. missing_at_toss: we say captured, it lists nothing. unknown_refund: it gave money back that we had not booked. refund_missing_at_toss: we say given back, it lists nothing. refund_amount_differs.';
comment on column discrepancies.reference is 'What the discrepancy is about: the gateway''s transaction key, or our order or refund that the gateway does not list.';
comment on column discrepancies.our_amount is 'Won, as we have it.';
comment on column discrepancies.their_amount is 'Won, as the gateway has it, without sign.';
