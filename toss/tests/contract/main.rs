//! The client against a line that answers, refuses, hangs, breaks and lies.

#![cfg(test)]

mod answers;
mod failures;
mod requests;
mod secrets;
mod stub;
