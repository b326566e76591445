//! Pictures of every view of the page, to be looked at before a change is called done.

use std::fs;

use anyhow::Result;

use crate::process::{self, step};
use crate::setup::{browsers, node};
use crate::workspace::Workspace;
use crate::{build, programs, serve};

/// Builds and serves the page, and leaves pictures of it in `target/screenshots/`, a folder for each size and theme.
pub fn take(workspace: &Workspace) -> Result<()> {
    browsers::ensure_chromium()?;
    node::ensure(workspace, &workspace.end_to_end())?;
    build::page(workspace, build::Profile::Page)?;
    let url = serve::in_background(&workspace.dist())?;
    let folder = workspace.target().join("screenshots");
    fs::create_dir_all(&folder)?;
    step("Taking pictures of every view", "read the message above; tests/end_to_end/views.js opens the views", || {
        let mut command = process::command("node", &workspace.end_to_end(), &["screenshots.js"]);
        command.env("KLIMB_URL", &url).env("KLIMB_URL_BELOW", &url).env("KLIMB_SHOTS", &folder);
        // The harness wants to know of both browsers; the pictures are Chromium's.
        command.env("KLIMB_CHROMIUM", programs::browser(programs::CHROMIUM)?).env("KLIMB_FIREFOX", "");
        process::run(&mut command)
    })?;
    println!("The pictures are in {}", folder.display());
    Ok(())
}
