//! Scripting: everything a test or a demo may do to the sandbox, as methods; the routes call the same ones.

mod commands;
mod guide;
mod routes;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

pub(crate) use routes::routes;

use crate::config::Config;
use crate::keys::AcceptedKeys;
use crate::state::SandboxState;

/// A handle on a sandbox; clones share it.
#[derive(Debug, Clone)]
pub struct Script {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<SandboxState>,
    wake_signal: Notify,
    config: Config,
    accepted_keys: AcceptedKeys,
}

/// How a buyer pays in the payment window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    #[default]
    Card,
    VirtualAccount,
}

/// A buyer who finished the payment window.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Purchase {
    pub order_id: String,
    /// Whole won.
    pub amount: i64,
    /// Default: the card that pays.
    #[serde(default)]
    pub card_number: Option<String>,
    #[serde(default)]
    pub customer_key: Option<String>,
    #[serde(default)]
    pub order_name: Option<String>,
    #[serde(default)]
    pub method: Method,
    /// Who is named as the account's customer; virtual accounts only.
    #[serde(default)]
    pub customer_name: Option<String>,
    /// How long the virtual account takes the deposit, from the confirm on. Default: 168.
    #[serde(default)]
    pub valid_hours: Option<i64>,
}

impl Purchase {
    pub fn new(order_id: &str, amount: i64) -> Self {
        Self {
            order_id: order_id.to_owned(),
            amount,
            card_number: None,
            customer_key: None,
            order_name: None,
            method: Method::Card,
            customer_name: None,
            valid_hours: None,
        }
    }

    #[must_use]
    pub fn card(mut self, number: &str) -> Self {
        self.card_number = Some(number.to_owned());
        self
    }

    /// Pays by deposit, within these hours after the confirm.
    #[must_use]
    pub fn by_virtual_account(mut self, valid_hours: i64) -> Self {
        self.method = Method::VirtualAccount;
        self.valid_hours = Some(valid_hours);
        self
    }

    #[must_use]
    pub fn customer(mut self, customer_key: &str) -> Self {
        self.customer_key = Some(customer_key.to_owned());
        self
    }
}

/// What the window's success redirect carries: the payment waits ten minutes for its confirm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenPayment {
    pub payment_key: String,
    pub order_id: String,
    pub amount: i64,
}

/// A buyer who registered a card in the billing window.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CardRegistration {
    pub customer_key: String,
    #[serde(default)]
    pub card_number: Option<String>,
}

/// A billing key that was issued, and whether it still charges.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuedKey {
    pub billing_key: String,
    /// Digits only.
    pub card_number: String,
    pub is_deleted: bool,
}

impl Script {
    pub(crate) fn new(config: Config) -> Self {
        let state = Mutex::new(SandboxState::new(&config, 0));
        let accepted_keys = AcceptedKeys::new(config.accepted_keys.clone());
        Self { inner: Arc::new(Inner { state, wake_signal: Notify::new(), config, accepted_keys }) }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, SandboxState> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(crate) fn accepted_keys(&self) -> &AcceptedKeys {
        &self.inner.accepted_keys
    }

    /// Wakes the dispatcher.
    pub(crate) fn wake(&self) {
        self.inner.wake_signal.notify_one();
    }

    pub(crate) fn woken(&self) -> Notified<'_> {
        self.inner.wake_signal.notified()
    }
}
