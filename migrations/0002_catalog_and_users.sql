-- Functions that fences share, users, plans, operators and settings.

-- Refuses a change of status that the state machine does not have. Each table's trigger lists the legal ones.
create function refuse_transition() returns trigger language plpgsql as $$
begin
    raise exception '% % may not go from % to %', tg_table_name, old.id, old.status, new.status
        using errcode = 'check_violation', constraint = tg_table_name || '_legal_transition';
end $$;

-- Refuses to change or delete rows of an append-only table.
create function refuse_rewriting_history() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name
        using errcode = 'check_violation', constraint = tg_table_name || '_append_only';
end $$;

create table users (
    id         uuid        primary key,
    -- The newest address and name that the customer gave. Every e-mail uses them.
    email      text,
    name       text,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    erased_at  timestamptz
);
-- Operators search by the beginning of an address or a name.
create index idx_users_email on users (lower(email) text_pattern_ops);
create index idx_users_name on users (lower(name) text_pattern_ops);
comment on column users.erased_at is 'When the personal data were last erased. A customer who comes back is known by what they say then.';

create table plans (
    code           text        primary key,
    name           text        not null,
    monthly_amount integer     not null,
    yearly_amount  integer     not null,
    -- Whether a customer may hold it beside another subscription. By default a second purchase is refused.
    may_be_held_beside_others boolean not null default false,
    updated_at     timestamptz not null default now(),
    -- Toss refuses cards below 100 won (BELOW_MINIMUM_AMOUNT).
    constraint plans_amounts_chargeable check (monthly_amount >= 100 and yearly_amount >= 100),
    constraint plans_code_plain check (code ~ '^[a-z0-9_-]{1,50}$')
);

insert into plans (code, name, monthly_amount, yearly_amount) values
    ('personal', '퍼스널', 9900, 94800),
    ('pro', '프로', 19900, 190800);

create table operators (
    id              uuid        primary key,
    -- In lower case.
    email           text        not null,
    role            varchar(10) not null default 'operator',
    -- argon2id as a PHC string; null until the operator sets a password by the one-time link.
    password_hash   text,
    -- SHA-256 of the API token and of the one-time link; null where there is none.
    token_hash      bytea,
    link_hash       bytea,
    link_expires_at timestamptz,
    created_at      timestamptz not null default now(),
    disabled_at     timestamptz,
    constraint operators_email_key unique (email),
    constraint operators_token_hash_key unique (token_hash),
    constraint operators_link_hash_key unique (link_hash),
    constraint operators_role_known check (role in ('viewer', 'operator', 'admin')),
    constraint operators_link_expires check ((link_hash is null) = (link_expires_at is null))
);

-- Logins of the console. By the database's clock: a test clock that jumps a month must not log its operator out.
create table operator_sessions (
    id          uuid        primary key,
    operator_id uuid        not null references operators (id),
    -- SHA-256 of the cookie's 256-bit token.
    token_hash  bytea       not null,
    created_at  timestamptz not null default clock_timestamp(),
    seen_at     timestamptz not null default clock_timestamp(),
    ended_at    timestamptz,
    address     text,
    user_agent  text,
    constraint operator_sessions_token_hash_key unique (token_hash)
);
create index idx_operator_sessions_operator_id on operator_sessions (operator_id, created_at);

-- An operator's second factor: the secret that an authenticator app shares with the console.
create table operator_totp (
    operator_id uuid        primary key references operators (id),
    -- Sealed under a key of the API, which no dump of the database holds.
    secret      text        not null,
    -- The last 30-second step whose code was taken: a code that somebody read works no second time.
    last_step   bigint      not null,
    created_at  timestamptz not null default clock_timestamp()
);

-- For a lost phone, each works once. SHA-256 of 80 random bits.
create table operator_recovery_codes (
    operator_id uuid        not null references operator_totp (operator_id) on delete cascade,
    code_hash   bytea       not null,
    used_at     timestamptz,
    primary key (operator_id, code_hash)
);

-- How often a login failed, per account and per address, and until when the next one is refused. By the database's clock.
create table operator_login_failures (
    -- account:<e-mail address> or address:<IP address>; an account need not exist.
    subject        text        primary key,
    failures       integer     not null default 0,
    last_failed_at timestamptz not null default clock_timestamp(),
    locked_until   timestamptz,
    constraint operator_login_failures_counted check (failures >= 0)
);

create table settings (
    name       text        primary key,
    value      jsonb       not null,
    updated_at timestamptz not null default clock_timestamp()
);
insert into settings (name, value) values ('charging', '{"enabled": true}');
