//! Running other programs, and saying what is done and how long it took.

use std::ffi::OsStr;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Does one step: says what, how long it took, and where it fails what to do.
pub fn step<T>(what: &str, remedy: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("▶ {what}");
    let start = Instant::now();
    let outcome = work();
    let seconds = start.elapsed().as_secs_f64();
    match outcome {
        Ok(value) => {
            println!("✔ {what} ({seconds:.1} s)");
            Ok(value)
        }
        Err(error) => {
            println!("✘ {what} ({seconds:.1} s)");
            Err(error.context(format!("{what} failed. What to do: {remedy}")))
        }
    }
}

/// Runs a program with its output on the terminal.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("`{}` ended with {status}", line(command));
    }
    Ok(())
}

/// Runs a program quietly and gives its output, or nothing where it cannot be started or fails.
pub fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Lets a program say everything into a file, which is made. There is one place in it: two would write over each other.
pub fn say_into<'a>(command: &'a mut Command, path: &Path) -> Result<&'a mut Command> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(command.stdout(file.try_clone()?).stderr(file))
}

/// A command for `program` in `folder`.
pub fn command(program: impl AsRef<OsStr>, folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).args(arguments);
    command
}

/// Without a runtime folder, Mesa complains at every device it opens.
pub fn quiet_mesa(command: &mut Command) -> &mut Command {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        command.env("XDG_RUNTIME_DIR", std::env::temp_dir());
    }
    command
}

fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_says_what_to_do() {
        let error = step("Doing", "try again", || -> Result<()> { bail!("no luck") }).unwrap_err();
        assert_eq!(format!("{error:#}"), "Doing failed. What to do: try again: no luck");
    }

    #[test]
    fn a_failing_program_is_named() {
        let error = run(&mut command("false", Path::new("."), &[])).unwrap_err();
        assert!(error.to_string().starts_with("`false` ended with"), "{error}");
    }

    #[test]
    fn what_is_said_both_ways_stands_in_the_file_in_its_order() {
        let path = std::env::temp_dir().join(format!("klimb-said-{}", std::process::id()));
        let mut command = command("sh", Path::new("."), &["-c", "echo first; echo second >&2; echo third; echo 4 >&2"]);
        run(say_into(&mut command, &path).unwrap()).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first\nsecond\nthird\n4\n");
        std::fs::remove_file(&path).unwrap();
    }
}
