-- Webhooks of no interest are forgotten: anybody can send them, and Toss repeats one for less than four days.

create index idx_webhook_events_in_ignored on webhook_events_in (received_at) where state = 'ignored';
