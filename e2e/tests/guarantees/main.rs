//! The guarantees of the whole system: each test reads as a sentence of the guide or of the promise, turns the clock by
//! hand, and ends by counting the money in the sandbox's ledger.

#[cfg(test)]
mod anchor;
#[cfg(test)]
mod answers_kept;
#[cfg(test)]
mod bound_errors;
#[cfg(test)]
mod bulk_actions;
#[cfg(test)]
mod cancel;
#[cfg(test)]
mod card_window;
#[cfg(test)]
mod consent_fences;
#[cfg(test)]
mod deposit;
#[cfg(test)]
mod dry_run;
#[cfg(test)]
mod dunning;
#[cfg(test)]
mod end;
#[cfg(test)]
mod erasure;
#[cfg(test)]
mod event_delivery;
#[cfg(test)]
mod event_facts;
#[cfg(test)]
mod fences;
#[cfg(test)]
mod fences_of_records;
#[cfg(test)]
mod first_payment;
#[cfg(test)]
mod gate;
#[cfg(test)]
mod import;
#[cfg(test)]
mod job_table;
#[cfg(test)]
mod lost_answers;
#[cfg(test)]
mod mailbox;
#[cfg(test)]
mod never_arrived;
#[cfg(test)]
mod new_card;
#[cfg(test)]
mod new_card_races;
#[cfg(test)]
mod one_row;
#[cfg(test)]
mod operator_actions;
#[cfg(test)]
mod outage;
#[cfg(test)]
mod payment_claims;
#[cfg(test)]
mod plan_change_races;
#[cfg(test)]
mod plan_changes;
#[cfg(test)]
mod postman;
#[cfg(test)]
mod price_change_fences;
#[cfg(test)]
mod price_change_reach;
#[cfg(test)]
mod price_changes;
#[cfg(test)]
mod prices;
#[cfg(test)]
mod receiver;
#[cfg(test)]
mod reconciliation;
#[cfg(test)]
mod refunds;
#[cfg(test)]
mod refused_requests;
#[cfg(test)]
mod renewal;
#[cfg(test)]
mod resume;
#[cfg(test)]
mod scan_rows;
#[cfg(test)]
mod second_purchase;
#[cfg(test)]
mod subscribe;
#[cfg(test)]
mod subscribe_lost;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod wishes;
#[cfg(test)]
mod world;
