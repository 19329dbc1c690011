//! What is done with a simulated server: install, boot, break, boot again. Each part says what it saw or why not.

mod faults;
mod http;
mod line;
mod power_cuts;
mod pxe;
mod screen;
mod site;
mod typing;

pub use faults::{interrupt, plans, refuses, spent_permit, truncated_medium};
pub use power_cuts::{Cut, Seen, Verdict, is_green, markdown, power_cuts};
pub use pxe::pxe;
pub use screen::{press, sees};
pub use site::{Case, Media, NodePlace, Site, Timings, check_status};
pub use typing::type_in;
