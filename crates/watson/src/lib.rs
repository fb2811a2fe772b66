//! Watson.
