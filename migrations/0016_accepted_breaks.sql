-- A break that a person has looked into and accepts: shown with the reason, no alarm any more.

alter table discrepancies
    add column accepted_at timestamptz,
    add column accepted_by text,
    add column acceptance  text,
    add constraint discrepancies_acceptance_says_who_and_why check (
        (accepted_at is null) = (accepted_by is null) and (accepted_at is null) = (acceptance is null));

drop index idx_reconciliation_discrepancies_open;
create index idx_reconciliation_discrepancies_open on discrepancies (date, kind)
    where resolved_at is null and accepted_at is null;

comment on column discrepancies.acceptance is 'Why a person accepts the break as it is. Void as soon as an amount changes.';
