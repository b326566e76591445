//! What the other commands need on the machine: found where it is, installed where it can be, else named.

pub mod apt;
pub mod bindgen;
pub mod browsers;
pub mod crates;
pub mod deny;
pub mod node;
pub mod python;
pub mod torch;
pub mod wasm_target;

use anyhow::Result;
use clap::ValueEnum;

use crate::workspace::Workspace;

/// Something that a command needs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Need {
    /// Rust's standard library for wasm32
    Wasm,
    /// wasm-pack, and wasm-bindgen of the locked version
    Bindgen,
    /// cargo-deny
    Deny,
    /// Chromium with its WebDriver
    Chromium,
    /// Firefox
    Firefox,
    /// WebKit with its WebDriver
    Webkit,
    /// A Vulkan driver for the native shader tests
    Vulkan,
    /// Node.js, npm and the packages of the end-to-end tests
    Node,
}

/// Meets the named needs, or all of them.
pub fn meet_all(workspace: &Workspace, needs: &[Need]) -> Result<()> {
    let needs = if needs.is_empty() { Need::value_variants() } else { needs };
    needs.iter().try_for_each(|need| meet(workspace, *need))
}

fn meet(workspace: &Workspace, need: Need) -> Result<()> {
    match need {
        Need::Wasm => wasm_target::ensure(workspace).map(drop),
        Need::Bindgen => bindgen::ensure(workspace),
        Need::Deny => deny::ensure(workspace),
        Need::Chromium => browsers::ensure_chromium(),
        Need::Firefox => browsers::ensure_firefox(),
        Need::Webkit => browsers::ensure_webkit(),
        Need::Vulkan => browsers::ensure_vulkan(),
        Need::Node => node::ensure(workspace, &workspace.end_to_end()),
    }
}
