//! The health endpoint on port 9200: whether a balancer may send clients here, and what other servers want to know. It runs
//! whether the database does or not.

mod answer;
pub mod sample;
mod serve;

pub use answer::{Answer, answer};
pub use serve::serve;
