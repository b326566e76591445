//! Who is at which job.

use super::*;
use crate::engine::protocol::{Failure, Stage};
use crate::engine::settings::Settings;
use crate::page::model::fixtures;

fn job(run: u32) -> WorkerJob {
    WorkerJob { run, steps: 200, kept: fixtures::kept(Settings::default(), Stage::Dpo) }
}

fn reported(run: u32, news: JobNews) -> Event {
    Event::JobReport(JobReport { run, news })
}

fn returned(run: u32) -> Task {
    Task::Request(Command::Adopt(JobReport { run, news: JobNews::Requeued }))
}

/// Sweep workers at work at runs 2 and 3.
fn at_work() -> SweepWorkers {
    let mut workers = SweepWorkers::default();
    workers.play(true);
    for run in [2, 3] {
        let sent = workers.send(job(run));
        assert_eq!(sent, [Task::Spawn(run - 1), Task::Tell(run - 1, Command::WorkerJob(Box::new(job(run))))]);
    }
    workers
}

#[test]
fn as_many_help_as_processors_are_free_and_none_where_they_would_be_in_the_way() {
    let badge = |kind| Badge { kind, adapter: None, why: klimb_text::Message::verbatim(""), remedy: None };
    let (cpu, gpu) = (badge(BackendKind::Cpu), badge(BackendKind::Gpu));
    let of = |processors, gigabytes| helpful(Some(&cpu), 5, processors, gigabytes);
    assert_eq!([1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 64.0].map(|it| of(it, None)), [0, 0, 1, 2, 4, 4, 4]);
    assert_eq!([0.5, 2.0, 4.0, 8.0].map(|it| of(8.0, Some(it))), [0, 0, 4, 4]);
    assert_eq!(of(f64::NAN, None), 0, "what a browser does not tell");
    assert_eq!(helpful(Some(&cpu), 3, 8.0, None), 2, "the engine makes a run itself");
    assert_eq!(helpful(Some(&gpu), 5, 8.0, None), 0);
    assert_eq!(helpful(None, 5, 8.0, None), 0);
}

#[test]
fn what_a_hand_brings_goes_to_the_engine_and_a_free_one_has_the_next_job() {
    let mut workers = at_work();
    for news in [JobNews::Steps(3), JobNews::Finished] {
        let adopted = Command::Adopt(JobReport { run: 2, news: news.clone() });
        assert_eq!(workers.hear(1, reported(2, news)), [Task::Request(adopted)]);
    }
    assert_eq!(workers.hear(1, reported(2, JobNews::Steps(1))), [], "what is over brings nothing more");
    assert_eq!(workers.hear(2, reported(2, JobNews::Steps(1))), [], "nor does somebody else's");
    assert_eq!(workers.send(job(4)), [Task::Tell(1, Command::WorkerJob(Box::new(job(4))))]);
}

#[test]
fn a_worker_that_fails_is_stopped_and_gives_its_job_back() {
    let failure = |stopped| {
        Event::Failure(Failure {
            sentence: klimb_text::Message::verbatim("A fault."),
            remedy: klimb_text::Message::verbatim(""),
            field: None,
            stopped,
        })
    };
    let mut workers = at_work();
    assert_eq!(workers.hear(2, failure(false)), []);
    assert_eq!(workers.hear(2, failure(true)), [Task::Stop(2), returned(3)]);
    assert_eq!(workers.hear(2, failure(true)), [], "it is gone already");
    assert_eq!(workers.hear(1, reported(2, JobNews::Requeued)), [Task::Stop(1), returned(2)]);
    assert_eq!((workers.lose(1), workers.first()), (Vec::new(), None));
    let mut workers = at_work();
    workers.hear(1, reported(2, JobNews::Failed));
    assert_eq!(workers.lose(1), [Task::Stop(1)], "a free one has nothing to give back");
}

#[test]
fn workers_rest_keep_the_pace_and_are_ended_as_the_sweep_is() {
    let mut workers = at_work();
    assert_eq!(workers.play(true), [], "they are at it");
    assert_eq!(workers.play(false), [1, 2].map(|it| Task::Tell(it, Command::Pause)));
    let sent = workers.send(job(4));
    assert_eq!(sent.last(), Some(&Task::Tell(3, Command::Pause)), "who comes while it rests, rests");
    assert!(workers.follow(&Command::SetPace(Some(2.0))) && workers.follow(&Command::Configure(Settings::default())));
    assert!(!workers.follow(&Command::SetBeta(0.2)), "a new β waits for the end");
    assert!(workers.send(job(5)).contains(&Task::Tell(4, Command::SetPace(Some(2.0)))));
    assert_eq!(workers.stop_all(), [1, 2, 3, 4].map(Task::Stop));
    assert_eq!((workers.first(), workers.stop_all()), (None, Vec::new()), "nobody is left");
}
