//! How the charts over the steps are looked at.

/// The most that curves are smoothed.
pub const SMOOTHEST: f64 = 0.95;

/// How the charts over the steps are looked at.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveOptions {
    /// Weight of a curve's past in its moving average, 0 to [`SMOOTHEST`].
    pub smoothing: f64,
    /// Whether losses and gradient norms stand on a logarithmic axis.
    pub logarithmic: bool,
    /// The metric that the fourth chart shows, by name.
    pub also: Option<String>,
    /// The step that is pointed at.
    pub at: Option<u64>,
}
