-- The gateway's books against ours, day by day: every difference is a row, and none is repaired silently.

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
    discrepancies_open   integer     not null,
    discrepancies_new    integer     not null,
    breaks_ended  integer     not null,
    constraint reconciliation_runs_counts_not_negative check (
        least(captures, refunds, payments, our_refunds, discrepancies_open, discrepancies_new, breaks_ended) >= 0)
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
    constraint discrepancies_once unique (date, kind, reference),
    constraint discrepancies_kind_known check (kind in (
        'unknown_capture', 'capture_known_as_failed', 'capture_known_as_unfinished', 'amount_differs', 'missing_at_toss',
        'unknown_refund', 'refund_missing_at_toss', 'refund_amount_differs')),
    constraint discrepancies_end_says_why check ((resolved_at is null) = (resolution is null))
);
create index idx_reconciliation_discrepancies_open on discrepancies (date, kind) where resolved_at is null;

-- What we say happened on a day.
create index idx_payments_paid_at on payments (paid_at) where paid_at is not null;
create index idx_refunds_refunded_at on refunds ((coalesce(refunded_at, settled_at))) where status = 'completed';

comment on table reconciliation_runs is 'One row per finished comparison of a day.';
comment on column reconciliation_runs.date is 'The civil day in Asia/Seoul that was compared.';
comment on column reconciliation_runs.captures is 'Rows of the gateway for that day: money taken.';
comment on column reconciliation_runs.refunds is 'Rows of the gateway for that day: money given back.';
comment on column reconciliation_runs.payments is 'Payments that we say were captured on that day.';
comment on column reconciliation_runs.our_refunds is 'Refunds that we say were made on that day.';
comment on table discrepancies is 'Where the gateway''s books and ours differ. A row stays for good; it is resolved when a later run of its day no longer finds it.';
comment on column discrepancies.date is 'The civil day in Asia/Seoul on which the money moved.';
comment on column discrepancies.kind is 'unknown_capture: the gateway took money that we know nothing of. capture_known_as_failed: it took money, we say declined. capture_known_as_unfinished: it took money, we do not know yet. amount_differs. missing_at_toss: we say captured, it lists nothing. unknown_refund: it gave money back that we had not booked. refund_missing_at_toss: we say given back, it lists nothing. refund_amount_differs.';
comment on column discrepancies.reference is 'What the break is about: the gateway''s transaction key, or our order or refund that the gateway does not list.';
comment on column discrepancies.our_amount is 'Won, as we have it.';
comment on column discrepancies.their_amount is 'Won, as the gateway has it, without sign.';
