-- An operator may release a held invoice: it is then charged although its period is over, and never held again.

alter table invoices
    add column released_at timestamptz,
    add constraint invoices_held_or_released check (held_since is null or released_at is null);
comment on column invoices.released_at is 'When an operator let a held invoice be charged; null for all others.';
create index idx_invoices_held on invoices (period_start, id) where status = 'open' and held_since is not null;
