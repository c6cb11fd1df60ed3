-- The circuit breaker, the rate limit, the daily comparison with the gateway's transactions, the work that has lost its job,
-- and what operators did.

-- Whether an account of Toss is worth asking at present, known to all workers. Confirmations are made with the widget's keys,
-- charges and card registrations with the billing keys: what fails for one account says nothing about the other.
create table gateway_breaker (
    gateway         text        primary key,
    -- Technical failures in a row, of different subscriptions; an answer from the bank, yes or no, sets it back.
    failures        integer     not null default 0,
    -- Whose failures were counted: one customer's request cannot open the breaker for everybody.
    failed_subjects uuid[]      not null default '{}',
    open_until      timestamptz,
    last_failure    text,
    constraint gateway_breaker_failures_counted check (failures >= 0)
);
insert into gateway_breaker (gateway) values ('widget'), ('billing');

-- What stands between a job and Toss, for whoever reads it together with something else: both breakers, the installation that
-- the database is bound to, the operators' kill switch.
create function gateway_status() returns jsonb language plpgsql stable as $$
begin
    return jsonb_build_object(
        'widget', (select jsonb_build_object('failures', failures, 'open_until', open_until)
                     from gateway_breaker where gateway = 'widget'),
        'billing', (select jsonb_build_object('failures', failures, 'open_until', open_until)
                      from gateway_breaker where gateway = 'billing'),
        'instance', (select value from settings where name = 'instance'),
        'charging_enabled', coalesce((select (value->>'enabled')::bool from settings where name = 'charging'), true));
end $$;

-- The next free turn to ask Toss, handed out to all workers, by lane: each kind of call has its share of the rate for sure. By
-- the database's clock: it is about real requests.
create table gateway_pace (
    lane      text             primary key,
    share     double precision not null,
    next_turn timestamptz      not null default clock_timestamp(),
    -- Toss has asked for a pause until then: the lane takes no turns of other lanes.
    put_off_until timestamptz  not null default '-infinity',
    constraint gateway_pace_share_of_the_rate check (share > 0 and share <= 1)
);
insert into gateway_pace (lane, share) values
    ('confirmation', 0.2), ('charge', 0.3), ('refund', 0.1), ('look_up', 0.15), ('webhook', 0.05), ('common', 0.2);

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

create function subscription_ref(id uuid) returns text language sql immutable as $$
    select 'sub_' || replace(id::text, '-', '')
$$;

-- What operators did. A row is written in the transaction of the change itself.
create table operator_actions (
    id              bigint      primary key generated always as identity,
    at              timestamptz not null,
    actor           text        not null,
    operator_id     uuid,
    channel         varchar(20) not null,
    os_user         text,
    address         text,
    action          text        not null,
    target_kind     varchar(20) not null,
    target_id       text        not null,
    subscription_id uuid        references subscriptions (id),
    reason          text        not null,
    before          jsonb       not null,
    after           jsonb       not null,
    request_key     text,
    bulk_id         uuid,
    constraint operator_actions_request_key_key unique (request_key),
    constraint operator_actions_channel_known check (channel in ('console', 'api', 'command_line')),
    constraint operator_actions_says_who check (
        actor like 'operator:_%' and (channel = 'command_line') = (os_user is not null)
        and (channel = 'command_line') = (operator_id is null)),
    constraint operator_actions_says_why check (
        reason = btrim(reason) and char_length(reason) between 1 and 500 and reason !~ '[[:cntrl:]]')
);
create index idx_operator_actions_target on operator_actions (target_kind, target_id, id);
create index idx_operator_actions_subscription_id on operator_actions (subscription_id, id) where subscription_id is not null;
create index idx_operator_actions_actor on operator_actions (actor, id);
create index idx_operator_actions_bulk_id on operator_actions (bulk_id, id) where bulk_id is not null;

create trigger operator_actions_append_only before update or delete on operator_actions
    for each row execute function refuse_rewriting_history();

comment on table operator_actions is 'The audit log of operators: one row per action, with its target before and after. Append-only. Holds no address and no name of a customer.';
comment on column operator_actions.actor is 'operator:<e-mail address>; at the command line the name that --as gives, or the user of the operating system.';
comment on column operator_actions.operator_id is 'The operator''s row; null at the command line.';
comment on column operator_actions.address is 'The IP address that the request came from, where there is one.';
comment on column operator_actions.request_key is 'The name of one submitted form: a second submit is the same action.';
comment on column operator_actions.bulk_id is 'The bulk action that this one is an item of.';

-- What an operator says became of a payment that needs review. The worker asks the gateway before anything is booked.
create table payment_claims (
    id             uuid        primary key,
    payment_id     uuid        not null references payments (id),
    claim          varchar(10) not null,
    payment_key    varchar(200),
    proposed_by    text        not null,
    proposed_at    timestamptz not null,
    reason         text        not null,
    agreed_by      text,
    agreed_at      timestamptz,
    state          varchar(20) not null default 'checking',
    gateway_answer varchar(20),
    finding        text,
    settled_at     timestamptz,
    constraint payment_claims_claim_known check (claim in ('paid', 'not_paid')),
    constraint payment_claims_paid_names_the_payment check ((claim = 'paid') = (payment_key is not null)),
    constraint payment_claims_state_known check (state in ('checking', 'needs_agreement', 'confirmed', 'refused')),
    constraint payment_claims_answer_known check (gateway_answer in ('paid', 'not_paid', 'cannot_tell')),
    constraint payment_claims_agreement_has_time check ((agreed_by is null) = (agreed_at is null)),
    constraint payment_claims_agreed_by_another check (agreed_by <> proposed_by),
    constraint payment_claims_settled_has_time check (
        (state in ('confirmed', 'refused')) = (settled_at is not null) and (settled_at is null or finding is not null)),
    -- Nothing is paid without the gateway's word, and nothing given up without it unless two operators say so.
    constraint payment_claims_confirmed_is_proven check (
        state <> 'confirmed' or (gateway_answer is not null
            and (gateway_answer = claim or (claim = 'not_paid' and gateway_answer = 'cannot_tell' and agreed_by is not null))))
);
create unique index payment_claims_one_open on payment_claims (payment_id) where state in ('checking', 'needs_agreement');
create index idx_payment_claims_payment_id on payment_claims (payment_id, proposed_at);
create index idx_payment_claims_checking on payment_claims (proposed_at) where state = 'checking';

-- What was claimed, by whom, and who agreed does not change; what is settled stays so.
create trigger payment_claims_fixed before update on payment_claims for each row
    when (old.settled_at is not null or (old.agreed_by is not null and new.agreed_by is distinct from old.agreed_by)
        or (old.payment_id, old.claim, old.payment_key, old.proposed_by, old.proposed_at, old.reason)
            is distinct from (new.payment_id, new.claim, new.payment_key, new.proposed_by, new.proposed_at, new.reason))
    execute function refuse_rewriting_history();
create trigger payment_claims_kept before delete on payment_claims
    for each row execute function refuse_rewriting_history();

comment on table payment_claims is 'What operators say became of payments that need review, and what the gateway said to it.';
comment on column payment_claims.claim is 'paid: under payment_key. not_paid: given up when the gateway says so, or when another operator agrees.';
comment on column payment_claims.state is 'checking: a job asks the gateway. needs_agreement: the gateway cannot tell, another operator has to agree. confirmed: the payment is settled so. refused: it is not so, see finding.';

-- A payment whose answer was lost is given up only when the gateway has said more than once that it knows no such order, or
-- by a claim that is confirmed.
create function refuse_unproven_failure() returns trigger language plpgsql as $$
begin
    if not exists (select from payment_claims
                    where payment_id = new.id and claim = 'not_paid' and state = 'confirmed') then
        raise exception 'payment % may have been made: it cannot be given up', new.id
            using errcode = 'check_violation', constraint = 'payments_failure_proven';
    end if;
    return new;
end $$;

create trigger payments_failure_proven before update of status on payments for each row
    when (old.status = 'unknown' and new.status = 'failed' and new.decline_kind is null and new.not_found_count < 2)
    execute function refuse_unproven_failure();

-- The first line of an error without its ids and numbers: errors with one cause are one group.
create function error_group(error text) returns text language sql immutable as $$
    select left(regexp_replace(split_part(error, E'\n', 1),
        '(sub_|evt_|AUTO_)?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}|[0-9]+', '#', 'g'), 200)
$$;

-- Actions on everything that matches a filter, worked off by one job.
create table bulk_actions (
    id           uuid        primary key,
    created_at   timestamptz not null,
    actor        text        not null,
    operator_id  uuid,
    channel      varchar(20) not null,
    os_user      text,
    address      text,
    action       varchar(40) not null,
    filter       jsonb       not null,
    reason       text        not null,
    request_key  text,
    -- How many there are, and how many won they move.
    total        integer     not null,
    amount       bigint      not null,
    done         integer     not null default 0,
    skipped      integer     not null default 0,
    state        varchar(20) not null default 'running',
    stopped_by   text,
    ended_at     timestamptz,
    constraint bulk_actions_request_key_key unique (request_key),
    constraint bulk_actions_state_known check (state in ('running', 'stopped', 'finished')),
    constraint bulk_actions_ended_has_time check ((state = 'running') = (ended_at is null)),
    constraint bulk_actions_stopped_says_who check ((state = 'stopped') = (stopped_by is not null)),
    constraint bulk_actions_counts check (total > 0 and least(done, skipped) >= 0 and done + skipped <= total),
    constraint bulk_actions_finished_is_complete check (state <> 'finished' or done + skipped = total)
);
create index idx_bulk_actions_running on bulk_actions (created_at) where state = 'running';

-- The items as they were when the bulk action began: what comes later is not part of it.
create table bulk_items (
    bulk_id    uuid        not null references bulk_actions (id),
    position   integer     not null,
    target_id  text        not null,
    outcome    varchar(20),
    note       text,
    settled_at timestamptz,
    primary key (bulk_id, position),
    constraint bulk_items_outcome_known check (outcome in ('done', 'skipped')),
    constraint bulk_items_settled_has_time check ((outcome is null) = (settled_at is null)),
    constraint bulk_items_skipped_says_why check (outcome <> 'skipped' or note is not null)
);
create index idx_bulk_items_waiting on bulk_items (bulk_id, position) where outcome is null;

-- An item is settled once.
create trigger bulk_items_settled_once before update on bulk_items for each row
    when (old.outcome is not null) execute function refuse_rewriting_history();

alter table operator_actions add constraint operator_actions_bulk_id_fkey foreign key (bulk_id) references bulk_actions (id);

comment on table bulk_actions is 'One operator''s action on everything that matched a filter: how far its job has come.';
comment on table bulk_items is 'What one bulk action does, one row per thing. outcome null: still to come. skipped: refused, see note.';

-- What a bulk action can be done to: why_not is null where it is possible now.
create view bulk_candidates as
with charges as (
    select job.id, job.kind, job.state, job.next_id, error_group(coalesce(job.last_error, job.note)) as error_group,
           coalesce(job.finished_at, job.run_at) as at,
           coalesce((select invoice.amount from invoices invoice where invoice.id = (job.subject->>'invoice')::uuid),
                    (select refund.amount from refunds refund where refund.id = (job.subject->>'refund')::uuid), 0) as amount
      from jobs job)
select 'job.retry' as action, id::text as target_id, kind, state, error_group, at, amount,
       case when next_id is not null then 'tried_again' when state in ('running', 'done') then state end as why_not
  from charges
union all
select 'job.discard', id::text, kind, state, error_group, at, amount,
       case when next_id is not null then 'tried_again' when state in ('running', 'done', 'discarded') then state end
  from charges
union all
select action, invoice.id::text, subscription.plan, subscription.status, null, invoice.held_since, invoice.amount,
       case when exists (select from payments where payments.invoice_id = invoice.id
                          and payments.status in ('pending', 'unknown')) then 'payment_in_flight'
            when action = 'invoice.charge' and subscription.status not in ('active', 'past_due') then subscription.status end
  from invoices invoice join subscriptions subscription on subscription.id = invoice.subscription_id
       cross join (values ('invoice.charge'), ('invoice.forgive')) as actions (action)
 where invoice.status = 'open' and invoice.held_since is not null
union all
select 'payment.look_up', id::text, kind, status, toss_code, unknown_since, amount, null
  from payments where status = 'unknown'
union all
select 'email.resend', email.id::text, email.kind, email.status, error_group(email.last_error), email.created_at, 0,
       case when customer.erased_at is not null and customer.email is null then 'customer_erased'
            when exists (select from emails copy where copy.resend_of = email.id) then 'sent_again' end
  from emails email join users customer on customer.id = email.user_id
 where email.status = 'failed';
comment on view bulk_candidates is 'Everything that a bulk action could be done to, with why it is not possible now.';

-- Unfinished work of every kind, and whether somebody looks after it.
create view unfinished_work as
-- An open invoice whose charge is due. First payments are of period 0.
select 'charge-subscription' as kind,
       jsonb_build_object('invoiceId', id, 'subscriptionId', subscription_id, 'byScan', false) as args, id as about,
       jsonb_build_object('subscription', subscription_ref(subscription_id), 'invoice', id) as subject, subscription_id,
       coalesce(next_attempt_at, created_at) as since,
       -- Here and below a subquery with a limit, not "exists": that would be planned as a join with all live jobs.
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind in ('charge-subscription', 'confirm-payment')
           and jobs.about = invoices.id limit 1) is not null as is_looked_after
  from invoices
 where status = 'open' and held_since is null and period_no > 0
union all
-- An open invoice whose first payment is unfinished.
select 'confirm-payment',
       jsonb_build_object('paymentId', first.id, 'invoiceId', first.invoice_id, 'subscriptionId', invoice.subscription_id,
                          'orderId', first.order_id), first.invoice_id,
       jsonb_build_object('subscription', subscription_ref(invoice.subscription_id), 'invoice', first.invoice_id,
                          'payment', first.id, 'order', first.order_id), invoice.subscription_id,
       greatest(coalesce(invoice.next_attempt_at, invoice.created_at), first.created_at),
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind in ('charge-subscription', 'confirm-payment')
           and jobs.about = first.invoice_id limit 1) is not null
  from payments first join invoices invoice on invoice.id = first.invoice_id
 where first.kind = 'first' and first.status in ('pending', 'unknown') and invoice.status = 'open'
   and invoice.held_since is null
union all
-- A refund without an outcome.
select 'refund-payment', jsonb_build_object('refundId', refund.id, 'subscriptionId', payment.subscription_id), refund.id,
       jsonb_build_object('subscription', subscription_ref(payment.subscription_id), 'refund', refund.id),
       payment.subscription_id, refund.created_at,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'refund-payment' and jobs.about = refund.id
         limit 1) is not null
  from refunds refund join payments payment on payment.id = refund.payment_id
 where refund.status in ('pending', 'unknown')
union all
-- A subscription whose first payment did not arrive by its deadline.
select 'end-incomplete-subscription', jsonb_build_object('subscriptionId', id), id,
       jsonb_build_object('subscription', subscription_ref(id), 'incomplete', id), id, repair_until,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'end-incomplete-subscription'
           and jobs.about = subscriptions.id limit 1) is not null
  from subscriptions
 where status = 'incomplete' and repair_until is not null
union all
-- A card registration that is not settled.
select 'issue-billing-key', jsonb_build_object('registrationId', id, 'subscriptionId', subscription_id), id,
       jsonb_build_object('subscription', subscription_ref(subscription_id), 'registration', id),
       subscription_id, created_at,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'issue-billing-key'
           and jobs.about = card_registrations.id limit 1) is not null
  from card_registrations
 where status in ('pending', 'unknown', 'issued', 'proving')
union all
-- A billing key that the gateway has not deleted yet.
select 'delete-billing-key', jsonb_build_object('deletionId', id, 'subscriptionId', subscription_id), id,
       jsonb_build_object('subscription', subscription_ref(subscription_id), 'billingKeyDeletion', id),
       subscription_id, created_at,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'delete-billing-key'
           and jobs.about = billing_key_deletions.id limit 1) is not null
  from billing_key_deletions
 where deleted_at is null
union all
-- An e-mail that is not sent.
select 'send-email', jsonb_build_object('emailId', id, 'subscriptionId', subscription_id), id,
       jsonb_build_object('subscription', subscription_ref(subscription_id), 'email', id), subscription_id, created_at,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'send-email' and jobs.about = emails.id
         limit 1) is not null
  from emails
 where status = 'queued'
union all
-- A webhook from the gateway that is not handled.
select 'handle-webhook', jsonb_build_object('webhookId', id), id, jsonb_build_object('webhook', id), null, received_at,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'handle-webhook'
           and jobs.about = webhook_events_in.id limit 1) is not null
  from webhook_events_in
 where state = 'received'
union all
-- An outgoing event that is not delivered. One that waits for an earlier event of its subscription needs no job.
select 'deliver-event', jsonb_build_object('eventId', event.id, 'subscriptionId', event.subscription_id), delivery.event_id,
       jsonb_build_object('subscription', subscription_ref(event.subscription_id),
                          'event', 'evt_' || replace(event.id::text, '-', '')), event.subscription_id, event.created_at,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'deliver-event'
           and jobs.about = delivery.event_id limit 1) is not null
       or (select earlier.seq from webhook_events_out earlier
             join webhook_deliveries waiting on waiting.event_id = earlier.id
            where earlier.subscription_id = event.subscription_id and earlier.seq < event.seq
              and waiting.state = 'pending' limit 1) is not null
  from webhook_deliveries delivery join webhook_events_out event on event.id = delivery.event_id
 where delivery.state = 'pending'
union all
-- An operator's claim that the gateway is to be asked about.
select 'check-payment-claim',
       jsonb_build_object('claimId', claim.id, 'paymentId', payment.id, 'subscriptionId', payment.subscription_id), claim.id,
       jsonb_build_object('subscription', subscription_ref(payment.subscription_id), 'payment', payment.id, 'claim', claim.id),
       payment.subscription_id, coalesce(claim.agreed_at, claim.proposed_at),
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'check-payment-claim'
           and jobs.about = claim.id limit 1) is not null
  from payment_claims claim join payments payment on payment.id = claim.payment_id
 where claim.state = 'checking'
union all
-- A bulk action that is not worked off.
select 'run-bulk-action', jsonb_build_object('bulkId', id), id, jsonb_build_object('bulk', id), null, created_at,
       (select jobs.id from jobs
         where jobs.state in ('available', 'running', 'parked') and jobs.kind = 'run-bulk-action'
           and jobs.about = bulk_actions.id limit 1) is not null
  from bulk_actions
 where bulk_actions.state = 'running';

comment on view unfinished_work is 'Every piece of work that some job has to finish, with the job that does it.';
comment on column unfinished_work.kind is 'The kind of job that it needs.';
comment on column unfinished_work.args is 'The arguments of that job.';
comment on column unfinished_work.about is 'The unfinished row, which that job moves on.';
comment on column unfinished_work.subject is 'The ids that the job is about.';
comment on column unfinished_work.since is 'When the work was to be done, by the application''s clock.';
comment on column unfinished_work.is_looked_after is 'Whether a waiting, running or parked job does it, or it waits for other work.';

create view work_without_job as
select kind, args, about, subject, subscription_id, since from unfinished_work where not is_looked_after;

comment on view work_without_job is 'Unfinished work that no waiting, running or parked job looks after. A row that is older than two minutes has lost its job; the sweep makes a new one every 15 seconds.';

-- The last row of a slice of so many unfinished rows after one, for the kinds of which there may be many; null for the rest of
-- a kind, and for all other kinds. Literals, not parameters: a partial index is used only where its condition is certain.
create function end_of_slice(of_kind text, after uuid, size bigint) returns uuid language plpgsql stable as $$
begin
    return case of_kind
        when 'charge-subscription' then
            (select id from invoices where status = 'open' and held_since is null and id > after
              order by id offset size - 1 limit 1)
        when 'send-email' then
            (select id from emails where status = 'queued' and id > after order by id offset size - 1 limit 1)
        when 'deliver-event' then
            (select event_id from webhook_deliveries where state = 'pending' and event_id > after
              order by event_id offset size - 1 limit 1)
        end;
end $$;
