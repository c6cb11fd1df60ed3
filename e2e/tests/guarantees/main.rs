//! The guarantees of the whole system: each test reads as a sentence of the guide or of the promise, turns the clock by
//! hand, and ends by counting the money in the sandbox's ledger.

#![cfg(test)]

mod anchor;
mod answers_kept;
mod bound_errors;
mod bulk_actions;
mod cancel;
mod card_window;
mod consent_fences;
mod deposit;
mod dry_run;
mod dunning;
mod end;
mod erasure;
mod event_delivery;
mod event_facts;
mod fences;
mod fences_of_records;
mod first_payment;
mod gate;
mod import;
mod job_table;
mod lost_answers;
mod mailbox;
mod merchants;
mod never_arrived;
mod new_card;
mod new_card_races;
mod one_row;
mod operator_actions;
mod outage;
mod payment_claims;
mod plan_change_races;
mod plan_changes;
mod postman;
mod price_change_fences;
mod price_change_reach;
mod price_changes;
mod prices;
mod probes;
mod receiver;
mod reconciliation;
mod refunds;
mod refused_requests;
mod renewal;
mod renewal_notices;
mod requests;
mod resume;
mod retry_after;
mod scan_rows;
mod second_purchase;
mod subscribe;
mod subscribe_lost;
mod webhooks;
mod world;
