//! The depot's board: a rack as its owner watches it, on a terminal, as a web page, as JSON and as figures for Prometheus. All of
//! them are drawn from one value, [`depot::view::Rack`]; none can say something else than the others.

pub mod elevation;
pub mod figures;
pub mod hook;
pub mod page;
pub mod terminal;
pub mod words;
