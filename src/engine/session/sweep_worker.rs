//! A sweep worker: a session that makes single runs of another's sweep, and tells of nothing else.

use super::runs::Measured;
use super::{Clock, Session, Snapshot};
use crate::engine::protocol::{
    BackendKind, Badge, Command, Event, Failure, JobNews, JobReport, Kept, SavedPolicy, Sweep, WorkerJob,
};
use klimb_network::backend::Kernels;
use klimb_text::Message;

/// A session for jobs.
pub struct SweepWorker<K: Kernels> {
    session: Session<K>,
    /// The run that it makes, and whether that broke down.
    job: Option<(u32, bool)>,
}

impl<K: Kernels> SweepWorker<K> {
    /// A sweep worker for the sweep that a job's models are of.
    ///
    /// # Errors
    /// As [`Session::restore`], which models of a working session do not meet.
    pub fn new(k: K, clock: Clock, kept: &Kept) -> Result<Self, Failure> {
        // Only who opens a session is told what it computes on.
        let badge =
            Badge { kind: BackendKind::Cpu, adapter: None, why: Message::verbatim(String::new()), remedy: None };
        let session = Session::restore(k, clock, badge, &Snapshot::from_kept(kept.clone())?)?;
        Ok(Self { session: Session { is_sweep_worker: true, ..session }, job: None })
    }

    /// Begins a job: the run that the other session would make, from the same models, with the pairs that are here
    /// from an earlier job.
    pub async fn take(&mut self, job: WorkerJob) -> Vec<Event> {
        let WorkerJob { run, steps, kept } = job;
        self.job = None;
        let sweep = Sweep { betas: vec![kept.settings.beta], steps, workers: 0 };
        for command in [Command::Configure(kept.settings), Command::Focus(kept.focus), Command::Sweep(Some(sweep))] {
            self.session.handle(command).await;
        }
        if self.session.sweep.is_none() {
            return vec![Event::JobReport(JobReport { run, news: JobNews::Requeued })];
        }
        self.job = Some((run, false));
        Vec::new()
    }

    /// Lets the job rest or go on, or trains it with other knobs. A job that these start over is none any more: so
    /// is the sweep that it was for.
    pub async fn handle(&mut self, command: Command) {
        if matches!(command, Command::Play | Command::Pause | Command::Configure(_)) {
            self.session.handle(command).await;
            self.job = self.job.filter(|_| self.session.sweep.is_some());
        }
    }

    /// Does one slice of work, and answers with what it reports.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub async fn advance(&mut self) -> Vec<Event> {
        let events = self.session.advance().await;
        let Some((run, is_broken)) = &mut self.job else { return Vec::new() };
        *is_broken |= self.session.sweep.as_ref().is_some_and(|sweep| sweep.has_broken());
        let (run, is_broken, stage) = (*run, *is_broken, self.session.focus);
        let is_lost = events.iter().any(|event| matches!(event, Event::Failure(failure) if failure.stopped));
        let news = events.into_iter().filter_map(|event| match event {
            Event::Metrics(its, rows) if its == stage => Some(JobNews::Steps(rows.len())),
            Event::Point(point) if Some(point.point.method) == stage.method() => {
                let Measured { policy, seconds } = self.session.runs[stage.policy()?].measured.as_ref()?;
                let (seconds, checkpoint) = (*seconds, policy.to_bytes());
                Some(JobNews::Point(Box::new(SavedPolicy { stage, point, seconds, checkpoint })))
            }
            Event::Sweep(None) if is_lost => Some(JobNews::Requeued),
            Event::Sweep(None) => Some(if is_broken { JobNews::Failed } else { JobNews::Finished }),
            _ => None,
        });
        let report = news.map(|news| Event::JobReport(JobReport { run, news })).collect();
        if self.session.sweep.is_none() {
            self.job = None;
        }
        report
    }

    /// Whether [`SweepWorker::advance`] has something to do.
    pub fn busy(&self) -> bool {
        self.job.is_some() && self.session.is_needed()
    }
}
