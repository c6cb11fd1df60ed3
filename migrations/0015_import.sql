-- Subscriptions that were charged by another system before: where they came from, and what is not to be charged again.

create table imported_subscriptions (
    subscription_id          uuid        primary key references subscriptions (id),
    source                   text        not null,
    source_id                text        not null,
    source_next_billing_date date        not null,
    charged_elsewhere_until  date        not null,
    imported_at              timestamptz not null,
    constraint imported_subscriptions_source_id_key unique (source_id)
);

comment on table imported_subscriptions is 'One row per subscription that `billing import` brought. The same source id is the same subscription, however often it is imported.';
comment on column imported_subscriptions.source is 'The file''s name, or the host and database it was read from.';
comment on column imported_subscriptions.source_id is 'Its id in the system it came from, as it was written there.';
comment on column imported_subscriptions.source_next_billing_date is 'Its next billing date there, as a civil date in Seoul.';
comment on column imported_subscriptions.charged_elsewhere_until is 'The last civil date in Seoul that the other system may have charged: --first-charge-after, or the day before the next date where nothing was charged up to there.';

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

create trigger invoices_not_charged_elsewhere before insert or update of period_start, due_on, subscription_id on invoices
    for each row execute function refuse_period_charged_elsewhere();
