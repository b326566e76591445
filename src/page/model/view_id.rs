//! The parts of the page that are drawn on their own.

/// The parts of the document that are drawn on their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Buttons, knobs and the badge.
    Controls,
    /// The stages.
    Pipeline,
    /// The chart and its table.
    Frontier,
    /// The runs as a list, and the point that is open.
    Runs,
    /// Loss, KL and reward over steps.
    Curves,
    /// The completions side by side.
    Samples,
    /// The person's own labels.
    Annotator,
    /// The numbers of one step.
    Inside,
    /// The three large numbers and the rest.
    Numbers,
    /// The experiments beside the frontier.
    Studies,
    /// Progress and failures.
    Notices,
    /// The cases of the clinic.
    Clinic,
    /// The tour's panel.
    Tour,
    /// The sweep under the slider.
    Sweep,
}

impl View {
    /// Every view.
    pub const ALL: [Self; 14] = [
        Self::Controls,
        Self::Pipeline,
        Self::Frontier,
        Self::Runs,
        Self::Curves,
        Self::Samples,
        Self::Annotator,
        Self::Inside,
        Self::Numbers,
        Self::Studies,
        Self::Notices,
        Self::Clinic,
        Self::Tour,
        Self::Sweep,
    ];
}
