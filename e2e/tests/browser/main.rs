//! The example checkout in a real browser, from the card's number to the subscription: Chromium, the API and a worker
//! as processes, the sandbox as Toss.

#![cfg(test)]

mod checkout;
mod chromium;
mod console;
mod page;
mod shop;
