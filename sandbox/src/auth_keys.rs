//! One-time auth keys: what a finished card registration window hands back.

use std::collections::HashMap;

use crate::ids;

#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) customer_key: String,
    pub(crate) card_number: String,
}

#[derive(Debug, Default)]
pub(crate) struct AuthKeys {
    unused: HashMap<String, Registration>,
}

impl AuthKeys {
    pub(crate) fn create(&mut self, registration: Registration) -> String {
        let key = ids::auth_key();
        self.unused.insert(key.clone(), registration);
        key
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Registration> {
        self.unused.get(key)
    }

    pub(crate) fn consume(&mut self, key: &str) {
        self.unused.remove(key);
    }
}
