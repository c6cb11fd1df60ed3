-- Whether Toss is worth asking at present, known to all workers.
create table gateway_breaker (
    gateway      text        primary key,
    -- Technical failures in a row; an answer from the bank, yes or no, sets it back.
    failures     integer     not null default 0,
    open_until   timestamptz,
    last_failure text,
    constraint gateway_breaker_failures_counted check (failures >= 0)
);
insert into gateway_breaker (gateway) values ('toss');

-- A scan that declines nearly everybody stops itself: how the first tries of the day went.
create index idx_payments_first_tries on payments (settled_at) where kind = 'renewal' and attempt_no = 1;

-- The next free turn to ask Toss, handed out to all workers. By the database's clock: it is about real requests.
create table gateway_pace (
    gateway   text        primary key,
    next_turn timestamptz not null default clock_timestamp()
);
insert into gateway_pace (gateway) values ('toss');
