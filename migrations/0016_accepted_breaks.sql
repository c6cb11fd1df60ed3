-- A break that a person has looked into and accepts: shown with the reason, no alarm any more.

alter table reconciliation_breaks
    add column accepted_at timestamptz,
    add column accepted_by text,
    add column acceptance  text,
    add constraint reconciliation_breaks_acceptance_says_who_and_why check (
        (accepted_at is null) = (accepted_by is null) and (accepted_at is null) = (acceptance is null));

drop index idx_reconciliation_breaks_open;
create index idx_reconciliation_breaks_open on reconciliation_breaks (date, kind)
    where resolved_at is null and accepted_at is null;

comment on column reconciliation_breaks.acceptance is 'Why a person accepts the break as it is. Void as soon as an amount changes.';
