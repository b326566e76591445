//! Sweep workers: engines in workers of their own that make runs of a sweep beside the person's engine. Who is at which job and
//! what is to be done next is decided here, without a browser; the workers themselves are in `view::sweep_workers`.
//!
//! The person's engine alone numbers runs and tells of them. What a sweep worker reports goes to it as a command, and the job of
//! one that fails is queued again.

use crate::engine::protocol::{BackendKind, Badge, Command, Event, JobNews, JobReport, WorkerJob};

/// Most sweep workers: what more bring is little, for the slowest run of five lasts.
const MOST: f64 = 4.0;
/// Processors that are left to the page and the person's engine.
const TAKEN_PROCESSORS: f64 = 2.0;
/// Gigabytes of memory, as browsers tell it, below which there is none for sweep workers: each takes some 190 MB.
const LEAST_MEMORY: f64 = 4.0;

/// How many sweep workers help an engine with so many runs, on a machine of which a browser tells this much. A graphics card has
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
    Spawn(u32),
    /// Send it a command.
    Tell(u32, Command),
    /// End it.
    Stop(u32),
    /// Send the person's engine a command.
    Request(Command),
}

/// A sweep worker and the run it is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SweepWorker {
    number: u32,
    run: Option<u32>,
}

/// The sweep workers there are.
#[derive(Debug, Clone, Default)]
pub struct SweepWorkers {
    workers: Vec<SweepWorker>,
    /// How many there have been.
    spawned: u32,
    /// Whether they are at work.
    playing: bool,
    /// The pace that the person set.
    pace: Option<f64>,
}

impl SweepWorkers {
    /// Gives a job to a sweep worker that is free, or to a new one.
    pub fn send(&mut self, job: WorkerJob) -> Vec<Task> {
        let (run, mut tasks) = (Some(job.run), Vec::new());
        let number = match self.workers.iter_mut().find(|worker| worker.run.is_none()) {
            Some(free) => {
                free.run = run;
                free.number
            }
            None => {
                self.spawned += 1;
                self.workers.push(SweepWorker { number: self.spawned, run });
                tasks.push(Task::Spawn(self.spawned));
                if self.pace.is_some() {
                    tasks.push(Task::Tell(self.spawned, Command::SetPace(self.pace)));
                }
                self.spawned
            }
        };
        tasks.push(Task::Tell(number, Command::WorkerJob(Box::new(job))));
        if !self.playing {
            tasks.push(Task::Tell(number, Command::Pause));
        }
        tasks
    }

    /// What a sweep worker told goes to the person's engine. One that tells of a failure is of no use any more.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub fn hear(&mut self, number: u32, event: Event) -> Vec<Task> {
        match event {
            Event::JobReport(report) => {
                let its =
                    self.workers.iter_mut().find(|worker| worker.number == number && worker.run == Some(report.run));
                let Some(worker) = its else { return Vec::new() };
                match report.news {
                    JobNews::Requeued => return self.lose(number),
                    JobNews::Finished | JobNews::Failed => worker.run = None,
                    JobNews::Steps(_) | JobNews::Point(_) => {}
                }
                vec![Task::Request(Command::Adopt(report))]
            }
            Event::Failure(failure) if failure.stopped => self.lose(number),
            _ => Vec::new(),
        }
    }

    /// A sweep worker is gone or of no use: it is ended, and its job given back.
    pub fn lose(&mut self, number: u32) -> Vec<Task> {
        let Some(at) = self.workers.iter().position(|worker| worker.number == number) else { return Vec::new() };
        let mut tasks = vec![Task::Stop(number)];
        if let Some(run) = self.workers.remove(at).run {
            tasks.push(Task::Request(Command::Adopt(JobReport { run, news: JobNews::Requeued })));
        }
        tasks
    }

    /// Whether a command to the person's engine is one to every sweep worker as well.
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
        let told =
            |worker: &SweepWorker| Task::Tell(worker.number, if playing { Command::Play } else { Command::Pause });
        self.workers.iter().map(told).collect()
    }

    /// The sweep is over: nobody asks for its runs any more.
    pub fn stop_all(&mut self) -> Vec<Task> {
        self.workers.drain(..).map(|worker| Task::Stop(worker.number)).collect()
    }

    /// The sweep worker that was spawned first.
    pub fn first(&self) -> Option<u32> {
        self.workers.first().map(|worker| worker.number)
    }
}

#[cfg(test)]
mod tests;
