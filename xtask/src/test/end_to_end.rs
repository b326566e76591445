//! End-to-end tests of the page as it is served, in real browsers.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::{self, step};
use crate::setup::{browsers, node};
use crate::workspace::Workspace;
use crate::{build, programs, serve};

const ENDING: &str = ".test.js";
/// The test that drives WebKit.
const WEBKIT: &str = "webkit.test.js";

/// Runs every end-to-end test; without WebKit, all but its own.
pub fn run(workspace: &Workspace, with_webkit: bool) -> Result<()> {
    if with_webkit {
        browsers::ensure_webkit()?;
    } else {
        println!("WebKit is left out, as --without-webkit says: nothing is tested in it");
    }
    let mut files = files(workspace)?;
    files.retain(|file| with_webkit || file != WEBKIT);
    in_browsers(workspace, "Testing the served page in browsers", &files, |command| command)
}

/// Builds and serves the page and runs `files` in Chromium and Firefox, and WebKit where one of them asks for it;
/// `prepare` may set variables.
pub fn in_browsers(
    workspace: &Workspace,
    what: &str,
    files: &[String],
    prepare: impl Fn(&mut Command) -> &mut Command,
) -> Result<()> {
    browsers::ensure_chromium()?;
    browsers::ensure_firefox()?;
    node::ensure(workspace, &workspace.end_to_end())?;
    build::page(workspace, build::Profile::Page)?;
    let url = serve::in_background(&workspace.dist())?;
    step(what, "read the failed test's message above; `cargo xtask serve` shows the page", || {
        let arguments = ["--test", "--test-concurrency=1", "--test-reporter=spec"];
        let mut command = process::command("node", &workspace.end_to_end(), &arguments);
        command.args(files);
        command.env("KLIMB_URL", &url);
        command.env("KLIMB_URL_BELOW", format!("{}{}/", url.trim_end_matches('/'), serve::SUB_PATH));
        command.env("KLIMB_CHROMIUM", programs::browser(programs::CHROMIUM)?);
        command.env("KLIMB_FIREFOX", programs::browser(programs::FIREFOX)?);
        command.env("KLIMB_WEBKIT_DRIVER", programs::WEBKIT_DRIVER);
        process::run(prepare(&mut command))
    })
}

fn files(workspace: &Workspace) -> Result<Vec<String>> {
    let folder = workspace.end_to_end();
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut files: Vec<String> = names.collect::<Result<_>>()?;
    files.retain(|name| name.ends_with(ENDING));
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_that_can_be_left_out_is_among_them() {
        let files = files(&Workspace::find().unwrap()).unwrap();
        assert!(files.iter().any(|file| file == WEBKIT), "{files:?}");
        // What can be left out is all that knows WebKit.
        let folder = Workspace::find().unwrap().end_to_end();
        let knows = |file: &&String| fs::read_to_string(folder.join(file)).unwrap().contains("./webkit.js");
        assert_eq!(files.iter().filter(knows).collect::<Vec<_>>(), [WEBKIT]);
    }
}
