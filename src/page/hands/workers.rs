//! The workers of the hands: made by `www/main.js`, which hands on what they tell, and told what is to be done from here.

use js_sys::{Function, Reflect};
use wasm_bindgen::prelude::*;
use web_sys::Worker;

use super::{Task, helpful};
use crate::engine::protocol::{Command, Errand, Event, Order};
use crate::engine::worker::wire;
use crate::page::state::State;
use crate::page::{Page, dom};
use crate::sorted::Map;

/// The workers there are, by their hands' numbers.
pub struct Workers {
    /// Makes a worker of this number.
    hire: Function,
    workers: Map<u32, Worker>,
}

impl Workers {
    /// No worker yet.
    pub fn new(hire: Function) -> Self {
        Self { hire, workers: Map::default() }
    }

    /// Does a task; answers with the hand for which it could not be done.
    fn carry_out(&mut self, task: Task) -> Result<(), u32> {
        match task {
            Task::Hire(number) => {
                let worker = self.hire.call1(&JsValue::NULL, &number.into()).map_err(|_| number)?;
                self.workers.insert(number, worker.unchecked_into());
            }
            Task::Tell(number, command) => {
                let worker = self.workers.get(&number).ok_or(number)?;
                let order = wire::encode(&Order { id: 0, command }).map_err(|_| number)?;
                worker.post_message(&order).map_err(|_| number)?;
            }
            Task::Dismiss(number) => {
                if let Some(worker) = self.workers.remove(&number) {
                    worker.terminate();
                }
            }
        }
        Ok(())
    }
}

/// How many hands would help with so many runs in this browser.
pub fn available(state: &State, runs: usize) -> usize {
    let navigator = dom::window().navigator();
    let gigabytes = Reflect::get(&navigator, &"deviceMemory".into()).ok().and_then(|it| it.as_f64());
    let badge = state.ready.as_ref().map(|ready| &ready.backend);
    helpful(badge, runs, navigator.hardware_concurrency(), gigabytes)
}

#[wasm_bindgen]
impl Page {
    /// A hand's worker tells something.
    pub fn heard(&mut self, number: u32, message: JsValue) {
        match wire::decode::<Vec<Event>>(message) {
            Ok(events) => {
                let (tasks, commands) = self.hands.hear(number, events);
                self.carry_out(tasks);
                commands.into_iter().for_each(|command| self.order(command));
            }
            Err(_) => self.lost(number),
        }
    }

    /// A hand's worker has ended, or could not begin.
    pub fn lost(&mut self, number: u32) {
        let (task, command) = self.hands.lose(number);
        self.carry_out(task);
        command.into_iter().for_each(|command| self.order(command));
    }
}

impl Page {
    /// Lets a hand make a run.
    pub(in crate::page) fn send_hand(&mut self, errand: Errand) {
        self.keep_hands_in_step();
        let tasks = self.hands.send(errand);
        self.carry_out(tasks);
    }

    /// What is ordered of the person's engine is so of the hands.
    pub(in crate::page) fn tell_hands(&mut self, command: &Command) {
        let tasks = self.hands.follow(command);
        self.carry_out(tasks);
        self.keep_hands_in_step();
    }

    /// Hands work while the sweep goes on, rest while it does, and are gone when it is over.
    pub(in crate::page) fn keep_hands_in_step(&mut self) {
        let State { sweep, playing, focused, .. } = &self.state;
        let (is_on, goes_on) = (sweep.stage.is_some(), *playing && sweep.stage == Some(*focused));
        let tasks = if is_on { self.hands.play(goes_on) } else { self.hands.dismiss() };
        self.carry_out(tasks);
    }

    /// Ends the hands, and gives their errands back.
    pub(in crate::page) fn give_errands_back(&mut self) {
        let (tasks, commands) = self.hands.give_back();
        self.carry_out(tasks);
        commands.into_iter().for_each(|command| self.order(command));
    }

    fn carry_out(&mut self, tasks: impl IntoIterator<Item = Task>) {
        for task in tasks {
            if let Err(number) = self.workers.carry_out(task) {
                self.lost(number);
            }
        }
    }
}
