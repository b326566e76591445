//! What is to be done with the store, one after another.

use std::collections::VecDeque;

use super::store::Store;
use super::{Entry, Keeper, News, Saved};

/// Something to be done with the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Job {
    /// Look for what earlier visits left: with the visit that this tab made before, and the time.
    Look(Option<String>, f64),
    /// Write an entry.
    Save(Box<Entry>),
    /// Hold what a visit kept.
    Hold(String),
    /// Forget what a visit kept.
    Forget(Saved),
}

/// What waits to be done.
#[derive(Debug, Default)]
pub struct Jobs(VecDeque<Job>);

impl Jobs {
    /// One more. Of entries that wait, only the newest is written, with what the others would have put beside it.
    pub fn push(&mut self, job: Job) {
        let job = match job {
            Job::Save(entry) => {
                let at = self.0.iter().position(|waiting| matches!(waiting, Job::Save(_)));
                let earlier = at.and_then(|at| self.0.remove(at)).and_then(|job| match job {
                    Job::Save(earlier) => Some(*earlier),
                    Job::Look(..) | Job::Hold(_) | Job::Forget(_) => None,
                });
                Job::Save(Box::new(entry.behind(earlier)))
            }
            job @ (Job::Look(..) | Job::Hold(_) | Job::Forget(_)) => job,
        };
        self.0.push_back(job);
    }

    /// The next.
    pub fn take(&mut self) -> Option<Job> {
        self.0.pop_front()
    }
}

impl<S: Store> Keeper<S> {
    /// Does it, and answers with what there is to say of it.
    pub async fn work(&mut self, job: Job) -> Vec<News> {
        match job {
            Job::Look(earlier, now) => self.look(earlier.as_deref(), now).await,
            Job::Save(entry) => self.save(*entry).await,
            Job::Hold(visit) => {
                self.hold(&visit).await;
                Vec::new()
            }
            Job::Forget(saved) => self.forget(&saved).await,
        }
    }
}
