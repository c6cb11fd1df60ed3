//! The console over HTTP: who may see and do what, how sessions begin and end, and what a page never lacks.

mod accounts;
mod acts;
mod browser;
mod pages;
mod roles;
mod second_factor;
