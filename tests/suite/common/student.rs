//! Who orders and waits: a session driven as a page drives it, in which no failure is expected.

use klimb::backend::cpu::Cpu;
use klimb::engine::protocol::{Command, Event, Point};
use klimb::engine::session::Session;
use klimb::metrics::Method;
use pollster::block_on;

/// A student before her session.
pub struct Student(pub Session<Cpu<f32>>);

impl Student {
    /// Gives an order.
    pub fn handle(&mut self, command: Command) -> Vec<Event> {
        block_on(self.0.handle(command))
    }

    /// Waits for a slice, which there must be.
    pub fn advance(&mut self) -> Vec<Event> {
        assert!(self.0.busy(), "the session rests too early");
        let events = block_on(self.0.advance());
        assert!(!events.iter().any(|event| matches!(event, Event::Failure(_))), "{events:?}");
        events
    }

    /// Slices until `is_enough` of all their events.
    pub fn until(&mut self, is_enough: impl Fn(&[Event]) -> bool) -> Vec<Event> {
        let mut events = Vec::new();
        while !is_enough(&events) {
            events.extend(self.advance());
        }
        events
    }
}

/// The points of a method among events.
pub fn points(events: &[Event], method: impl Into<Option<Method>>) -> Vec<Point> {
    let method = method.into();
    let of = |event: &Event| match event {
        Event::Point(point) if Some(point.point.method) == method => Some(point.clone()),
        _ => None,
    };
    events.iter().filter_map(of).collect()
}
