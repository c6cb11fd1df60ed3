//! Customers who are signed in at the merchant's login service.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

/// The secret that the login service of the tests signs with (HS256).
pub const AUTH_JWT_SECRET: &str = "a secret of at least thirty-two bytes";

/// 1 January 2100, in Unix seconds: no test turns the machine's clock.
pub const FAR: u64 = 4_102_444_800;

/// Returns the user id of the customer with this number.
pub fn customer_id(number: u128) -> Uuid {
    Uuid::from_u128(0x0192_f0c1_5c00_7000_8000_0000_0000_0000 | number)
}

/// Signs these claims as the login service does.
pub fn token(claims: &Value) -> String {
    encode(&Header::default(), claims, &EncodingKey::from_secret(AUTH_JWT_SECRET.as_bytes()))
        .expect("claims are JSON")
}

/// Returns the token of a customer, valid until [`FAR`].
pub fn customer_token(id: Uuid) -> String {
    token(&json!({ "sub": id, "exp": FAR }))
}
