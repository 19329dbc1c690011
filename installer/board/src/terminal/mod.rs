//! The board on a terminal: state, what keys do to it, how it is drawn, and the loop. State changes only in [`State::take`];
//! drawing reads it.

mod draw;
mod keys;
mod run;
mod state;

pub use draw::draw;
pub use run::run;
pub use state::{Ask, Effect, Message, State};
