//! Rows of one source that claim the same subscription, the same user or the same billing key.

use std::{collections::HashMap, hash::Hash};

use super::model::{Claim, Mistakes};
use super::rows::Place;

pub(crate) fn find(claims: &[Claim], mistakes: &mut Mistakes) {
    twice(claims, "id", mistakes, |claim| claim.id);
    twice(claims, "user_id", mistakes, |claim| claim.user_id);
    twice(claims, "billing_key", mistakes, |claim| claim.billing_key);
}

fn twice<K: Eq + Hash>(
    claims: &[Claim],
    field: &'static str,
    mistakes: &mut Mistakes,
    key: impl Fn(&Claim) -> K,
) {
    let mut first: HashMap<K, &Place> = HashMap::with_capacity(claims.len());
    for claim in claims {
        if let Some(place) = first.get(&key(claim)) {
            mistakes.add(&claim.place, field, &format!("is that of {place}, too"));
        } else {
            first.insert(key(claim), &claim.place);
        }
    }
}
