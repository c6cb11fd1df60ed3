-- A subscription moves to another plan, cycle or price at a renewal; to a higher amount only with the customer's consent.

alter table subscriptions
    add column terms_since_period    integer not null default 0,
    add column terms_since_month integer not null default 0,
    add constraint subscriptions_terms_forward check (terms_since_period >= 0 and terms_since_month >= 0);
comment on column subscriptions.terms_since_period is 'The first period under the present plan, cycle and amount; 0 until they change.';
comment on column subscriptions.terms_since_month is 'In which month after the anchor that period begins; later ones follow it at the cycle, and the anchor never moves.';

create table plan_changes (
    id              uuid        primary key,
    subscription_id uuid        not null references subscriptions (id),
    price_change_id uuid,
    from_plan       varchar(50) not null references plans (code),
    from_cycle      varchar(20) not null,
    from_amount     integer     not null,
    to_plan         varchar(50) not null references plans (code),
    to_cycle        varchar(20) not null,
    to_amount       integer     not null,
    effective_no    integer     not null,
    effective_on    date        not null,
    status          varchar(20) not null default 'pending',
    requested_by    text        not null,
    created_at      timestamptz not null,
    settled_at      timestamptz,
    constraint plan_changes_cycles_known check (from_cycle in ('monthly', 'yearly') and to_cycle in ('monthly', 'yearly')),
    constraint plan_changes_amounts_chargeable check (from_amount >= 100 and to_amount >= 100),
    constraint plan_changes_renewal check (effective_no > 0),
    constraint plan_changes_status_known check (status in ('pending', 'applied', 'withdrawn', 'superseded', 'lapsed')),
    constraint plan_changes_settled_has_time check ((status = 'pending') = (settled_at is null)),
    -- Lets a consent's foreign key hold it to exactly this change.
    constraint plan_changes_content_key
        unique (id, subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on)
);
create unique index plan_changes_one_wish on plan_changes (subscription_id)
    where status = 'pending' and price_change_id is null;
create unique index plan_changes_one_new_price on plan_changes (subscription_id)
    where status = 'pending' and price_change_id is not null;
create unique index plan_changes_one_per_price_change on plan_changes (price_change_id, subscription_id)
    where status <> 'superseded';
create index idx_plan_changes_subscription_id on plan_changes (subscription_id, effective_on);
create index idx_plan_changes_pending on plan_changes (effective_on, subscription_id) where status = 'pending';

comment on table plan_changes is 'What a subscription is to become, and at which renewal. Content never changes; what is wanted instead is another row.';
comment on column plan_changes.price_change_id is 'The new price of the plan that it follows from; null: the customer''s own wish.';
comment on column plan_changes.effective_no is 'The first period under the new terms.';
comment on column plan_changes.effective_on is 'The civil date in Seoul on which that period begins and is charged.';
comment on column plan_changes.status is 'pending; applied; withdrawn: taken back before; superseded: another came in its place; lapsed: its renewal never came, or came without consent.';

create table consents (
    id              uuid        primary key,
    plan_change_id  uuid        not null,
    subscription_id uuid        not null references subscriptions (id),
    plan            varchar(50) not null,
    billing_cycle   varchar(20) not null,
    old_amount      integer     not null,
    new_amount      integer     not null,
    effective_on    date        not null,
    card_number     text,
    shown_text      text        not null,
    given_by        text        not null,
    given_at        timestamptz not null,
    ip              text,
    forwarded_for   text,
    user_agent      text,
    created_at      timestamptz not null default clock_timestamp(),
    constraint consents_one_per_change unique (plan_change_id),
    constraint consents_to_the_very_change
        foreign key (plan_change_id, subscription_id, plan, billing_cycle, old_amount, new_amount, effective_on)
        references plan_changes (id, subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on),
    -- Act on Consumer Protection in Electronic Commerce, art. 13 (6), Decree art. 20-2.
    constraint consents_within_30_days_before check (
        (given_at at time zone 'Asia/Seoul')::date between effective_on - 30 and effective_on - 1),
    constraint consents_text_is_shown check (char_length(shown_text) between 1 and 4000)
);
create index idx_consents_subscription_id on consents (subscription_id);

comment on table consents is 'The customer''s yes to a higher amount: what was shown, when, from where. Evidence: append-only.';
comment on column consents.card_number is 'The payment method at that time, as Toss masks it.';
comment on column consents.ip is 'The address that the request came from, by its connection.';
comment on column consents.forwarded_for is 'The header X-Forwarded-For as it came: written by proxies, or by anybody.';
comment on column consents.created_at is 'By the database''s clock; given_at is by the application''s, as everything that is compared with it.';

create trigger consents_append_only before update or delete on consents
    for each row execute function refuse_rewriting_history();

-- A change is born pending, from what the subscription is; afterwards only its end is written, once.
create function refuse_forged_change() returns trigger language plpgsql as $$
declare same boolean;
begin
    if tg_op = 'INSERT' then
        select new.status = 'pending' and (plan, billing_cycle, amount) = (new.from_plan, new.from_cycle, new.from_amount)
          into same from subscriptions where id = new.subscription_id for share;
    elsif new.status = 'applied' then
        select (plan, billing_cycle, amount) = (new.to_plan, new.to_cycle, new.to_amount)
          into same from subscriptions where id = new.subscription_id for share;
    else
        same := true;
    end if;
    if not coalesce(same, true) then
        raise exception 'change % does not say what its subscription is', new.id
            using errcode = 'check_violation', constraint = 'plan_changes_as_the_subscription_is';
    end if;
    return new;
end $$;

create trigger plan_changes_as_the_subscription_is before insert or update on plan_changes
    for each row execute function refuse_forged_change();

create trigger plan_changes_fixed before update on plan_changes for each row
    when (old.status <> 'pending'
        or to_jsonb(new) - 'status' - 'settled_at' <> to_jsonb(old) - 'status' - 'settled_at')
    execute function refuse_rewriting_history();

create trigger plan_changes_kept before delete on plan_changes
    for each row execute function refuse_rewriting_history();

-- The agreed amount rises only by a consent to exactly that amount, for a change that is pending and due.
create function refuse_raise_without_consent() returns trigger language plpgsql as $$
begin
    if not exists (
        select from plan_changes change join consents consent on consent.plan_change_id = change.id
         where change.subscription_id = new.id and change.status = 'pending'
           and (change.from_plan, change.from_cycle, change.from_amount) = (old.plan, old.billing_cycle, old.amount)
           and (change.to_plan, change.to_cycle, change.to_amount) = (new.plan, new.billing_cycle, new.amount)
           and change.effective_on <= (new.updated_at at time zone 'Asia/Seoul')::date) then
        raise exception 'subscription % may not rise from % to % won: there is no consent to that', old.id, old.amount, new.amount
            using errcode = 'check_violation', constraint = 'subscriptions_raise_consented';
    end if;
    return new;
end $$;

create trigger subscriptions_raise_consented before update of amount on subscriptions for each row
    when (new.amount > old.amount) execute function refuse_raise_without_consent();

-- An invoice asks for what was agreed for its own period, or less; and for nothing while a change of that period is undecided.
create or replace function refuse_amount_above_agreement() returns trigger language plpgsql as $$
declare agreed integer;
begin
    select amount into agreed from subscriptions where id = new.subscription_id for share;
    if exists (select from plan_changes
                where subscription_id = new.subscription_id and status = 'pending' and effective_on <= new.period_start) then
        raise exception 'invoice % is for a period whose terms are still undecided', new.id
            using errcode = 'check_violation', constraint = 'invoices_terms_decided';
    end if;
    select from_amount into agreed from plan_changes
     where subscription_id = new.subscription_id and status = 'applied' and effective_on > new.period_start
     order by effective_on, effective_no limit 1;
    if not found then
        select amount into agreed from subscriptions where id = new.subscription_id;
    end if;
    if new.amount > agreed then
        raise exception 'invoice % asks for % won, the customer agreed to %', new.id, new.amount, agreed
            using errcode = 'check_violation', constraint = 'invoices_amount_agreed';
    end if;
    return new;
end $$;
