//! Passwords: hashed with bcrypt, kept as the hash's text.

use api::pb::authpb::User;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What bcrypt looks at of a password, in bytes.
const LIMIT: usize = 72;

/// The cost to work with; as in golang.org/x/crypto/bcrypt.
pub(super) fn cost(wanted: u32) -> u32 {
    if (4..=31).contains(&wanted) {
        return wanted;
    }
    crate::warning!(
        "use default bcrypt cost instead of the invalid given cost",
        "min-cost": 4, "max-cost": 31, "default-cost": 10, "given-cost": wanted,
    );
    10
}

pub(super) fn has_none(user: &User) -> bool {
    user.options.is_some_and(|options| options.no_password)
}

pub(super) fn hash(password: &str, cost: u32) -> Result<String, String> {
    if password.len() > LIMIT {
        return Err(format!("bcrypt: password length exceeds {LIMIT} bytes"));
    }
    let hash = bcrypt::hash(password, cost).map_err(|error| error.to_string())?;
    Ok(STANDARD.encode(hash))
}

/// The hash's text, of the base64 that a request has.
pub(super) fn decode(hashed: &str) -> Option<Vec<u8>> {
    STANDARD.decode(hashed).ok()
}

/// No password matches what is no hash.
pub(super) fn matches(hash: &[u8], password: &str) -> bool {
    std::str::from_utf8(hash).is_ok_and(|hash| bcrypt::verify(password, hash).unwrap_or(false))
}
