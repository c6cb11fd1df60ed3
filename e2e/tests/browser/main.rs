//! The example checkout in a real browser, from the card's number to the subscription: Chromium, the API and a worker
//! as processes, the sandbox as Toss.

#[cfg(test)]
mod checkout;
#[cfg(test)]
mod chromium;
#[cfg(test)]
mod console;
#[cfg(test)]
mod page;
#[cfg(test)]
mod shop;
