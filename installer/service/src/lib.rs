//! What storage, mail and front end do on a running machine. Decisions are pure and tested by tables; [`serve`] brings
//! them to the machine again and again, so that the order in which machines start does not matter.

pub mod claim;
pub mod front;
pub mod icewarp;
pub mod keys;
pub mod mail;
pub mod mark;
pub mod probe;
pub mod replication;
pub mod round;
pub mod serve;
pub mod sessions;
pub mod settings;
pub mod storage;
pub mod view;
