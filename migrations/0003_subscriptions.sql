-- Subscriptions, what they are to become (plan and price changes, consents), and the audit log.

create table subscriptions (
    id                   uuid        primary key,
    user_id              uuid        not null references users (id),
    plan                 varchar(50) not null references plans (code),
    billing_cycle        varchar(20) not null,
    -- Sealed (key id, nonce, ciphertext); null until a card is registered. Useless without customer_key.
    billing_key          text,
    -- Toss takes up to 300 characters.
    customer_key         varchar(300) not null,
    card_number          text,
    card_registered_at   timestamptz,
    -- What the customer agreed to pay each period, in won. No invoice may ask for more.
    amount               integer     not null,
    status               varchar(20) not null default 'incomplete',
    -- As they were given at the purchase. E-mails use users.email and users.name, where those are known.
    customer_email       text        not null,
    customer_name        text        not null,
    -- Civil dates in Asia/Seoul. Every period is counted from the anchor, never from the period before.
    anchor_on            date        not null,
    period_no            integer     not null default 0,
    current_period_start date        not null,
    current_period_end   date        not null,
    -- When the card is charged next: midnight in Seoul of that day. In dunning, the day of the next try.
    next_billing_date    timestamptz not null,
    charging_paused_at   timestamptz,
    created_at           timestamptz not null,
    updated_at           timestamptz not null,
    activated_at         timestamptz,
    -- Until then a card may pay the first period; then the subscription ends without having begun. Null: it began with a confirmed payment.
    repair_until         timestamptz,
    suspended_at         timestamptz,
    canceled_at          timestamptz,
    cancel_reason        text,
    -- When an operator ended it at once, before its paid period was over. Never taken back.
    ended_at             timestamptz,
    -- The first period under the present plan, cycle and amount; 0 until they change.
    terms_since_period   integer     not null default 0,
    -- In which month after the anchor that period begins; later ones follow it at the cycle, and the anchor never moves.
    terms_since_month    integer     not null default 0,
    -- HMAC-SHA256 of the billing key, made with the key that sealed it: the last part of billing_key. A deletion webhook names a
    -- billing key in clear, and this finds its subscription.
    billing_key_fingerprint text
        generated always as (substring(billing_key from '\.([A-Za-z0-9+/]{43}=)$')) stored,
    -- Copied from the plan at the purchase, so that an index can refuse a second living subscription.
    may_be_held_beside_others boolean not null default false,
    constraint subscriptions_status_known check (status in ('incomplete', 'active', 'past_due', 'suspended', 'canceled')),
    constraint subscriptions_cycle_known check (billing_cycle in ('monthly', 'yearly')),
    constraint subscriptions_amount_chargeable check (amount >= 100),
    constraint subscriptions_period_forward check (current_period_end > current_period_start and period_no >= 0),
    constraint subscriptions_canceled_has_time check ((status = 'canceled') = (canceled_at is not null)),
    constraint subscriptions_suspended_has_time check (status <> 'suspended' or suspended_at is not null),
    constraint subscriptions_ended_is_canceled check (ended_at is null or status = 'canceled'),
    constraint subscriptions_terms_forward check (terms_since_period >= 0 and terms_since_month >= 0)
);
create index idx_subscriptions_user_id on subscriptions (user_id, created_at desc, id desc);
-- A customer who buys twice, from two tabs, would pay twice for one thing.
create unique index subscriptions_one_living_per_user on subscriptions (user_id)
    where status in ('incomplete', 'active', 'past_due', 'suspended') and not may_be_held_beside_others;
create index idx_subscriptions_next_billing on subscriptions (next_billing_date, id) where status = 'active';
create index idx_subscriptions_billing_key_fingerprint on subscriptions (billing_key_fingerprint)
    where billing_key_fingerprint is not null;
create index idx_subscriptions_incomplete on subscriptions (repair_until)
    where status = 'incomplete' and repair_until is not null;
create index idx_subscriptions_in_trouble on subscriptions (status, id) where status in ('past_due', 'suspended');
-- Operators search by the beginning of an address or a name.
create index idx_subscriptions_customer_email on subscriptions (lower(customer_email) text_pattern_ops);
create index idx_subscriptions_customer_name on subscriptions (lower(customer_name) text_pattern_ops);
create index idx_subscriptions_price on subscriptions (plan, billing_cycle, amount, id) where status <> 'canceled';

create trigger subscriptions_legal_transition before update of status on subscriptions for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('incomplete', 'active'), ('incomplete', 'canceled'),
        ('active', 'past_due'), ('active', 'canceled'),
        ('past_due', 'active'), ('past_due', 'suspended'), ('past_due', 'canceled'),
        ('suspended', 'active'), ('suspended', 'canceled'),
        ('canceled', 'active')))
    execute function refuse_transition();

-- An end at once is for good.
create function refuse_undone_ending() returns trigger language plpgsql as $$
begin
    raise exception 'subscription % was ended and stays so', old.id
        using errcode = 'check_violation', constraint = 'subscriptions_ended_for_good';
end $$;

create trigger subscriptions_ended_for_good before update of ended_at on subscriptions for each row
    when (old.ended_at is not null and new.ended_at is distinct from old.ended_at)
    execute function refuse_undone_ending();

-- The audit log: who changed what and why, with the subscription before and after. Append-only.
create table subscription_events (
    id              bigint      primary key generated always as identity,
    subscription_id uuid        not null references subscriptions (id),
    at              timestamptz not null,
    actor           text        not null,
    what            text        not null,
    why             text        not null,
    before          jsonb       not null,
    after           jsonb       not null
);
create index idx_subscription_events_subscription_id on subscription_events (subscription_id, id);

-- The one exception to the audit log being append-only: the words of a customer who was erased, which become '(erased)'.
create function refuse_rewriting_audit_log() returns trigger language plpgsql as $$
begin
    if tg_op = 'UPDATE' and new.why = '(erased)' and old.actor like 'customer:%'
        and to_jsonb(new) - 'why' = to_jsonb(old) - 'why'
        and exists (select from subscriptions join users on users.id = subscriptions.user_id
                     where subscriptions.id = old.subscription_id and users.erased_at is not null) then
        return new;
    end if;
    raise exception 'subscription_events is append-only'
        using errcode = 'check_violation', constraint = 'subscription_events_append_only';
end $$;
create trigger subscription_events_append_only before update or delete on subscription_events
    for each row execute function refuse_rewriting_audit_log();

-- A plan's new price for those who pay its old one, announced by an operator.
create table price_changes (
    id             uuid        primary key,
    plan           varchar(50) not null references plans (code),
    cycle          varchar(20) not null,
    old_amount     integer     not null,
    new_amount     integer     not null,
    effective_from date        not null,
    reprices_plan  boolean     not null,
    -- Which one it goes on from: those whom that has not reached by then are this one's.
    follows        uuid        references price_changes (id),
    requested_by   text        not null,
    reason         text        not null,
    created_at     timestamptz not null,
    closed_at      timestamptz,
    withdrawn_at   timestamptz,
    withdrawn_by   text,
    withdrawal     text,
    constraint price_changes_cycle_known check (cycle in ('monthly', 'yearly')),
    constraint price_changes_amounts_chargeable check (old_amount >= 100 and new_amount >= 100),
    constraint price_changes_amounts_differ check (old_amount <> new_amount),
    constraint price_changes_says_why check (char_length(btrim(reason)) > 0),
    constraint price_changes_not_in_the_past check (effective_from >= (created_at at time zone 'Asia/Seoul')::date),
    -- The run of the next day is the first that is sure to come, and it asks 30 days before.
    constraint price_changes_time_to_ask check (
        new_amount < old_amount or effective_from > (created_at at time zone 'Asia/Seoul')::date + 30),
    constraint price_changes_withdrawal_says_who_and_why check (
        (withdrawn_at is null) = (withdrawn_by is null) and (withdrawn_at is null) = (withdrawal is null)),
    constraint price_changes_withdrawn_before_it_holds check (
        (withdrawn_at at time zone 'Asia/Seoul')::date < effective_from),
    -- Lets a plan change's foreign key hold it to exactly this price.
    constraint price_changes_content_key unique (id, plan, cycle, new_amount)
);
create unique index price_changes_one_open on price_changes (plan, cycle) where withdrawn_at is null and closed_at is null;

comment on table price_changes is 'A plan''s new price for those who pay its old one. Content never changes; what is wanted instead is another row.';
comment on column price_changes.effective_from is 'Civil date in Seoul. Each subscription follows at its first renewal from then on that has neither begun nor been billed.';
comment on column price_changes.reprices_plan is 'Whether new subscribers pay it, too; else it only brings others to the plan''s price.';
comment on column price_changes.closed_at is 'When another one took its place. What it is due before that one holds still comes.';

-- Content is fixed, and a withdrawal is for good. Where the one that took its place is withdrawn, it is open again.
create trigger price_changes_fixed before update on price_changes for each row
    when (to_jsonb(new) - '{closed_at,withdrawn_at,withdrawn_by,withdrawal}'::text[]
            <> to_jsonb(old) - '{closed_at,withdrawn_at,withdrawn_by,withdrawal}'::text[]
        or (old.withdrawn_at is not null
            and (new.closed_at, new.withdrawn_at, new.withdrawn_by, new.withdrawal)
                is distinct from (old.closed_at, old.withdrawn_at, old.withdrawn_by, old.withdrawal)))
    execute function refuse_rewriting_history();

create trigger price_changes_kept before delete on price_changes
    for each row execute function refuse_rewriting_history();

-- A subscription moves to another plan, cycle or price at a renewal.
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
        unique (id, subscription_id, to_plan, to_cycle, from_amount, to_amount, effective_on),
    constraint plan_changes_of_the_very_price foreign key (price_change_id, to_plan, to_cycle, to_amount)
        references price_changes (id, plan, cycle, new_amount),
    constraint plan_changes_price_of_its_own_plan check (
        price_change_id is null or (from_plan = to_plan and from_cycle = to_cycle))
);
create unique index plan_changes_one_wish on plan_changes (subscription_id)
    where status = 'pending' and price_change_id is null;
create unique index plan_changes_one_new_price on plan_changes (subscription_id)
    where status = 'pending' and price_change_id is not null;
create unique index plan_changes_one_per_price_change on plan_changes (price_change_id, subscription_id)
    where status <> 'superseded';
create index idx_plan_changes_subscription_id on plan_changes (subscription_id, effective_on);
create index idx_plan_changes_pending on plan_changes (effective_on, subscription_id) where status = 'pending';
create index idx_plan_changes_price on plan_changes (price_change_id, subscription_id) where price_change_id is not null;

comment on table plan_changes is 'What a subscription is to become, and at which renewal. Content never changes; what is wanted instead is another row.';
comment on column plan_changes.price_change_id is 'The new price of the plan that it follows from; null: the customer''s own wish.';
comment on column plan_changes.effective_no is 'The first period under the new terms.';
comment on column plan_changes.effective_on is 'The civil date in Seoul on which that period begins and is charged.';
comment on column plan_changes.status is 'pending; applied; withdrawn: taken back before; superseded: another came in its place; lapsed: its renewal never came, or came without consent.';

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

-- It begins from the price that is replaced (or one that had been replaced before), on its date or later, and while it stands.
create function refuse_other_price_change() returns trigger language plpgsql as $$
declare price price_changes;
begin
    select * into price from price_changes where id = new.price_change_id for share;
    if price.withdrawn_at is not null or (tg_op = 'INSERT' and price.closed_at is not null) then
        raise exception 'price change % does not stand any more', price.id
            using errcode = 'check_violation', constraint = 'plan_changes_price_stands';
    end if;
    if new.effective_on < price.effective_from then
        raise exception 'price change % holds from % on, not from %', price.id, price.effective_from, new.effective_on
            using errcode = 'check_violation', constraint = 'plan_changes_not_before_the_price';
    end if;
    if new.from_amount <> price.old_amount and not exists (
        select from price_changes earlier
         where (earlier.plan, earlier.cycle, earlier.old_amount) = (price.plan, price.cycle, new.from_amount)
           and earlier.closed_at is not null and earlier.withdrawn_at is null) then
        raise exception 'price change % replaces % won, not %', price.id, price.old_amount, new.from_amount
            using errcode = 'check_violation', constraint = 'plan_changes_from_the_old_price';
    end if;
    return new;
end $$;

create trigger plan_changes_from_the_old_price before insert on plan_changes for each row
    when (new.price_change_id is not null) execute function refuse_other_price_change();
create trigger plan_changes_price_stands before update on plan_changes for each row
    when (new.price_change_id is not null and new.status = 'applied') execute function refuse_other_price_change();

-- The first day of a period. Counted from the anchor as everywhere: 31 January, 28 February, 31 March.
create function period_start(subscription subscriptions, no integer) returns date language sql immutable as $$
    select (subscription.anchor_on + make_interval(months => subscription.terms_since_month
        + (no - subscription.terms_since_period) * case subscription.billing_cycle when 'yearly' then 12 else 1 end))::date
$$;

-- The customer's agreement to a higher amount.
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

-- Subscriptions that another system charged before.
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
