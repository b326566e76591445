//! What controls do: a table a view, by the names that stand in the attribute `data-action` of the document.

use wasm_bindgen::JsCast;
use web_sys::{Element, Event as BrowserEvent, HtmlInputElement, MouseEvent};

use super::Page;

/// What happened to a control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// It was pressed, by pointer or key.
    Click,
    /// Its value is being changed.
    Input,
    /// Its value was changed.
    Change,
    /// The form was sent.
    Submit,
    /// The pointer moved over it.
    PointerMove,
    /// The pointer left it.
    PointerOut,
    /// It, or something in it, has got the focus.
    Focus,
}

impl On {
    /// What an event of the document is to a control.
    pub fn of(event: &BrowserEvent) -> Option<Self> {
        match event.type_().as_str() {
            "click" => Some(Self::Click),
            "input" => Some(Self::Input),
            "change" => Some(Self::Change),
            "submit" => Some(Self::Submit),
            "pointermove" => Some(Self::PointerMove),
            "pointerout" => Some(Self::PointerOut),
            "focusin" => Some(Self::Focus),
            _ => None,
        }
    }
}

/// What a control asks for.
pub struct Act {
    /// The control's `data-action`.
    pub name: String,
    /// The control's `data-value`: which of several that do the same.
    pub value: String,
    /// What happened to it.
    pub on: On,
    /// The control; none where a key of the page asks for the same.
    pub element: Option<Element>,
    /// What the browser tells of it; none where a key of the page asks for the same.
    pub event: Option<BrowserEvent>,
}

impl Act {
    /// What an event asks for, if it happened to a control.
    pub fn of(event: &BrowserEvent) -> Option<Self> {
        let on = On::of(event)?;
        let target = event.target()?.dyn_into::<Element>().ok()?;
        let element = target.closest("[data-action]").ok().flatten()?;
        let attribute = |name: &str| element.get_attribute(name).unwrap_or_default();
        let (name, value) = (attribute("data-action"), attribute("data-value"));
        Some(Self { name, value, on, element: Some(element), event: Some(event.clone()) })
    }

    /// What a key of the page asks for: the same as a press of the control.
    pub fn of_key(name: &str, value: &str) -> Self {
        Self { name: name.into(), value: value.into(), on: On::Click, element: None, event: None }
    }

    /// Where the pointer was.
    pub fn pointer(&self) -> Option<&MouseEvent> {
        self.event.as_ref()?.dyn_ref()
    }

    /// The control as a field or checkbox.
    pub fn field(&self) -> Option<&HtmlInputElement> {
        self.element.as_ref()?.dyn_ref()
    }

    /// Keeps the browser from doing what it would do by itself.
    pub fn prevent_default(&self) {
        if let Some(event) = &self.event {
            event.prevent_default();
        }
    }
}

/// A row of a view's table: what a control of this name does on any of these occasions.
pub struct Action<V> {
    name: &'static str,
    on: &'static [On],
    run: fn(&mut V, &mut Page, &Act),
}

impl<V> Action<V> {
    /// What a control of this name does on any of these occasions.
    pub const fn on(on: &'static [On], name: &'static str, run: fn(&mut V, &mut Page, &Act)) -> Self {
        Self { name, on, run }
    }

    /// What a button of this name does.
    pub const fn click(name: &'static str, run: fn(&mut V, &mut Page, &Act)) -> Self {
        Self::on(&[On::Click], name, run)
    }

    /// What a field of this name does when its value was changed.
    pub const fn change(name: &'static str, run: fn(&mut V, &mut Page, &Act)) -> Self {
        Self::on(&[On::Change], name, run)
    }
}

/// Does what the table says; whether it says anything.
pub fn run<V>(actions: &[Action<V>], view: &mut V, page: &mut Page, act: &Act) -> bool {
    let action = actions.iter().find(|action| action.name == act.name && action.on.contains(&act.on));
    if let Some(action) = action {
        (action.run)(view, page, act);
    }
    action.is_some()
}
