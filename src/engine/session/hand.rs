//! A hand: a session that makes single runs of another's sweep, and tells of nothing else.

use super::runs::Measured;
use super::{Clock, Session, Snapshot};
use crate::engine::protocol::{
    BackendKind, Badge, Brought, Command, Errand, Event, Failure, Kept, KeptMoment, News, Sweep,
};
use klimb_network::backend::Kernels;

/// A session for errands.
pub struct Hand<K: Kernels> {
    session: Session<K>,
    /// The run that it makes, and whether that broke down.
    errand: Option<(u32, bool)>,
}

impl<K: Kernels> Hand<K> {
    /// A hand for the sweep that an errand's models are of.
    ///
    /// # Errors
    /// As [`Session::restore`], which models of a working session do not meet.
    pub fn new(k: K, clock: Clock, kept: &Kept) -> Result<Self, Failure> {
        // Only who opens a session is told what it computes on.
        let badge = Badge { kind: BackendKind::Cpu, adapter: None, why: String::new(), remedy: None };
        let session = Session::restore(k, clock, badge, &Snapshot::from_kept(kept.clone())?)?;
        Ok(Self { session: Session { is_hand: true, ..session }, errand: None })
    }

    /// Begins an errand: the run that the other session would make, from the same models, with the pairs that are here
    /// from an earlier errand.
    pub async fn take(&mut self, errand: Errand) -> Vec<Event> {
        let Errand { run, steps, kept } = errand;
        self.errand = None;
        let sweep = Sweep { betas: vec![kept.settings.beta], steps, hands: 0 };
        for command in [Command::Configure(kept.settings), Command::Focus(kept.focus), Command::Sweep(Some(sweep))] {
            self.session.handle(command).await;
        }
        if self.session.sweep.is_none() {
            return vec![Event::Brought(Brought { run, news: News::Returned })];
        }
        self.errand = Some((run, false));
        Vec::new()
    }

    /// Lets the errand rest or go on, or trains it with other knobs. An errand that these start over is none any more: so
    /// is the sweep that it was for.
    pub async fn handle(&mut self, command: Command) {
        if matches!(command, Command::Play | Command::Pause | Command::Configure(_)) {
            self.session.handle(command).await;
            self.errand = self.errand.filter(|_| self.session.sweep.is_some());
        }
    }

    /// Does one slice of work, and answers with what it brought.
    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds out of many are picked")]
    pub async fn advance(&mut self) -> Vec<Event> {
        let events = self.session.advance().await;
        let Some((run, is_broken)) = &mut self.errand else { return Vec::new() };
        *is_broken |= self.session.sweep.as_ref().is_some_and(|sweep| sweep.has_broken());
        let (run, is_broken, stage) = (*run, *is_broken, self.session.focus);
        let is_lost = events.iter().any(|event| matches!(event, Event::Failure(failure) if failure.stopped));
        let news = events.into_iter().filter_map(|event| match event {
            Event::Metrics(its, rows) if its == stage => Some(News::Steps(rows.len())),
            Event::Point(point) if Some(point.point.method) == stage.method() => {
                let Measured { policy, seconds } = self.session.runs[stage.policy()?].measured.as_ref()?;
                let (seconds, checkpoint) = (*seconds, policy.to_bytes());
                Some(News::Point(Box::new(KeptMoment { stage, point, seconds, checkpoint })))
            }
            Event::Sweep(None) if is_lost => Some(News::Returned),
            Event::Sweep(None) => Some(if is_broken { News::Broken } else { News::Over }),
            _ => None,
        });
        let brought = news.map(|news| Event::Brought(Brought { run, news })).collect();
        if self.session.sweep.is_none() {
            self.errand = None;
        }
        brought
    }

    /// Whether [`Hand::advance`] has something to do.
    pub fn busy(&self) -> bool {
        self.errand.is_some() && self.session.is_needed()
    }
}
