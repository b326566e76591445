//! A page that was made anew and is told everything once more knows what the page before it knew.

use crate::common::session as shipped;
use crate::common::student::Student;
use crate::common::sweep::quick;
use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::*;
use klimb::engine::settings::Settings;
use klimb::page::model::state::State;
use pollster::block_on;

/// A session and the page that has heard all of it.
struct Pair {
    student: Student,
    page: State,
}

impl Pair {
    fn new() -> Self {
        let mut student = Student(shipped::unopened(Cpu::new(), quick()));
        let events = block_on(student.0.open());
        let mut page = State::new(quick());
        let start = page.request(Command::Start(quick()));
        page.apply(Event::Acknowledged(start.id));
        events.into_iter().for_each(|event| page.apply(event));
        Self { student, page }
    }

    fn request(&mut self, command: Command) {
        let request = self.page.request(command);
        self.page.apply(Event::Acknowledged(request.id));
        let events = self.student.handle(request.command);
        events.into_iter().for_each(|event| self.page.apply(event));
    }

    fn until(&mut self, is_enough: impl Fn(&[Event]) -> bool) {
        let events = self.student.until(is_enough);
        events.into_iter().for_each(|event| self.page.apply(event));
    }

    /// The page before this one broke down, and its last orders are answered in the midst.
    fn anew(&mut self) -> State {
        let mut anew = State::anew(Settings::default());
        let request = anew.request(Command::Report);
        anew.apply(Event::Acknowledged(request.id));
        anew.apply(Event::Metrics(Stage::Dpo, Vec::new()));
        anew.apply(Event::Acknowledged(17));
        assert!(anew.awaits_report());
        self.student.handle(request.command).into_iter().for_each(|event| anew.apply(event));
        assert!(!anew.awaits_report());
        anew
    }
}

fn point_of(method: &'static str) -> impl Fn(&[Event]) -> bool {
    move |events| {
        events.iter().any(|event| matches!(event, Event::Point(point) if point.point.method.info().file_name == method))
    }
}

fn assert_same(one: &State, other: &State) {
    assert_eq!(one.results.points, other.results.points);
    assert_eq!(one.records.metrics, other.records.metrics);
    assert_eq!(one.training.stages, other.training.stages);
    assert_eq!(one.training.works, other.training.works);
    assert_eq!(
        (one.training.settings, one.training.dragged_beta),
        (other.training.settings, other.training.dragged_beta)
    );
    assert_eq!(
        (one.training.focused, one.training.playing, one.undo().is_some()),
        (other.training.focused, other.training.playing, other.undo().is_some())
    );
    assert_eq!(
        (&one.training.ready, &one.results.optimum, one.results.optimum_origin),
        (&other.training.ready, &other.results.optimum, other.results.optimum_origin)
    );
    assert_eq!((&one.samples.standing, &one.samples.typed), (&other.samples.standing, &other.samples.typed));
    assert_eq!(one.records.inside, other.records.inside);
    assert_eq!((one.sweep.stage, &one.sweep.own), (other.sweep.stage, &other.sweep.own));
    assert_eq!(one.sweep.runs_elsewhere(), other.sweep.runs_elsewhere());
    assert_eq!(one.studies.win_rates, other.studies.win_rates);
}

#[test]
fn at_every_turn_a_page_made_anew_is_the_page_that_heard_everything() {
    let mut pair = Pair::new();
    assert_same(&pair.anew(), &pair.page);
    pair.until(point_of("sft"));
    pair.request(Command::Step(Stage::Dpo));
    pair.until(point_of("dpo"));
    pair.request(Command::SamplePrompt("the film".into()));
    assert_same(&pair.anew(), &pair.page);
    pair.request(Command::SetBeta(0.2));
    pair.request(Command::Play);
    pair.until(point_of("dpo"));
    let mut anew = pair.anew();
    assert!(anew.training.playing, "training was not interrupted");
    assert_same(&anew, &pair.page);
    // From here on both hear the same.
    let events = pair.student.until(point_of("dpo"));
    for event in events {
        anew.apply(event.clone());
        pair.page.apply(event);
    }
    assert_same(&anew, &pair.page);
    let steps: Vec<u64> = anew.records.metrics[&Stage::Dpo].iter().map(|row| row.step).collect();
    assert_eq!(steps, (1..=steps.len() as u64).collect::<Vec<_>>(), "each row once");

    pair.request(Command::Reset);
    let anew = pair.anew();
    assert!(anew.undo().is_some() && !anew.records.metrics.contains_key(&Stage::Dpo));
    assert_same(&anew, &pair.page);
    pair.request(Command::Undo);
    assert!(
        pair.page.records.inside.contains_key(&Stage::Dpo) && !pair.page.records.metrics[&Stage::Dpo].is_empty(),
        "it knows the run again"
    );
    assert_same(&pair.anew(), &pair.page);

    pair.request(Command::Focus(Stage::PpoGt));
    pair.request(Command::Step(Stage::PpoGt));
    pair.until(point_of("ppo-gt"));
    assert_same(&pair.anew(), &pair.page);
    pair.request(Command::Sweep(Some(Sweep { betas: vec![1.0, 0.1], steps: 1, workers: 1 })));
    pair.until(point_of("ppo-gt"));
    let anew = pair.anew();
    assert_eq!((anew.sweep.stage, anew.sweep.runs_elsewhere().len()), (Some(Stage::PpoGt), 1));
    assert_same(&anew, &pair.page);
}
