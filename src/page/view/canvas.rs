//! What charts are drawn on: plotters' canvas or an SVG document, as one type, so that each chart is compiled once. Text is
//! measured by a canvas: the crate's own way sets a style attribute, which a strict Content-Security-Policy forbids.

use plotters::prelude::*;
use plotters_backend::{BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingErrorKind};
use plotters_canvas::CanvasBackend;
use thiserror::Error;
use wasm_bindgen::prelude::*;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use klimb_charts::ChartError;
use klimb_text::words::say;

/// A surface of plotters, in device pixels.
pub struct Surface<'a> {
    inner: Inner<'a>,
    /// What measures text; without it, widths are estimated.
    context: Option<CanvasRenderingContext2d>,
    size: (u32, u32),
}

enum Inner<'a> {
    Canvas(CanvasBackend),
    Svg(SVGBackend<'a>),
}

/// What a browser refused to draw.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct SurfaceError(String);

type Outcome = Result<(), DrawingErrorKind<SurfaceError>>;

fn described<E: std::error::Error + Send + Sync>(outcome: Result<(), DrawingErrorKind<E>>) -> Outcome {
    outcome.map_err(|error| {
        refused(match error {
            DrawingErrorKind::DrawingError(error) => error.to_string(),
            DrawingErrorKind::FontError(error) => error.to_string(),
        })
    })
}

fn refused(text: String) -> DrawingErrorKind<SurfaceError> {
    // The crate writes what a browser throws as JSON, which leaves nothing of an error.
    let is_empty = text == "Canvas Error: {}";
    DrawingErrorKind::DrawingError(SurfaceError(if is_empty { say("it does not say why").into() } else { text }))
}

/// Hands a call to the surface that is there.
macro_rules! on {
    ($surface:expr, $inner:ident => $call:expr) => {
        match &mut $surface.inner {
            Inner::Canvas($inner) => described($call),
            Inner::Svg($inner) => described($call),
        }
    };
}

/// What a browser throws, in its words.
fn thrown(error: &JsValue) -> SurfaceError {
    SurfaceError(
        error.dyn_ref::<js_sys::Error>().map_or_else(
            || format!("{error:?}"),
            |error| [String::from(error.name()), error.message().into()].join(": "),
        ),
    )
}

fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok()??.dyn_into().ok()
}

impl<'a> Surface<'a> {
    /// A canvas, whole.
    ///
    /// # Errors
    /// `Surface` if the browser gives no 2D context.
    pub fn canvas(canvas: &HtmlCanvasElement) -> Result<Self, ChartError> {
        let context = context(canvas);
        let backend = context.as_ref().and_then(|_| CanvasBackend::with_canvas_object(canvas.clone()));
        let Some(backend) = backend else {
            return Err(ChartError::Surface(message!("it gives no canvas to draw on")));
        };
        Ok(Self { inner: Inner::Canvas(backend), context, size: (canvas.width(), canvas.height()) })
    }

    /// Sets the font, or says why the browser does not: set without that care, what it throws would end the whole page.
    fn set_font<S: BackendTextStyle>(&self, style: &S) -> Outcome {
        let Some(context) = &self.context else { return Ok(()) };
        let font = format!("{} {}px {}", style.style().as_str(), style.size(), style.family().as_str());
        let set = js_sys::Reflect::set(context, &"font".into(), &font.into());
        set.map(drop).map_err(|error| DrawingErrorKind::DrawingError(thrown(&error)))
    }

    /// An SVG document that is written to `text` when this is dropped; `canvas` only measures.
    pub fn svg(text: &'a mut String, size: (u32, u32), canvas: &HtmlCanvasElement) -> Self {
        Self { inner: Inner::Svg(SVGBackend::with_string(text, size)), context: context(canvas), size }
    }

    /// How wide a text is in the font that is set; `None` if the browser does not tell. A browser that hides how wide its
    /// fonts are may answer with nothing at all.
    fn width(&self, text: &str) -> Option<f64> {
        let measured = self.context.as_ref()?.measure_text(text).ok()?;
        let width = js_sys::Reflect::get(&measured, &"width".into()).ok()?.as_f64()?;
        Some(width).filter(|width| width.is_finite() && *width >= 0.0)
    }
}

impl DrawingBackend for Surface<'_> {
    type ErrorType = SurfaceError;

    fn get_size(&self) -> (u32, u32) {
        self.size
    }

    fn ensure_prepared(&mut self) -> Outcome {
        on!(self, inner => inner.ensure_prepared())
    }

    fn present(&mut self) -> Outcome {
        on!(self, inner => inner.present())
    }

    fn draw_pixel(&mut self, point: BackendCoord, color: BackendColor) -> Outcome {
        on!(self, inner => inner.draw_pixel(point, color))
    }

    fn draw_line<S: BackendStyle>(&mut self, from: BackendCoord, to: BackendCoord, style: &S) -> Outcome {
        on!(self, inner => inner.draw_line(from, to, style))
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        upper_left: BackendCoord,
        bottom_right: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Outcome {
        on!(self, inner => inner.draw_rect(upper_left, bottom_right, style, fill))
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome {
        on!(self, inner => inner.draw_path(path, style))
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(&mut self, path: I, style: &S) -> Outcome {
        on!(self, inner => inner.fill_polygon(path, style))
    }

    fn draw_circle<S: BackendStyle>(&mut self, center: BackendCoord, radius: u32, style: &S, fill: bool) -> Outcome {
        on!(self, inner => inner.draw_circle(center, radius, style, fill))
    }

    fn draw_text<S: BackendTextStyle>(&mut self, text: &str, style: &S, position: BackendCoord) -> Outcome {
        self.set_font(style)?;
        on!(self, inner => inner.draw_text(text, style, position))
    }

    fn estimate_text_size<S: BackendTextStyle>(
        &self,
        text: &str,
        style: &S,
    ) -> Result<(u32, u32), DrawingErrorKind<SurfaceError>> {
        self.set_font(style)?;
        let width = self.width(text).unwrap_or_else(|| 0.5 * style.size() * text.chars().count() as f64);
        Ok((width.ceil() as u32, style.size().ceil() as u32))
    }
}
