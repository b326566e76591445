//! The page's WebAssembly. The library itself can be no such module where Cargo is to optimise at link time, which it
//! does only for what is a cdylib and nothing else.
#![cfg(target_arch = "wasm32")]

pub use klimb::engine::worker::Worker;
pub use klimb::page::App;
