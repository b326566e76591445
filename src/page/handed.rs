//! Files that were handed over together, until the engine has answered: each is taken up or named. No browser in here.

use crate::engine::protocol::{Failure, Loaded};

/// The files of one choice or drop.
#[derive(Debug, Clone, Default)]
pub struct Handed {
    /// Those that the engine is to read: the field of its answer if it refuses, and the name.
    waiting: Vec<(&'static str, String)>,
    /// How many were taken up, or are waiting.
    taken: usize,
    /// Of each other why it is not, as a clause.
    problems: Vec<String>,
}

impl Handed {
    /// Of all files, how many are taken up, which of them wait for the engine, and why the others are not.
    pub fn new(taken: usize, waiting: Vec<(&'static str, String)>, problems: Vec<String>) -> Self {
        Self { waiting, taken, problems }
    }

    /// What there is to say of those that are not taken up.
    pub fn failure(&self) -> Option<Failure> {
        let remedy = match self.taken {
            0 => "Nothing was replaced: everything goes on as before.",
            _ => "What else was chosen with it has been taken up.",
        };
        (!self.problems.is_empty()).then(|| Failure {
            sentence: format!("That could not be used: {}.", self.problems.join("; ")),
            remedy: remedy.into(),
            field: Some("files".into()),
            stopped: false,
        })
    }

    /// The name of the file that the engine has taken up, if it was one of these.
    pub fn accept(&mut self, loaded: &Loaded) -> Option<String> {
        let field = match loaded {
            Loaded::Model { .. } => "checkpoint",
            Loaded::Pairs { .. } => "preferences",
        };
        let at = self.waiting.iter().position(|(its, _)| *its == field)?;
        Some(self.waiting.remove(at).1)
    }

    /// A failure, and if it is the engine's answer to one of the files, with its name and all that was refused with it.
    pub fn named(&mut self, failure: Failure) -> Failure {
        let its = |(field, _): &(&str, String)| failure.field.as_deref() == Some(*field);
        let Some(at) = self.waiting.iter().position(its) else { return failure };
        let (_, name) = self.waiting.remove(at);
        self.taken -= 1;
        self.problems.insert(0, format!("{name}: {}", failure.sentence.trim_end_matches('.')));
        self.failure().unwrap_or(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(field: &str, sentence: &str) -> Failure {
        let remedy = "Nothing was replaced: everything goes on as before.".into();
        Failure { sentence: sentence.into(), remedy, field: Some(field.into()), stopped: false }
    }

    #[test]
    fn what_the_engine_refuses_is_named_and_what_was_taken_with_it_is_said() {
        let waiting = vec![("checkpoint", "b.safetensors".to_owned()), ("preferences", "a.jsonl".to_owned())];
        let mut handed = Handed::new(2, waiting, Vec::new());
        assert_eq!(handed.failure(), None);
        let other = refused("beta", "It is too large.");
        assert_eq!(handed.named(other.clone()), other, "not about a file");
        let named = handed.named(refused("checkpoint", "It has another size."));
        assert_eq!(named.sentence, "That could not be used: b.safetensors: It has another size.");
        assert_eq!(named.remedy, "What else was chosen with it has been taken up.");
        let named = handed.named(refused("preferences", "There is no pair in it."));
        assert!(
            named.sentence.contains("a.jsonl: There is no pair in it; b.safetensors: It has"),
            "{}",
            named.sentence
        );
        assert!(named.remedy.starts_with("Nothing was replaced"));
    }

    #[test]
    fn what_the_page_refused_stays_named_beside_what_the_engine_refuses() {
        let problems = vec!["c.txt holds neither a model nor pairs".to_owned()];
        let mut handed = Handed::new(1, vec![("preferences", "a.jsonl".into())], problems);
        assert!(handed.failure().expect("a failure").remedy.starts_with("What else"));
        let named = handed.named(refused("preferences", "The pairs are all about one prompt."));
        assert!(
            named.sentence.contains("a.jsonl: The pairs") && named.sentence.contains("c.txt"),
            "{}",
            named.sentence
        );
        assert!(named.remedy.starts_with("Nothing was replaced"));
    }
}
