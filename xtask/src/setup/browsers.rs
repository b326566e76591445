//! The browsers of the tests, and a software Vulkan driver for the native shader tests.

use std::fs;

use anyhow::{Context, Result};

use super::apt;
use crate::programs;

/// Where Vulkan's loader looks for the description files of drivers on Linux.
const VULKAN_DRIVERS: &[&str] = &["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

/// Chromium and chromedriver, for the wasm tests and the end-to-end tests.
pub fn ensure_chromium() -> Result<()> {
    if programs::first(programs::CHROMIUM).is_some() && programs::has("chromedriver") {
        return Ok(());
    }
    apt::install("Chromium with chromedriver", &["chromium", "chromium-driver"])
}

/// Firefox, for the end-to-end tests without WebGPU.
pub fn ensure_firefox() -> Result<()> {
    if programs::first(programs::FIREFOX).is_some() {
        return Ok(());
    }
    apt::install("Firefox", &["firefox-esr"])
}

/// WebKitGTK's own small browser with its WebDriver, and a screen for it, for the end-to-end tests. Only Linux has it.
pub fn ensure_webkit() -> Result<()> {
    if [programs::WEBKIT_DRIVER, "xvfb-run", "xauth"].into_iter().all(programs::has) {
        return Ok(());
    }
    apt::install("WebKit with its WebDriver and a screen", &["webkit2gtk-driver", "xvfb", "xauth"])
        .context("`cargo xtask test --without-webkit` leaves WebKit out")
}

/// A Vulkan driver: lavapipe, unless the machine has one. Other systems than Linux bring their own (Metal, DirectX).
pub fn ensure_vulkan() -> Result<()> {
    let described = |folder: &str| fs::read_dir(folder).is_ok_and(|mut files| files.next().is_some());
    if cfg!(not(target_os = "linux")) || VULKAN_DRIVERS.iter().any(|folder| described(folder)) {
        return Ok(());
    }
    apt::install("a software Vulkan driver", &["mesa-vulkan-drivers", "libvulkan1"])
}
