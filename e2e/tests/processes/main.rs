//! Guarantees that need real processes: they are killed, stopped, doubled and cut off, and the money is counted.

#[cfg(test)]
mod api;
#[cfg(test)]
mod books;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod customer;
#[cfg(test)]
mod database_away;
#[cfg(test)]
mod events;
#[cfg(test)]
mod kills;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod new_card_kills;
#[cfg(test)]
mod plan_change_kills;
#[cfg(test)]
mod program;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod round_trips;
#[cfg(test)]
mod scan;
#[cfg(test)]
mod side_by_side;
#[cfg(test)]
mod smtp_server;
#[cfg(test)]
mod stops;
#[cfg(test)]
mod supervised;
#[cfg(test)]
mod system;
#[cfg(test)]
mod wait;
