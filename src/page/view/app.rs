//! What `www/main.js` calls: messages in, input in, one frame at a time out.

use js_sys::{Array, Function, Object};
use wasm_bindgen::prelude::*;
use web_sys::{Event as BrowserEvent, KeyboardEvent};

use super::keyboard::{self, Pressed};
use super::{Act, Page, View, dom, files, focus, tour};
use crate::page::model::change::Change;

/// The page with its views. It belongs to one document and one worker.
#[wasm_bindgen(js_name = Page)]
pub struct App {
    page: Page,
    views: Vec<Box<dyn View>>,
}

#[wasm_bindgen(js_class = Page)]
impl App {
    /// A page with the settings of the address. `post` sends a message to the worker, `spawn` makes another one, of a
    /// number, for a sweep worker, and `wake` asks for a frame; `words` is an object with what is said in the document's language,
    /// by the English, and empty where that is English. `trouble` is what a page before this one broke down over, whose
    /// engine goes on.
    #[wasm_bindgen(constructor)]
    pub fn new(post: Function, spawn: Function, wake: Function, words: &Object, trouble: Option<String>) -> Self {
        let mut page = Page::new(post, spawn, wake, words, trouble.is_some());
        let mut views = super::all();
        views.iter_mut().for_each(|view| view.build(&mut page));
        page.write_own_address();
        if let Some(trouble) = trouble {
            views.iter_mut().for_each(|view| view.take_over(&mut page));
            page.tell_made_anew(&trouble);
        }
        Self { page, views }
    }

    /// Builds the engine, or asks the one that is there to tell everything once more.
    pub fn start(&mut self) {
        self.page.start();
    }

    /// Takes up a batch of the worker's events.
    pub fn receive(&mut self, message: JsValue) {
        self.page.receive(message);
    }

    /// The worker or one of its files is not there, or it has ended. Answers whether another worker is to be made, to which
    /// [`App::rebuild`] then gives what was kept: one that never got as far as an engine would come no further again.
    /// What it said of that itself stands.
    pub fn broken(&mut self, reason: String) -> bool {
        self.page.broken(reason)
    }

    /// Another worker is there in the place of one that has died.
    pub fn rebuild(&mut self) {
        self.page.rebuild();
    }

    /// Takes over files that were chosen or dropped together. `contents` has the bytes of each, or the number of them where
    /// they are too many to be read, or why the browser could not read them.
    pub fn load(&mut self, names: Vec<String>, contents: Array) {
        files::take(&mut self.page, names, contents);
    }

    /// A click, key, movement or change anywhere in the document.
    pub fn input(&mut self, event: BrowserEvent) {
        match event.dyn_ref::<KeyboardEvent>() {
            Some(key) => match keyboard::press(&mut self.page, key) {
                Pressed::Nothing => {}
                Pressed::Done => event.prevent_default(),
                Pressed::Act(act) => {
                    self.act(&act);
                    event.prevent_default();
                }
            },
            None => {
                if let Some(act) = Act::of(&event) {
                    self.act(&act);
                }
            }
        }
        if let Some(id) = self.page.focus_when_drawn.take() {
            self.draw();
            focus::go(&dom::element(id));
        }
    }

    /// The tab was hidden, or came back into sight.
    pub fn turned(&mut self, hidden: bool) {
        self.page.turned(hidden);
    }

    /// Asks for the charts to be drawn anew: another size or theme. All else follows by itself, and a list that is written
    /// anew would close what is open in it, and be read out once more.
    pub fn redraw(&mut self) {
        self.page.state.mark(Change::Charts);
    }

    /// A sweep worker tells something.
    pub fn heard(&mut self, number: u32, message: JsValue) {
        self.page.heard(number, message);
    }

    /// A sweep worker has ended, or could not begin.
    pub fn lost(&mut self, number: u32) {
        self.page.lost(number);
    }

    /// Draws what has changed since the last frame. Answers whether drawing left something to be drawn.
    pub fn frame(&mut self) -> bool {
        self.page.take_news();
        if self.page.state.has_changes() {
            let (part, held) = (tour::top(&self.page.state), focus::held());
            self.draw();
            tour::hold(&self.page.state, part);
            held.iter().for_each(focus::restore);
        }
        self.page.tell_news();
        self.page.state.has_changes()
    }
}

impl App {
    fn act(&mut self, act: &Act) {
        // Whose table has its name does it.
        self.views.iter_mut().any(|view| view.act(&mut self.page, act));
    }

    /// Draws the views that show something that has changed.
    fn draw(&mut self) {
        let changes = self.page.state.take_changes();
        let all = changes.contains(&Change::Everything);
        for view in &mut self.views {
            if all || view.shows().iter().any(|change| changes.contains(change)) {
                view.draw(&mut self.page);
            }
        }
    }
}
