//! Watching: the hub on a real store, and the service on a real connection.

mod history;
mod hub;
mod planted;
mod restored;
mod service;
mod serving;
mod support;
