//! How a machine becomes part of its cluster and proves it. Decisions are functions of facts, tested by tables; [`engine`] asks
//! the steps of a role until each is done; [`endpoint`] tells others how this machine is.

pub mod accounts;
pub mod address;
pub mod balancer;
pub mod claims;
pub mod context;
pub mod data;
pub mod database;
pub mod endpoint;
pub mod engine;
pub mod galera;
pub mod journal;
pub mod maxscale;
pub mod outside;
mod preflight;
pub mod proxysql;
pub mod seen;
pub mod settings;
pub mod sql;
pub mod step;
pub mod told;
pub mod unit;
