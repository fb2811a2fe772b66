//! Model packages and recognisers.
pub mod recogniser;
