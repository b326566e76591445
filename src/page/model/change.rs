//! What can change of what the page knows. A view names the changes after which it is drawn anew.

/// A part of what the page knows that has changed since it was last drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Anything may have: another engine, a reset, the first frame.
    Everything,
    /// Something was asked of the engine, so that settings, stage in focus, or playing are others.
    Requests,
    /// How far models are on their way.
    Fetching,
    /// Whether the engine trains.
    Playing,
    /// How far the longer works are.
    Works,
    /// What a stage of the pipeline is doing.
    Stages,
    /// Rows of metrics.
    Metrics,
    /// Points of runs.
    Points,
    /// Which points are pointed at, or belong to runs of others.
    Shown,
    /// The names and the visibility of runs.
    Marks,
    /// The closed-form optimum.
    Optimum,
    /// Completions.
    Samples,
    /// What tints words.
    Tint,
    /// The inside of a step.
    Inside,
    /// The stage in focus, or the run of a stage began anew.
    Focus,
    /// The point that is open.
    Opened,
    /// What is offered, accepted or undone.
    Notices,
    /// What the experiments beside the frontier have come to, or which of them is open.
    Studies,
    /// The recorded runs, or which of them are shown.
    Recorded,
    /// The sweep.
    Sweep,
    /// The person's labels.
    Labels,
    /// Something has failed.
    Failure,
    /// β under the finger.
    Beta,
    /// Where the person thinks π* will go.
    Guess,
    /// How the curves are looked at.
    Curves,
    /// The size or the colours of charts.
    Charts,
}
