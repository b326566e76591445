//! Files that were handed over together, until the engine has answered: each is taken up or named.

use crate::engine::protocol::Failure;
use klimb_text::Message;
use klimb_text::message::Separator;

/// The files of one choice or drop.
#[derive(Debug, Clone, Default)]
struct Choice {
    /// Those that the engine is to read, by the number of the request.
    waiting: Vec<(u32, String)>,
    /// How many were taken up, or are waiting.
    taken: usize,
    /// Of each other why it is not, as a clause.
    problems: Vec<Message>,
}

/// The choices that are not answered yet, oldest first.
#[derive(Debug, Clone, Default)]
pub struct SubmittedFiles {
    choices: Vec<Choice>,
    /// The request that the engine is answering.
    answering: u32,
}

impl SubmittedFiles {
    /// Of the files of one choice, how many are taken up, which of them wait for the engine's answer to which request, and why
    /// the others are not. Answers with what there is to say of those.
    pub fn add(&mut self, taken: usize, waiting: Vec<(u32, String)>, problems: Vec<Message>) -> Option<Failure> {
        let choice = Choice { waiting, taken, problems };
        let failure = choice.failure();
        if !choice.waiting.is_empty() {
            self.choices.push(choice);
        }
        failure
    }

    /// The engine has taken up this request: what it says next is of that.
    pub fn acknowledge(&mut self, request: u32) {
        self.answering = request;
    }

    /// The name of the file that the engine has just taken up, if it was one of these.
    pub fn accept(&mut self) -> Option<String> {
        let (at, name) = self.answered()?;
        self.forget_answered(at);
        Some(name)
    }

    /// A failure, and if it is the engine's answer to one of the files, with its name and all that was refused with it.
    pub fn named(&mut self, failure: Failure) -> Failure {
        if !matches!(failure.field.as_deref(), Some("checkpoint" | "preferences")) {
            return failure;
        }
        let Some((at, name)) = self.answered() else { return failure };
        let choice = &mut self.choices[at];
        choice.taken -= 1;
        choice.problems.insert(0, refused(&name, failure.sentence.clone()));
        let failure = choice.failure().unwrap_or(failure);
        self.forget_answered(at);
        failure
    }

    /// The worker has died: it answers no more.
    pub fn worker_died(&mut self) {
        self.choices.clear();
    }

    /// The place of the choice with the file that is being answered, which waits no longer, and its name.
    fn answered(&mut self) -> Option<(usize, String)> {
        let its = |(request, _): &(u32, String)| *request == self.answering;
        let at = self.choices.iter().position(|choice| choice.waiting.iter().any(its))?;
        let waiting = &mut self.choices[at].waiting;
        let place = waiting.iter().position(its)?;
        Some((at, waiting.remove(place).1))
    }

    fn forget_answered(&mut self, at: usize) {
        if self.choices[at].waiting.is_empty() {
            self.choices.remove(at);
        }
    }
}

impl Choice {
    fn failure(&self) -> Option<Failure> {
        let remedy = match self.taken {
            0 => message!("Nothing was replaced: everything goes on as before."),
            _ => message!("What else was chosen with it has been taken up."),
        };
        (!self.problems.is_empty()).then(|| Failure {
            sentence: message!(
                "That could not be used: {}.",
                Message::list(self.problems.clone(), Separator::Semicolon)
            ),
            remedy,
            field: Some("files".into()),
            stopped: false,
        })
    }
}

/// Why a file is not taken up, as a clause, from a reader's sentence or clause.
pub fn refused(name: &str, reason: Message) -> Message {
    message!("{} is refused ({})", name, reason.as_clause())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::settings::Settings;
    use crate::page::model::state::State;

    fn answer(field: &str, sentence: &str) -> Failure {
        let remedy = klimb_text::Message::verbatim("Nothing was replaced: everything goes on as before.");
        Failure { sentence: klimb_text::Message::verbatim(sentence), remedy, field: Some(field.into()), stopped: false }
    }

    #[test]
    fn what_the_engine_refuses_is_named_and_what_was_taken_with_it_is_said() {
        let mut handed = SubmittedFiles::default();
        assert_eq!(handed.add(2, vec![(1, "b.safetensors".into()), (2, "a.jsonl".into())], Vec::new()), None);
        handed.acknowledge(1);
        let other = answer("beta", "It is too large.");
        assert_eq!(handed.named(other.clone()), other, "not about a file");
        let named = handed.named(answer("checkpoint", "It has another size."));
        assert_eq!(
            named.sentence.to_string(),
            "That could not be used: b.safetensors is refused (it has another size)."
        );
        assert_eq!(named.remedy.to_string(), "What else was chosen with it has been taken up.");
        handed.acknowledge(2);
        let named = handed.named(answer("preferences", "There is no pair in it."));
        let both = "a.jsonl is refused (there is no pair in it); b.safetensors is refused (it has another size).";
        assert!(named.sentence.to_string().ends_with(both), "{}", named.sentence);
        assert!(named.remedy.to_string().starts_with("Nothing was replaced"));
        assert_eq!(handed.named(answer("preferences", "It.")), answer("preferences", "It."), "answered already");
    }

    #[test]
    fn what_the_page_refused_stays_named_beside_what_the_engine_refuses() {
        let mut handed = SubmittedFiles::default();
        let problems = vec![message!("{} is empty", "c.txt")];
        let failure = handed.add(1, vec![(1, "a.jsonl".into())], problems).expect("a failure");
        assert!(failure.remedy.to_string().starts_with("What else"));
        handed.acknowledge(1);
        let named = handed.named(answer("preferences", "The pairs are all about one prompt."));
        assert!(named.sentence.to_string().contains("a.jsonl is refused (the pairs"), "{}", named.sentence);
        assert!(
            named.sentence.to_string().contains("c.txt")
                && named.remedy.to_string().starts_with("Nothing was replaced"),
            "{named:?}"
        );
    }

    #[test]
    fn each_answer_is_of_the_file_that_was_asked_about() {
        let mut handed = SubmittedFiles::default();
        handed.add(1, vec![(1, "first.jsonl".into())], Vec::new());
        handed.add(1, vec![(2, "second.jsonl".into())], Vec::new());
        handed.acknowledge(1);
        assert!(handed.named(answer("preferences", "It.")).sentence.to_string().contains("first.jsonl"));
        handed.acknowledge(2);
        assert_eq!(handed.accept().as_deref(), Some("second.jsonl"));
        // The labels of this page, which nobody has chosen as a file.
        handed.acknowledge(3);
        assert_eq!(handed.named(answer("preferences", "It.")), answer("preferences", "It."));
        handed.add(1, vec![(4, "lost.jsonl".into())], Vec::new());
        let mut state = State::new(Settings::default());
        state.files.submitted = handed;
        state.rebuilt();
        state.files.submitted.acknowledge(4);
        assert_eq!(state.files.submitted.accept(), None, "nobody has read it");
    }
}
