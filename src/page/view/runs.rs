//! The runs as a list, to be hidden, renamed and removed, and the point of one that is open.

use web_sys::Element;

use super::action::run;
use super::{Act, Action, Page, View, address, dom, frontier, samples};
use crate::engine::protocol::{Command, Opened};
use crate::page::model::change::Change;
use crate::page::model::format;
use crate::page::model::runs::RunId;
use crate::page::model::state::State;
use klimb_metrics::Method;
use klimb_text::words::say;

/// The list of runs, and the open point.
#[derive(Default)]
pub struct Runs {
    /// The rows of the list; none before it is written first. The row of a run stays as long as the run: a name may be under
    /// the fingers.
    rows: Option<Vec<(RunId, Element)>>,
    /// What the completions below the open point were written for.
    samples_as_of: String,
}

const ACTIONS: &[Action<Runs>] = &[
    Action::click("remove-run", |_, page, act| {
        if let Some(run) = RunId::named(&act.value) {
            page.state.remove(&run);
        }
    }),
    Action::change("show-run", |_, page, act| {
        if let (Some(run), Some(field)) = (RunId::named(&act.value), act.field()) {
            page.state.results.marks.entry(run).or_default().hidden = !field.checked();
            frontier::select(page, None);
            page.state.mark(Change::Marks);
        }
    }),
    Action::change("rename-run", |_, page, act| {
        if let (Some(run), Some(field)) = (RunId::named(&act.value), act.field()) {
            let name = field.value().trim().to_owned();
            page.state.results.marks.entry(run).or_default().name = Some(name).filter(|name| !name.is_empty());
            page.state.mark(Change::Marks);
        }
    }),
    Action::click("close-point", |_, page, _| {
        page.state.open_point.point = None;
        page.state.mark(Change::Opened);
        dom::focus("frontier");
    }),
    Action::click("continue-from-point", |_, page, _| {
        if let Some(policy) = page.state.open_policy() {
            go_on(page, Command::GoOn(policy, None));
        }
    }),
    Action::click("fork-from-point", |_, page, _| {
        if let Some(policy) = page.state.open_policy() {
            go_on(page, Command::GoOn(policy, Some(page.state.training.dragged_beta)));
        }
    }),
];

impl View for Runs {
    fn shows(&self) -> &'static [Change] {
        use Change::{Beta, Marks, Opened, Points, Sweep, Tint};
        &[Points, Marks, Opened, Beta, Tint, Sweep]
    }

    fn draw(&mut self, page: &mut Page) {
        self.write_list(&page.state);
        self.write_open(&page.state);
    }

    fn act(&mut self, page: &mut Page, act: &Act) -> bool {
        run(ACTIONS, self, page, act)
    }
}

impl Runs {
    fn write_list(&mut self, state: &State) {
        let runs = state.results.runs();
        dom::flag("runs", "hidden", runs.is_empty());
        let list = dom::element("run-list");
        let rows = self.rows.get_or_insert_with(|| {
            dom::clear(&list);
            Vec::new()
        });
        rows.retain(|(id, row)| {
            let is_there = runs.iter().any(|(it, _)| it == id);
            if !is_there {
                row.remove();
            }
            is_there
        });
        // Runs keep their order, so what does not stand here yet is new.
        for (at, (id, trail)) in runs.iter().enumerate() {
            if rows.get(at).is_none_or(|(it, _)| it != id) {
                let row = row(id, trail.method);
                // The list refuses no row.
                let _ = list.insert_before(&row, rows.get(at).map(|(_, next)| next.as_ref()));
                rows.insert(at, (id.clone(), row));
            }
        }
        for (id, trail) in &runs {
            let (mark, id) = (state.results.marks.get(id), id.id());
            let name = mark.and_then(|mark| mark.name.clone()).unwrap_or_else(|| trail.label.clone());
            let shown = dom::input(&format!("run-shown-{id}"));
            shown.set_checked(!mark.is_some_and(|mark| mark.hidden));
            dom::set_attribute(&shown, "aria-label", Some(&say!("{} in the chart", name)));
            dom::set_attribute(
                &dom::element(&format!("run-remove-{id}")),
                "aria-label",
                Some(&say!("remove {}", name)),
            );
            dom::write_unless_focused(&format!("run-name-{id}"), &name);
            let count = match trail.points.len() {
                1 => say("1 point").to_owned(),
                several => say!("{} points", several),
            };
            dom::set_text(&format!("run-count-{id}"), &count);
        }
    }

    fn write_open(&mut self, state: &State) {
        dom::flag("opened", "hidden", state.open_point.point.is_none());
        let Some((id, point)) = &state.open_point.point else { return };
        let runs = state.results.runs();
        let name = runs.iter().find(|(run, _)| run == id).map_or(id.method.label(), |(_, trail)| trail.label.as_str());
        let name = state.results.name(id).unwrap_or(name);
        dom::set_text("opened-title", &say!("{}, step {}", name, point.step));
        dom::set_text("opened-numbers", &numbers(state, point));
        let policy = state.open_policy();
        dom::flag("go-on", "hidden", policy.is_none());
        dom::flag("fork", "hidden", policy.is_none());
        dom::set_text("fork", &say!("Fork at β {}", format::beta(state.training.dragged_beta)));
        let opened = state.open_point.written.as_ref().filter(|opened| policy == Some(opened.moment));
        self.write_samples(state, opened, policy.is_some());
    }

    /// Rows are made anew only when there are others: their workings may be open while β is moved.
    fn write_samples(&mut self, state: &State, opened: Option<&Opened>, can_write: bool) {
        let list = dom::element("opened-list");
        let as_of = format!("{:?} {can_write} {:?}", opened.map(|opened| opened.moment), state.samples.tint);
        if self.samples_as_of == as_of {
            return;
        }
        self.samples_as_of = as_of;
        dom::clear(&list);
        match opened {
            Some(opened) => {
                for row in &opened.samples.rows {
                    dom::append(&list, &[&samples::sample(row, state.samples.tint)]);
                }
            }
            None if can_write => dom::append(&list, &[&dom::make("p", "quiet", say("It is writing …"))]),
            None => {
                let words = say(
                    "There is no policy behind this point that could write or go on: it was not trained, or is no longer kept.",
                );
                dom::append(&list, &[&dom::make("p", "quiet", words)]);
            }
        }
    }
}

fn row(id: &RunId, method: Method) -> Element {
    let (row, id) = (dom::make("li", "run", ""), id.id());
    dom::set_attribute(&row, "data-method", Some(&method.to_string().replace('_', "-")));
    let does = |control: &Element, action: &str| {
        dom::set_attribute(control, "data-action", Some(action));
        dom::set_attribute(control, "data-value", Some(&id));
    };
    let field = |kind: &str, role: &str, action: &str| {
        let field = dom::make("input", "", "");
        dom::set_attribute(&field, "type", Some(kind));
        dom::set_attribute(&field, "id", Some(&format!("run-{role}-{id}")));
        does(&field, action);
        field
    };
    let (shown, name) = (field("checkbox", "shown", "show-run"), field("text", "name", "rename-run"));
    dom::set_attribute(&name, "aria-label", Some(say("Name of the run")));
    let count = dom::make("span", "quiet numeric", "");
    dom::set_attribute(&count, "id", Some(&format!("run-count-{id}")));
    let remove = dom::make("button", "plain", say("remove"));
    dom::set_attribute(&remove, "type", Some("button"));
    dom::set_attribute(&remove, "id", Some(&format!("run-remove-{id}")));
    does(&remove, "remove-run");
    dom::append(&row, &[&shown, &name, &count, &remove]);
    row
}

fn numbers(state: &State, point: &klimb_metrics::FrontierPoint) -> String {
    let diversity = point.diversity.map_or_else(String::new, |it| say!(", diversity {}", format::fixed(it, 2)));
    let below = klimb_lab::optimal_reward(&state.results.optimum, point.kl_per_sequence)
        .map_or_else(String::new, |best| say!(". π* at that KL earns {}", format::fixed(best, 3)));
    say!(
        "KL {} ± {} nats, gold reward {} ± {}{}, {} samples{}.",
        format::fixed(point.kl_per_sequence, 2),
        format::fixed(point.kl_half_width, 2),
        format::fixed(point.gold_reward, 3),
        format::fixed(point.gold_reward_half_width, 3),
        diversity,
        point.samples,
        below
    )
}

fn go_on(page: &mut Page, command: Command) {
    page.request(command);
    address::write(&page.state);
    page.request(Command::Play);
}
