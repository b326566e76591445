//! Everything that is wrong with a command line, in one go: clap ends at the first thing.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Error, Parser};

use super::Arguments;

/// Each refusal takes an argument away, so that there are never more; this bounds what a terminal is told.
const MOST: usize = 64;

/// A line that was refused.
pub struct Refused {
    /// Every refusal of clap's.
    pub errors: Vec<Error>,
    /// What is left once the refused arguments are taken away, if that is a command.
    pub rest: Option<Arguments>,
}

/// The arguments of a line, the program's name first.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(mut line: Vec<OsString>) -> Result<Arguments, Box<Refused>> {
    let refused = |errors, rest| Err(Box::new(Refused { errors, rest }));
    let mut errors: Vec<Error> = Vec::new();
    loop {
        match Arguments::try_parse_from(&line) {
            Ok(arguments) if errors.is_empty() => return Ok(arguments),
            Ok(arguments) => return refused(errors, Some(arguments)),
            // What is missing, or asked for, now that something was taken away was there before.
            Err(error) if !errors.is_empty() && !is_about_a_given(&error) => return refused(errors, None),
            Err(error) => {
                let is_shorter = take_away(&mut line, &error);
                errors.push(error);
                if !is_shorter || errors.len() == MOST {
                    return refused(errors, None);
                }
            }
        }
    }
}

/// What clap says of all of them, and its hints once.
pub fn text(errors: &[Error]) -> String {
    let (last, others) = errors.split_last().expect("something was refused");
    let first_part = |error: &Error| {
        let text = error.render().to_string();
        let end = ["\n\nUsage:", "\n\nFor more information"].iter().filter_map(|tail| text.find(tail)).min();
        text[..end.unwrap_or(text.len())].trim_end().to_owned() + "\n\n"
    };
    others.iter().map(first_part).chain([last.render().to_string()]).collect()
}

/// Whether an argument that was given is refused for itself.
fn is_about_a_given(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation | ErrorKind::UnknownArgument)
}

/// Takes the refused argument with its value off the line. Whether it was found.
fn take_away(line: &mut Vec<OsString>, error: &Error) -> bool {
    if !is_about_a_given(error) {
        return false;
    }
    let of = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    let Some(argument) = of(ContextKind::InvalidArg) else { return false };
    let value = of(ContextKind::InvalidValue).unwrap_or_default();
    let option = argument.split([' ', '=']).next().unwrap_or_default();
    let is_unknown = error.kind() == ErrorKind::UnknownArgument;
    let text = |at: usize| line.get(at).map(|it| it.to_string_lossy().into_owned());
    // A list is refused for one of its items.
    let is_its = |given: &str| is_unknown || given == value || given.split(',').any(|item| item == value);
    let found = (1..line.len()).find_map(|at| {
        let given = text(at)?;
        if !option.starts_with('-') {
            let is_it = given == value || (is_unknown && given == argument);
            return is_it.then_some(at..at + 1);
        }
        if let Some(its) = given.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) {
            return is_its(its).then_some(at..at + 1);
        }
        if given != option {
            return None;
        }
        match text(at + 1) {
            // Whether an unknown option has a value nobody can tell; what looks like one is taken for it.
            Some(next) if is_unknown && !next.starts_with('-') => Some(at..at + 2),
            Some(next) if !is_unknown && is_its(&next) => Some(at..at + 2),
            // The same option, given once more with a value that is good.
            Some(_) if !is_unknown && !value.is_empty() => None,
            // It stands without a value.
            _ => Some(at..at + 1),
        }
    });
    found.map(|range| line.drain(range)).is_some()
}
