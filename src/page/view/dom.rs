//! The document, by the ids of `index.html`. An id that is not there is a bug in the page, and panics by name.

use wasm_bindgen::{JsCast, UnwrapThrowExt};
use web_sys::{
    Document, Element, HtmlCanvasElement, HtmlElement, HtmlInputElement, HtmlSelectElement, HtmlTextAreaElement, Window,
};

use super::Surface;
use klimb_charts::{ChartError, ChartStyle, Palette};

/// Fonts of the charts, as `www/style.css` has them for figures.
pub const FAMILY: &str = "Seravek, 'Gill Sans Nova', 'Segoe UI', Ubuntu, 'Helvetica Neue', 'DejaVu Sans', sans-serif";

/// The browser's window.
pub fn window() -> Window {
    web_sys::window().expect_throw("the page runs in a window")
}

/// Loads the page anew.
pub fn reload() {
    // Where a browser forbids that, its own button is left.
    let _ = window().location().reload();
}

/// The page's document.
pub fn document() -> Document {
    window().document().expect_throw("the window has a document")
}

/// The element with this id.
pub fn element(id: &str) -> Element {
    document().get_element_by_id(id).unwrap_or_else(|| panic!("index.html has no #{id}"))
}

/// Whether there is an element with this id.
pub fn is_there(id: &str) -> bool {
    document().get_element_by_id(id).is_some()
}

/// The element with this id, as what it is in `index.html`.
fn typed<T: JsCast>(id: &str) -> T {
    element(id).dyn_into().unwrap_or_else(|_| panic!("#{id} is another kind of element"))
}

/// A text field or slider.
pub fn input(id: &str) -> HtmlInputElement {
    typed(id)
}

/// A field for several lines.
pub fn text_area(id: &str) -> HtmlTextAreaElement {
    element(id).dyn_into().unwrap_or_else(|_| panic!("#{id} is no text area"))
}

/// A choice.
pub fn select(id: &str) -> HtmlSelectElement {
    typed(id)
}

/// A drawing surface.
pub fn canvas(id: &str) -> HtmlCanvasElement {
    typed(id)
}

/// Replaces an element's text if it differs, so that nothing is announced or laid out for no reason.
pub fn set_text(id: &str, text: &str) {
    let element = element(id);
    if element.text_content().as_deref() != Some(text) {
        element.set_text_content(Some(text));
    }
}

/// Writes a field in which nobody is typing.
pub fn write_unless_focused(id: &str, value: &str) {
    let field = input(id);
    let focused = document().active_element().is_some_and(|active| active.id() == id);
    if !focused && field.value() != value {
        field.set_value(value);
    }
}

/// Sets or removes an attribute. An element that refuses one would be a bug in its name.
pub fn set_attribute(element: &Element, name: &str, value: Option<&str>) {
    let outcome = match value {
        Some(value) => element.set_attribute(name, value),
        None => element.remove_attribute(name),
    };
    outcome.expect_throw("the attribute has a valid name");
}

/// Sets a boolean attribute such as `hidden` or `disabled`.
pub fn flag(id: &str, name: &str, on: bool) {
    set_attribute(&element(id), name, on.then_some(""));
}

/// A new element.
pub fn make(tag: &str, class: &str, text: &str) -> Element {
    let element = document().create_element(tag).expect_throw("the tag has a valid name");
    if !class.is_empty() {
        element.set_class_name(class);
    }
    if !text.is_empty() {
        element.set_text_content(Some(text));
    }
    element
}

/// A new element with what a model wrote or read, or a paper is called: that is English, whatever the page's language.
pub fn make_written(tag: &str, class: &str, text: &str) -> Element {
    let element = make(tag, class, text);
    set_attribute(&element, "lang", Some("en"));
    element
}

/// Puts `children` at the end of `parent`.
pub fn append(parent: &Element, children: &[&Element]) {
    for child in children {
        parent.append_child(child).expect_throw("the child is not its own ancestor");
    }
}

/// Moves the focus to an element of the document.
pub fn focus(id: &str) {
    // Only an element that is not in the document refuses the focus.
    let _ = typed::<HtmlElement>(id).focus();
}

/// Removes everything inside.
pub fn clear(element: &Element) {
    element.set_text_content(None);
}

/// Whether the page is dark now: the toggle's choice, or the system's.
pub fn is_dark() -> bool {
    let root = document().document_element();
    match root.and_then(|root| root.get_attribute("data-theme")) {
        Some(theme) => theme == "dark",
        None => prefers_dark(),
    }
}

/// Whether the system asks for dark pages.
pub fn prefers_dark() -> bool {
    window().match_media("(prefers-color-scheme: dark)").ok().flatten().is_some_and(|query| query.matches())
}

/// Device pixels per CSS pixel.
pub fn sharpness() -> f64 {
    window().device_pixel_ratio().max(1.0)
}

/// A canvas as large as it stands in the document, in device pixels, with the look of the theme; `None` while it is hidden.
///
/// # Errors
/// `Surface` if the browser gives nothing to draw on.
pub fn surface(id: &str) -> Result<Option<(Surface<'static>, ChartStyle<'static>)>, ChartError> {
    let canvas = canvas(id);
    let scale = sharpness();
    let size = |css: i32| (f64::from(css) * scale).round() as u32;
    let (width, height) = (size(canvas.client_width()), size(canvas.client_height()));
    if width == 0 || height == 0 {
        return Ok(None);
    }
    if (canvas.width(), canvas.height()) != (width, height) {
        canvas.set_width(width);
        canvas.set_height(height);
    }
    let palette = if is_dark() { Palette::DARK } else { Palette::LIGHT };
    Ok(Some((Surface::canvas(&canvas)?, ChartStyle { palette, scale, family: FAMILY })))
}
