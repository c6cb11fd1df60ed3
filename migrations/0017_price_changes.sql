-- A new price of a plan for those who pay an old one: announced by an operator, it reaches each of them at a renewal.

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
    spread_at      timestamptz,
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
comment on column price_changes.spread_at is 'When every subscription concerned was last known to have its plan change, or to have lost it. Null: the sweep sees to it.';
comment on column price_changes.closed_at is 'When another one took its place. What it is due before that one holds still comes.';

-- Content is fixed, and a withdrawal is for good. Where the one that took its place is withdrawn, it is open again.
create trigger price_changes_fixed before update on price_changes for each row
    when (to_jsonb(new) - '{spread_at,closed_at,withdrawn_at,withdrawn_by,withdrawal}'::text[]
            <> to_jsonb(old) - '{spread_at,closed_at,withdrawn_at,withdrawn_by,withdrawal}'::text[]
        or (old.withdrawn_at is not null
            and (new.closed_at, new.withdrawn_at, new.withdrawn_by, new.withdrawal)
                is distinct from (old.closed_at, old.withdrawn_at, old.withdrawn_by, old.withdrawal)))
    execute function refuse_rewriting_history();

create trigger price_changes_kept before delete on price_changes
    for each row execute function refuse_rewriting_history();

alter table plan_changes
    add constraint plan_changes_of_the_very_price foreign key (price_change_id, to_plan, to_cycle, to_amount)
        references price_changes (id, plan, cycle, new_amount),
    add constraint plan_changes_price_of_its_own_plan check (
        price_change_id is null or (from_plan = to_plan and from_cycle = to_cycle));

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

-- Who pays what, for whom a new price is.
create index idx_subscriptions_price on subscriptions (plan, billing_cycle, amount, id) where status <> 'canceled';
create index idx_plan_changes_price on plan_changes (price_change_id, subscription_id) where price_change_id is not null;
