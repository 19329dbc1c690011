//! Real databases in namespaces: what the installed machines do, with the daemons of Debian 13 and the files rendered for them.
//!
//! `cargo prove --fast galera` unpacks the programs and runs this with `RACKWRIGHT_DATABASES` naming their folder. Times are
//! printed; deadlines are generous, because the machine that runs this may be busy.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "what cannot be made here is a fault of the test; its times are its result"
)]

mod galera;
mod pair;
mod rig;
