-- What no statement may do, from whatever program or hand it comes: illegal transitions, too large amounts, rewritten history.

create function refuse_transition() returns trigger language plpgsql as $$
begin
    raise exception '% % may not go from % to %', tg_table_name, old.id, old.status, new.status
        using errcode = 'check_violation', constraint = tg_table_name || '_legal_transition';
end $$;

create trigger subscriptions_legal_transition before update of status on subscriptions for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('incomplete', 'active'), ('incomplete', 'canceled'),
        ('active', 'past_due'), ('active', 'canceled'),
        ('past_due', 'active'), ('past_due', 'suspended'), ('past_due', 'canceled'),
        ('suspended', 'active'), ('suspended', 'canceled'),
        ('canceled', 'active')))
    execute function refuse_transition();

create trigger invoices_legal_transition before update of status on invoices for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('open', 'paid'), ('open', 'void'), ('open', 'uncollectible'),
        ('uncollectible', 'open'), ('uncollectible', 'paid'), ('uncollectible', 'void')))
    execute function refuse_transition();

create trigger payments_legal_transition before update of status on payments for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('pending', 'unknown'), ('pending', 'completed'), ('pending', 'failed'),
        -- Back to pending: the same key, sent again, was answered "not sent", so it never was.
        ('unknown', 'completed'), ('unknown', 'failed'), ('unknown', 'pending'),
        ('completed', 'partially_refunded'), ('completed', 'refunded'), ('partially_refunded', 'refunded')))
    execute function refuse_transition();

create trigger refunds_legal_transition before update of status on refunds for each row
    when (old.status <> new.status and (old.status, new.status) not in (
        ('pending', 'unknown'), ('pending', 'completed'), ('pending', 'failed'),
        ('unknown', 'completed'), ('unknown', 'failed')))
    execute function refuse_transition();

-- The customer agreed to subscriptions.amount; an invoice may ask for that or less.
create function refuse_amount_above_agreement() returns trigger language plpgsql as $$
declare agreed integer;
begin
    select amount into agreed from subscriptions where id = new.subscription_id for share;
    if new.amount > agreed then
        raise exception 'invoice % asks for % won, the customer agreed to %', new.id, new.amount, agreed
            using errcode = 'check_violation', constraint = 'invoices_amount_agreed';
    end if;
    return new;
end $$;

create trigger invoices_amount_agreed before insert or update of amount on invoices
    for each row execute function refuse_amount_above_agreement();

-- An attempt belongs to one order for ever: what was sent under that name cannot be renamed afterwards.
create function refuse_changed_attempt() returns trigger language plpgsql as $$
begin
    raise exception 'attempt % is fixed: order, amount, invoice and a sent key do not change', old.id
        using errcode = 'check_violation', constraint = 'payments_attempt_fixed';
end $$;

create trigger payments_attempt_fixed before update on payments for each row
    when (old.order_id <> new.order_id or old.amount <> new.amount or old.invoice_id <> new.invoice_id
        or (old.idempotency_key <> new.idempotency_key and new.sent_at is not null)
        or (old.status in ('completed', 'refunded', 'partially_refunded')
            and (old.payment_key <> new.payment_key or old.paid_at <> new.paid_at)))
    execute function refuse_changed_attempt();

-- Refunds asked for, in flight or done never exceed what was captured. The payment's row is the lock.
create function refuse_refund_above_capture() returns trigger language plpgsql as $$
declare captured integer; asked bigint;
begin
    select amount into captured from payments
     where id = new.payment_id and status in ('completed', 'partially_refunded', 'refunded') for update;
    if captured is null then
        raise exception 'payment % has captured nothing to refund', new.payment_id
            using errcode = 'check_violation', constraint = 'refunds_of_captured_money';
    end if;
    select coalesce(sum(amount), 0) into asked from refunds
     where payment_id = new.payment_id and id <> new.id and status <> 'failed';
    if new.status <> 'failed' and asked + new.amount > captured then
        raise exception 'refunds of payment % would exceed the % won captured', new.payment_id, captured
            using errcode = 'check_violation', constraint = 'refunds_at_most_captured';
    end if;
    return new;
end $$;

create trigger refunds_at_most_captured before insert or update of amount, status, payment_id on refunds
    for each row execute function refuse_refund_above_capture();

create function refuse_rewriting_history() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'check_violation', constraint = tg_table_name || '_append_only';
end $$;

create trigger subscription_events_append_only before update or delete on subscription_events
    for each row execute function refuse_rewriting_history();
