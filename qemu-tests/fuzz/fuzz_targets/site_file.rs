//! See `inputs::ALL`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| inputs::read("site_file", bytes));
