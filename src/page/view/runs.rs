//! The runs as a list, to be hidden, renamed and removed, and the point of one that is open.

use web_sys::Element;

use super::{Page, address, dom, focus, frontier, samples};
use crate::engine::protocol::{Command, Opened};
use crate::page::model::format;
use crate::page::model::runs::{RunId, runs};
use crate::page::model::state::State;
use crate::page::model::view_id::View;
use klimb_metrics::Method;
use klimb_text::words::say;

/// Which run a row is of.
const RUN: &str = "data-run";

/// Writes the list and the open point.
pub fn draw(state: &State) {
    write_list(state);
    write_open(state);
}

/// The row of a run stays as long as the run: a name may be under the fingers.
fn write_list(state: &State) {
    let runs = runs(&state.points, &state.pair_names);
    dom::flag("runs", "hidden", runs.is_empty());
    let list = dom::element("run-list");
    let is_of = |row: &Element, id: &RunId| row.get_attribute(RUN).is_some_and(|it| it == id.id());
    let mut next = list.first_element_child();
    while let Some(old) = next {
        next = old.next_element_sibling();
        if !runs.iter().any(|(id, _)| is_of(&old, id)) {
            old.remove();
        }
    }
    // Runs keep their order, so what does not stand here yet is new.
    let mut next = list.first_element_child();
    for (id, trail) in &runs {
        if next.as_ref().is_some_and(|row| is_of(row, id)) {
            next = next.and_then(|row| row.next_element_sibling());
        } else {
            // The list refuses no row.
            let _ = list.insert_before(&row(id, trail.method), next.as_deref());
        }
    }
    for (id, trail) in &runs {
        let (mark, id) = (state.marks.get(id), id.id());
        let name = mark.and_then(|mark| mark.name.clone()).unwrap_or_else(|| trail.label.clone());
        let shown = dom::input(&format!("run-shown-{id}"));
        shown.set_checked(!mark.is_some_and(|mark| mark.hidden));
        dom::set_attribute(&shown, "aria-label", Some(&say!("{} in the chart", name)));
        dom::set_attribute(&dom::element(&format!("run-remove-{id}")), "aria-label", Some(&say!("remove {}", name)));
        dom::write_unless_focused(&format!("run-name-{id}"), &name);
        let count = match trail.points.len() {
            1 => say("1 point").to_owned(),
            several => say!("{} points", several),
        };
        dom::set_text(&format!("run-count-{id}"), &count);
    }
}

fn row(id: &RunId, method: Method) -> Element {
    let (row, id) = (dom::make("li", "run", ""), id.id());
    dom::set_attribute(&row, RUN, Some(&id));
    dom::set_attribute(&row, "data-method", Some(&method.to_string().replace('_', "-")));
    let field = |kind: &str, role: &str| {
        let field = dom::make("input", "", "");
        dom::set_attribute(&field, "type", Some(kind));
        dom::set_attribute(&field, "id", Some(&format!("run-{role}-{id}")));
        field
    };
    let (shown, name) = (field("checkbox", "shown"), field("text", "name"));
    dom::set_attribute(&name, "aria-label", Some(say("Name of the run")));
    let count = dom::make("span", "quiet numeric", "");
    dom::set_attribute(&count, "id", Some(&format!("run-count-{id}")));
    let remove = dom::make("button", "plain", say("remove"));
    dom::set_attribute(&remove, "type", Some("button"));
    dom::set_attribute(&remove, "id", Some(&format!("run-remove-{id}")));
    dom::append(&row, &[&shown, &name, &count, &remove]);
    row
}

fn write_open(state: &State) {
    dom::flag("opened", "hidden", state.open.is_none());
    let Some((id, point)) = &state.open else { return };
    let runs = runs(&state.points, &state.pair_names);
    let name = runs.iter().find(|(run, _)| run == id).map_or(id.method.label(), |(_, trail)| trail.label.as_str());
    let name = state.marks.get(id).and_then(|mark| mark.name.as_deref()).unwrap_or(name);
    dom::set_text("opened-title", &say!("{}, step {}", name, point.step));
    dom::set_text("opened-numbers", &numbers(state, point));
    let moment = state.moment();
    dom::flag("go-on", "hidden", moment.is_none());
    dom::flag("fork", "hidden", moment.is_none());
    dom::set_text("fork", &say!("Fork at β {}", format::beta(state.dragged_beta)));
    let opened = state.opened.as_ref().filter(|opened| moment == Some(opened.moment));
    write_samples(state, opened, moment.is_some());
}

/// Rows are made anew only when there are others: their workings may be open while β is moved.
fn write_samples(state: &State, opened: Option<&Opened>, can_write: bool) {
    let list = dom::element("opened-list");
    let shown = format!("{:?} {can_write} {:?}", opened.map(|opened| opened.moment), state.tint);
    if list.get_attribute("data-shown").as_deref() == Some(&shown) {
        return;
    }
    dom::set_attribute(&list, "data-shown", Some(&shown));
    dom::clear(&list);
    match opened {
        Some(opened) => {
            for row in &opened.samples.rows {
                dom::append(&list, &[&samples::sample(row, state.tint)]);
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

fn numbers(state: &State, point: &klimb_metrics::FrontierPoint) -> String {
    let diversity = point.diversity.map_or_else(String::new, |it| say!(", diversity {}", format::fixed(it, 2)));
    let below = klimb_lab::optimal_reward(&state.optimum, point.kl_per_sequence)
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

/// Opens the point that is pointed at.
pub fn open_selected(page: &mut Page) {
    let shown = page.state.shown();
    let selected = page.state.selected.and_then(|(trail, point)| {
        let (id, trail) = shown.get(trail)?;
        Some((id, trail.points.get(point)?))
    });
    if let Some((id, point)) = selected {
        if let Some(moment) = page.state.open(id, point) {
            page.request(Command::Open(moment));
        }
        // At once, so that it can be gone to.
        draw(&page.state);
        focus::go(&dom::element("opened-title"));
    }
}

/// A click in the list or on the open point; whether it was one.
pub fn click(page: &mut Page, id: &str) -> bool {
    if let Some(run) = id.strip_prefix("run-remove-").and_then(RunId::named) {
        page.state.remove(&run);
        return true;
    }
    let moment = page.state.moment();
    match (id, moment) {
        ("opened-close", _) => {
            page.state.open = None;
            page.state.mark(&[View::Runs]);
            dom::focus("frontier");
        }
        ("go-on", Some(moment)) => go_on(page, Command::GoOn(moment, None)),
        ("fork", Some(moment)) => {
            let beta = page.state.dragged_beta;
            go_on(page, Command::GoOn(moment, Some(beta)));
        }
        _ => return false,
    }
    true
}

fn go_on(page: &mut Page, command: Command) {
    page.request(command);
    address::write(&page.state);
    page.request(Command::Play);
}

/// A change of a run's name or sight; whether it was one.
pub fn change(page: &mut Page, id: &str) -> bool {
    let shown = id.strip_prefix("run-shown-").and_then(RunId::named);
    let named = id.strip_prefix("run-name-").and_then(RunId::named);
    if let Some(run) = shown {
        page.state.marks.entry(run).or_default().hidden = !dom::input(id).checked();
        frontier::select(page, None);
    } else if let Some(run) = named {
        let name = dom::input(id).value().trim().to_owned();
        page.state.marks.entry(run).or_default().name = Some(name).filter(|name| !name.is_empty());
    } else {
        return false;
    }
    page.state.mark(&[View::Frontier, View::Runs]);
    true
}
