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
/// Gigabytes of memory, as browsers tell it, below which there is none for hands: each takes some 175 MB.
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

/// What is to be done about a worker.
#[derive(Debug, Clone, PartialEq)]
pub enum Task {
    /// Make one, with this number.
    Hire(u32),
    /// Send it a command.
    Tell(u32, Command),
    /// End it.
    Dismiss(u32),
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
        let (run, mut tasks) = (errand.run.run, Vec::new());
        let free = self.hands.iter().position(|hand| hand.run.is_none());
        let at = free.unwrap_or_else(|| {
            self.hired += 1;
            self.hands.push(Hand { number: self.hired, run: None });
            tasks.push(Task::Hire(self.hired));
            tasks.extend(self.pace.map(|pace| Task::Tell(self.hired, Command::SetPace(Some(pace)))));
            self.hands.len() - 1
        });
        let hand = &mut self.hands[at];
        hand.run = Some(run);
        tasks.push(Task::Tell(hand.number, Command::Errand(Box::new(errand))));
        if !self.playing {
            tasks.push(Task::Tell(hand.number, Command::Pause));
        }
        tasks
    }

    /// What a hand told, as commands for the person's engine. An engine that tells of a failure is of no use any more.
    pub fn hear(&mut self, number: u32, events: Vec<Event>) -> (Vec<Task>, Vec<Command>) {
        let (mut tasks, mut commands) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                Event::Brought(Brought { run, news: News::Returned }) if self.is_at(number, run) => {
                    let (task, command) = self.lose(number);
                    tasks.extend(task);
                    commands.extend(command);
                }
                Event::Brought(brought) if self.is_at(number, brought.run) => {
                    if matches!(brought.news, News::Over { .. }) {
                        self.hands.iter_mut().filter(|hand| hand.number == number).for_each(|hand| hand.run = None);
                    }
                    commands.push(Command::Adopt(brought));
                }
                Event::Failure(failure) if failure.stopped => {
                    let (task, command) = self.lose(number);
                    tasks.extend(task);
                    commands.extend(command);
                }
                _ => {}
            }
        }
        (tasks, commands)
    }

    /// A hand is gone or of no use: it is ended, and its errand given back.
    pub fn lose(&mut self, number: u32) -> (Option<Task>, Option<Command>) {
        let Some(at) = self.hands.iter().position(|hand| hand.number == number) else { return (None, None) };
        let run = self.hands.remove(at).run;
        let command = run.map(|run| Command::Adopt(Brought { run, news: News::Returned }));
        (Some(Task::Dismiss(number)), command)
    }

    /// What a command of the person is to the hands as well.
    pub fn follow(&mut self, command: &Command) -> Vec<Task> {
        if let Command::SetPace(pace) = command {
            self.pace = *pace;
        }
        match command {
            Command::SetPace(_) | Command::Configure(_) => self.tell_all(command),
            _ => Vec::new(),
        }
    }

    /// The sweep goes on, or rests.
    pub fn play(&mut self, playing: bool) -> Vec<Task> {
        if std::mem::replace(&mut self.playing, playing) == playing {
            return Vec::new();
        }
        self.tell_all(&if playing { Command::Play } else { Command::Pause })
    }

    /// The sweep is over: nobody asks for its runs any more.
    pub fn dismiss(&mut self) -> Vec<Task> {
        self.hands.drain(..).map(|hand| Task::Dismiss(hand.number)).collect()
    }

    /// The person's engine may be built anew. Should that be refused, her sweep goes on, and makes these runs itself.
    pub fn give_back(&mut self) -> (Vec<Task>, Vec<Command>) {
        let numbers: Vec<u32> = self.hands.iter().map(|hand| hand.number).collect();
        let (tasks, commands): (Vec<_>, Vec<_>) = numbers.into_iter().map(|number| self.lose(number)).unzip();
        (tasks.into_iter().flatten().collect(), commands.into_iter().flatten().collect())
    }

    fn is_at(&self, number: u32, run: u32) -> bool {
        self.hands.contains(&Hand { number, run: Some(run) })
    }

    fn tell_all(&self, command: &Command) -> Vec<Task> {
        self.hands.iter().map(|hand| Task::Tell(hand.number, command.clone())).collect()
    }
}

#[cfg(test)]
mod tests;
