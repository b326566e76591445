//! Hands: engines in workers of their own that make runs of a sweep beside the person's engine. Who is at which errand and
//! what is to be done next is decided here, without a browser; the workers themselves are in `workers`, on wasm alone.
//!
//! The person's engine alone numbers runs and tells of them. What a hand brings goes to it as a command, and a hand that
//! fails gives its errand back.

#[cfg(target_arch = "wasm32")]
pub mod workers;

use crate::engine::protocol::{BackendKind, Badge, Brought, Command, Errand, Event, News};

/// Most hands: what more bring is little, for the slowest run of five lasts.
const MOST: f64 = 4.0;
/// Processors that are left to the page and the person's engine.
const TAKEN_PROCESSORS: f64 = 2.0;
/// Gigabytes of memory, as browsers tell it, below which there is none for hands: each takes some 190 MB.
const LEAST_MEMORY: f64 = 4.0;

/// How many hands help an engine with so many runs, on a machine of which a browser tells this much. A graphics card has
/// one queue: there they would only wait for each other.
pub fn helpful(badge: Option<&Badge>, runs: usize, processors: f64, gigabytes: Option<f64>) -> usize {
    let is_cpu = badge.is_some_and(|badge| badge.kind == BackendKind::Cpu);
    let has_memory = gigabytes.is_none_or(|gigabytes| gigabytes >= LEAST_MEMORY);
    if !is_cpu || !has_memory {
        return 0;
    }
    let free = (processors - TAKEN_PROCESSORS).clamp(0.0, MOST);
    (free as usize).min(runs.saturating_sub(1))
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Make a worker of this number.
    Hire(u32),
    /// Send it a command.
    Tell(u32, Command),
    /// End it.
    Dismiss(u32),
    /// Send the person's engine a command.
    Order(Command),
}

/// A hand and the run it is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hand {
    number: u32,
    run: Option<u32>,
}

/// The hands there are.
#[derive(Debug, Clone, Default)]
pub struct Hands {
    hands: Vec<Hand>,
    /// How many there have been.
    hired: u32,
    /// Whether they are at work.
    playing: bool,
    /// The pace that the person set.
    pace: Option<f64>,
}

impl Hands {
    /// Gives an errand to a hand that is free, or to a new one.
    pub fn send(&mut self, errand: Errand) -> Vec<Task> {
        let (run, mut tasks) = (Some(errand.run), Vec::new());
        let number = match self.hands.iter_mut().find(|hand| hand.run.is_none()) {
            Some(free) => {
                free.run = run;
                free.number
            }
            None => {
                self.hired += 1;
                self.hands.push(Hand { number: self.hired, run });
                tasks.push(Task::Hire(self.hired));
                if self.pace.is_some() {
                    tasks.push(Task::Tell(self.hired, Command::SetPace(self.pace)));
                }
                self.hired
            }
        };
        tasks.push(Task::Tell(number, Command::Errand(Box::new(errand))));
        if !self.playing {
            tasks.push(Task::Tell(number, Command::Pause));
        }
        tasks
    }

    /// What a hand told goes to the person's engine. One that tells of a failure is of no use any more.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub fn hear(&mut self, number: u32, event: Event) -> Vec<Task> {
        match event {
            Event::Brought(brought) => {
                let its = self.hands.iter_mut().find(|hand| hand.number == number && hand.run == Some(brought.run));
                let Some(hand) = its else { return Vec::new() };
                match brought.news {
                    News::Returned => return self.lose(number),
                    News::Over | News::Broken => hand.run = None,
                    News::Steps(_) | News::Point(_) => {}
                }
                vec![Task::Order(Command::Adopt(brought))]
            }
            Event::Failure(failure) if failure.stopped => self.lose(number),
            _ => Vec::new(),
        }
    }

    /// A hand is gone or of no use: it is ended, and its errand given back.
    pub fn lose(&mut self, number: u32) -> Vec<Task> {
        let Some(at) = self.hands.iter().position(|hand| hand.number == number) else { return Vec::new() };
        let mut tasks = vec![Task::Dismiss(number)];
        if let Some(run) = self.hands.remove(at).run {
            tasks.push(Task::Order(Command::Adopt(Brought { run, news: News::Returned })));
        }
        tasks
    }

    /// Whether a command to the person's engine is one to every hand as well.
    pub fn follow(&mut self, command: &Command) -> bool {
        if let Command::SetPace(pace) = command {
            self.pace = *pace;
        }
        matches!(command, Command::SetPace(_) | Command::Configure(_))
    }

    /// The sweep goes on, or rests.
    pub fn play(&mut self, playing: bool) -> Vec<Task> {
        if std::mem::replace(&mut self.playing, playing) == playing {
            return Vec::new();
        }
        let told = |hand: &Hand| Task::Tell(hand.number, if playing { Command::Play } else { Command::Pause });
        self.hands.iter().map(told).collect()
    }

    /// The sweep is over: nobody asks for its runs any more.
    pub fn dismiss(&mut self) -> Vec<Task> {
        self.hands.drain(..).map(|hand| Task::Dismiss(hand.number)).collect()
    }

    /// The hand that was hired first.
    pub fn first(&self) -> Option<u32> {
        self.hands.first().map(|hand| hand.number)
    }
}

#[cfg(test)]
mod tests;
