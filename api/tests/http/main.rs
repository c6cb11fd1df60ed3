//! The API over HTTP, each test on a database of its own. The worker's part is played by what it would write.

#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cancels;
#[cfg(test)]
mod confirms;
#[cfg(test)]
mod console;
#[cfg(test)]
mod cors;
#[cfg(test)]
mod cron;
#[cfg(test)]
mod customers;
#[cfg(test)]
mod database_away;
#[cfg(test)]
mod ends;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod lists;
#[cfg(test)]
mod new_cards;
#[cfg(test)]
mod plan_changes;
#[cfg(test)]
mod problems;
#[cfg(test)]
mod published_keys;
#[cfg(test)]
mod purchases;
#[cfg(test)]
mod refunds;
#[cfg(test)]
mod resumes;
#[cfg(test)]
mod subscribes;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod webhooks;
#[cfg(test)]
mod worker;
