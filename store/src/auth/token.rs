//! Simple tokens: random text that each member keeps in memory (server/auth/simple_token.go).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rand::seq::IndexedRandom as _;

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LENGTH: usize = 16;

/// The index of the entry that made this token valid: until a member has applied it, the token is
/// unknown there. None: the text is no token.
#[must_use]
pub fn token_index(token: &str) -> Option<u64> {
    let (_, index) = token.split_once('.')?;
    index.parse().ok()
}

pub(super) fn random() -> String {
    let mut random = rand::rng();
    let letter = |_| char::from(*LETTERS.choose(&mut random).expect("letters"));
    (0..LENGTH).map(letter).collect()
}

struct Token {
    user: String,
    until: Instant,
}

/// Tokens that are valid. While switched off, none is, and none is made.
pub(super) struct Tokens {
    pub(super) ttl: Duration,
    valid: Option<HashMap<String, Token>>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self {
            ttl: Duration::from_secs(300),
            valid: None,
        }
    }
}

impl Tokens {
    pub(super) fn enable(&mut self) {
        self.valid.get_or_insert_default();
    }

    pub(super) fn disable(&mut self) {
        self.valid = None;
    }

    pub(super) fn assign(&mut self, user: &str, token: &str) {
        let Some(valid) = &mut self.valid else {
            return;
        };
        let now = Instant::now();
        valid.retain(|_, token| now <= token.until);
        let (user, until) = (user.to_owned(), now + self.ttl);
        valid.insert(token.to_owned(), Token { user, until });
    }

    pub(super) fn invalidate(&mut self, user: &str) {
        if let Some(valid) = &mut self.valid {
            valid.retain(|_, token| token.user != user);
        }
    }

    /// Whose it is; it is valid for the whole time again.
    pub(super) fn user_of(&mut self, token: &str) -> Option<String> {
        let now = Instant::now();
        let token = self.valid.as_mut()?.get_mut(token)?;
        if now > token.until {
            return None;
        }
        token.until = now + self.ttl;
        Some(token.user.clone())
    }
}
