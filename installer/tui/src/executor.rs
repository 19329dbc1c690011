//! What carries out effects: the live machine's lives in the installer's binary, the simulated one here.

use std::sync::Arc;

use crate::message::{Effect, Message};

/// Sends a message into the list that every console folds. May be called from any thread, at any time.
pub type Post = Arc<dyn Fn(Message) + Send + Sync>;

/// Carries out effects. Nothing may block: what takes time goes to a thread and posts its answer.
pub trait Executor {
    /// Begins to follow what goes on; looks at the machine and posts [`Message::Begin`], unless another console did.
    fn begin(&mut self, known: bool, post: &Post);

    /// Carries out one effect; the answer is posted.
    fn carry_out(&mut self, effect: Effect, post: &Post);

    /// Carries out an effect that takes over the console, until it ends. The terminal is as it was before the program.
    fn on_console(&mut self, effect: &Effect, post: &Post);

    /// How many lines of the events file the state has seen: they need not be posted again.
    fn seen(&mut self, _lines: u64) {}
}
