//! The frontier: chart, pointer, readout and table.

use plotters::coord::Shift;
use plotters::prelude::{DrawingArea, DrawingBackend};
use web_sys::Element;

use super::action::run;
use super::{Act, Action, On, Page, View, chart, dom, notices};
use crate::engine::protocol::{Command, Origin};
use crate::page::model::change::Change;
use crate::page::model::guess::{Guess, Place};
use crate::page::model::runs::{run_name, setting, table_name};
use crate::page::model::state::State;
use crate::page::model::{beta, format};
use klimb_charts::recorded::Ghosts;
use klimb_charts::{ChartError, ChartStyle, Frame, FrontierChart, Trail};
use klimb_metrics::{FrontierPoint, OptimumPoint};
use klimb_text::json;
use klimb_text::words::{say, typed};

/// Pixels (CSS) within which the pointer finds a point.
const REACH: f64 = 24.0;

/// The frontier.
#[derive(Default)]
pub struct Frontier {
    /// Where its values lie, for the pointer.
    frame: Option<Frame>,
    /// Whether a guess was asked for at the last drawing.
    is_guess_asked: bool,
    /// What the rows of the table depend on beside the points: how often points were taken out, and what runs are called. None
    /// before they are written first.
    rows_as_of: Option<(usize, String)>,
    /// Rows of the table.
    rows: usize,
    /// What the recorded rows were written for.
    recorded_as_of: String,
}

const ACTIONS: &[Action<Frontier>] = &[
    Action::on(&[On::PointerMove], "frontier", |view, page, act| view.point_at(page, act)),
    Action::click("frontier", |view, page, act| {
        if !view.guess_at(page, act) {
            view.point_at(page, act);
            open_selected(page);
        }
    }),
    Action::on(&[On::PointerOut], "frontier", |_, page, _| select(page, None)),
    Action::on(&[On::Submit], "guess", |_, page, act| {
        act.prevent_default();
        // No field of numbers: a browser refuses decimals that its own language does not write.
        let number = |id| json::number(typed(&dom::input(id).value()).trim()).unwrap_or(f64::NAN);
        guess(page, (number("guess-kl"), number("guess-reward")));
    }),
    Action::click("skip-guess", |_, page, _| {
        page.state.frontier.guess = Guess::Over;
        page.state.mark(Change::Guess);
    }),
    Action::change("show-recorded", |_, page, _| show_recorded(page)),
];

impl View for Frontier {
    fn shows(&self) -> &'static [Change] {
        use Change::{Beta, Charts, Guess, Marks, Optimum, Points, Recorded, Requests, Shown, Sweep};
        &[Requests, Points, Optimum, Shown, Marks, Recorded, Beta, Guess, Sweep, Charts]
    }

    fn take_over(&mut self, page: &mut Page) {
        show_recorded(page);
    }

    fn draw(&mut self, page: &mut Page) {
        let state = &mut page.state;
        write_target(&target(state), state.results.optimum_origin);
        self.write_guess(state);
        dom::set_text("frontier-summary", &readout(state, &trails(state)));
        self.write_table(state);
        self.write_recorded(state);
        self.frame = draw(state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

/// Shows the recorded runs that were chosen, and the paper's curves if they are wanted.
fn show_recorded(page: &mut Page) {
    page.state.others.recorded.shows_read_off = dom::input("read-off").checked();
    page.state.others.recorded.show(Ghosts::named(&dom::select("recorded").value()));
    page.state.mark(Change::Recorded);
}

/// Draws the chart; answers where its values lie.
fn draw(state: &mut State) -> Option<Frame> {
    if !state.has_a_chart() {
        return None;
    }
    match chart::draw("frontier", true, &|area, look| paint(state, state.frontier.selected, area, look).map(Some)) {
        Ok(frame) => {
            if frame.is_some() {
                dom::flag("recorded-figure", "hidden", true);
            }
            frame
        }
        Err(error) => {
            notices::chart_failed(state, &error);
            None
        }
    }
}

/// Draws the chart over all of `area`, whatever that is.
pub fn paint<DB: DrawingBackend>(
    state: &State,
    selected: Option<(usize, usize)>,
    area: &DrawingArea<DB, Shift>,
    look: &ChartStyle,
) -> Result<Frame, ChartError> {
    let target = target(state);
    let label = say!("π* at β {}", format::beta(state.training.dragged_beta));
    let chart = FrontierChart {
        ghosts: state.others.recorded.ghosts(),
        read_off: &state.others.recorded.read_off(),
        trails: &trails(state),
        optimum: &state.results.optimum,
        aims: &[],
        target: target.map(|point| (point, label.as_str())),
        selected,
        guess: state.frontier.guess.placed().map(|place| (place, say("your guess"))),
        empty: if state.training.ready.is_some() { say("Press Play: the first point lands in seconds") } else { "" },
    };
    chart.draw(area, look)
}

/// The runs that are shown, behind them those out of files, and, by number, those of others' receipts.
fn trails(state: &State) -> Vec<Trail> {
    let own = state.shown().into_iter().map(|(_, trail)| trail);
    own.chain(state.others.trails()).collect()
}

/// The optimum at the slider's β, unless the student is still guessing where it is.
fn target(state: &State) -> Option<OptimumPoint> {
    beta::optimum_at(&state.results.optimum, state.training.dragged_beta)
        .filter(|_| !state.frontier.guess.hides_the_answer())
}

fn write_target(target: &Option<OptimumPoint>, origin: Origin) {
    let text = target.map_or_else(String::new, |point| {
        say!(
            "At this β the best policy there is, π*, earns a gold reward of {} for a KL of {} nats ({}).",
            format::fixed(point.gold_reward, 2),
            format::fixed(point.kl_per_sequence, 1),
            match origin {
                Origin::Recorded | Origin::Loaded => say("recorded once for the shipped SFT model"),
                Origin::Live => say("estimated live from samples of this reference"),
            }
        )
    });
    dom::set_text("beta-target", &text);
}

impl Frontier {
    fn write_guess(&mut self, state: &State) {
        let (question, answer) = (state.frontier.guess.question(), state.frontier.guess.answer(&state.results.optimum));
        if let Some(question) = &question {
            // Told once: it changes with every move of the slider, which tells its own.
            if !self.is_guess_asked {
                dom::set_text("said", question);
            }
            dom::set_text("guess-question", question);
        }
        self.is_guess_asked = question.is_some();
        dom::flag("guess", "hidden", question.is_none());
        dom::set_text("guess-answer", answer.as_deref().unwrap_or_default());
    }

    /// Adds the rows of new points; old rows stay as they are, unless some were taken out.
    fn write_table(&mut self, state: &State) {
        let body = dom::element("frontier-rows");
        // Another run may give all of its method other names.
        let as_of = Some((state.results.removals, state.results.pair_names.revision().to_string()));
        if self.rows_as_of != as_of {
            (self.rows_as_of, self.rows) = (as_of, 0);
            dom::clear(&body);
        }
        for point in &state.results.points[self.rows.min(state.results.points.len())..] {
            dom::append(&body, &[&row(&table_name(point, &state.results.pair_names), &point.point, false)]);
        }
        self.rows = self.rows.max(state.results.points.len());
    }

    /// What stands behind the student's runs: a sentence, and the last point of every recorded run as a row. The rows are
    /// written anew only when others are shown.
    fn write_recorded(&mut self, state: &State) {
        let width = state.training.ready.as_ref().map(|ready| ready.width);
        dom::set_text("recorded-summary", &state.others.recorded.sentence(width));
        let body = dom::element("recorded-rows");
        let ghosts = state.others.recorded.ghosts();
        let as_of = format!("{:?} {}", state.others.recorded.shown, ghosts.len());
        if self.recorded_as_of == as_of {
            return;
        }
        self.recorded_as_of = as_of;
        dom::clear(&body);
        for (ghost, last) in ghosts.iter().filter_map(|ghost| Some((ghost, ghost.points.last()?))) {
            dom::append(&body, &[&row(&say!("{}, recorded", ghost.label), last, true)]);
        }
    }

    /// Selects the point nearest to the pointer, within reach.
    fn point_at(&self, page: &mut Page, act: &Act) {
        let (Some(frame), Some(pointer)) = (&self.frame, act.pointer()) else { return };
        let scale = dom::sharpness();
        let (x, y) = (f64::from(pointer.offset_x()) * scale, f64::from(pointer.offset_y()) * scale);
        let trails = trails(&page.state);
        let points = trails
            .iter()
            .enumerate()
            .flat_map(|(trail, it)| it.points.iter().enumerate().map(move |(index, point)| ((trail, index), point)));
        let distance = |point: &FrontierPoint| {
            let (px, py) = frame.pixel(point.kl_per_sequence, point.gold_reward);
            (f64::from(px) - x).hypot(f64::from(py) - y)
        };
        let nearest = points.map(|(which, point)| (which, distance(point))).min_by(|a, b| a.1.total_cmp(&b.1));
        select(page, nearest.filter(|(_, distance)| *distance < REACH * scale).map(|(which, _)| which));
    }

    /// Places the guess where the chart was clicked; whether one was asked for.
    fn guess_at(&self, page: &mut Page, act: &Act) -> bool {
        let frame = self.frame.as_ref().filter(|_| page.state.frontier.guess.hides_the_answer());
        let (Some(frame), Some(pointer)) = (frame, act.pointer()) else { return false };
        let scale = dom::sharpness();
        let (kl, reward) = frame.value(f64::from(pointer.offset_x()) * scale, f64::from(pointer.offset_y()) * scale);
        guess(page, (kl.max(0.0), reward.clamp(0.0, 1.0)));
        true
    }
}

fn sentence(name: &str, point: &FrontierPoint) -> String {
    say!(
        "{}, step {}: KL {} ± {} nats, gold reward {} ± {}",
        name,
        point.step,
        format::fixed(point.kl_per_sequence, 2),
        format::fixed(point.kl_half_width, 2),
        format::fixed(point.gold_reward, 3),
        format::fixed(point.gold_reward_half_width, 3)
    )
}

/// What is pointed at, or else the newest point, in numbers.
fn readout(state: &State, trails: &[Trail]) -> String {
    let pointed = state.frontier.selected.and_then(|(trail, point)| {
        let trail = trails.get(trail)?;
        Some(sentence(&trail.label, trail.points.get(point)?))
    });
    let newest = || {
        let point = state.results.latest()?;
        Some(say!("Newest: {}", sentence(&run_name(point, &state.results.pair_names), &point.point)))
    };
    pointed.or_else(newest).unwrap_or_else(|| say("No point yet. Press Play.").into())
}

fn row(name: &str, p: &FrontierPoint, recorded: bool) -> Element {
    let row = dom::make("tr", "", "");
    let head = dom::make("th", "", name);
    dom::set_attribute(&head, "scope", Some("row"));
    dom::append(&row, &[&head]);
    let values = [
        setting(p, recorded),
        p.step.to_string(),
        format!("{} ± {}", format::fixed(p.kl_per_sequence, 3), format::fixed(p.kl_half_width, 3)),
        format!("{} ± {}", format::fixed(p.gold_reward, 3), format::fixed(p.gold_reward_half_width, 3)),
        p.diversity.map_or_else(|| "–".into(), |diversity| format::fixed(diversity, 3)),
        p.samples.to_string(),
    ];
    for value in values {
        dom::append(&row, &[&dom::make("td", "", &value)]);
    }
    row
}

/// Points at a trail's point, or at none.
pub fn select(page: &mut Page, selected: Option<(usize, usize)>) {
    if page.state.frontier.selected != selected {
        page.state.frontier.selected = selected;
        page.state.mark(Change::Shown);
    }
}

/// Takes the guess.
fn guess(page: &mut Page, place: Place) {
    if page.state.frontier.guess.place(place) {
        dom::set_text("guess-error", "");
        page.state.mark(Change::Guess);
    } else {
        dom::set_text("guess-error", say("A KL is at least 0, and a gold reward lies between 0 and 1."));
    }
}

/// Selects the next or previous point, through every trail in turn.
pub fn walk(page: &mut Page, by: isize) {
    let trails = trails(&page.state);
    let all: Vec<(usize, usize)> = trails
        .iter()
        .enumerate()
        .flat_map(|(trail, it)| (0..it.points.len()).map(move |point| (trail, point)))
        .collect();
    let now = page.state.frontier.selected.and_then(|selected| all.iter().position(|which| *which == selected));
    let next = match now {
        Some(now) => now.saturating_add_signed(by).min(all.len().saturating_sub(1)),
        None => all.len().saturating_sub(1),
    };
    select(page, all.get(next).copied());
    dom::set_text("said", &readout(&page.state, &trails));
}

/// Opens the point that is pointed at.
pub fn open_selected(page: &mut Page) {
    let shown = page.state.shown();
    let selected = page.state.frontier.selected.and_then(|(trail, point)| {
        let (id, trail) = shown.get(trail)?;
        Some((id, trail.points.get(point)?))
    });
    if let Some((id, point)) = selected {
        if let Some(policy) = page.state.open(id, point) {
            page.request(Command::Open(policy));
        }
        page.focus_when_drawn = Some("opened-title");
    }
}
