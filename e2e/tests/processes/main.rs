//! Guarantees that need real processes: they are killed, stopped, doubled and cut off, and the money is counted.

#![cfg(test)]

mod api;
mod books;
mod clocks;
mod command_line;
mod customer;
mod database_away;
mod events;
mod kills;
mod limits;
mod mail;
mod mail_tls;
mod new_card_kills;
mod plan_change_kills;
mod program;
mod proxy;
mod round_trips;
mod scan;
mod side_by_side;
mod smtp_server;
mod stops;
mod supervised;
mod system;
