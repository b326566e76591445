//! What an ablation found, as lines of a table and charts.

use klimb::charts::{ChartStyle, Line, LineChart, LinePoint, line_svg};
use klimb::experiments::BASE;
use klimb::metrics::AblationPoint;
use klimb::stats::{half_width, mean};

use super::super::Failure;
use super::super::number::number;

/// Whether two ends differ in their seed alone.
pub fn is_same(a: &AblationPoint, b: &AblationPoint) -> bool {
    let key = |it: &AblationPoint| (it.factor.clone(), it.level.clone(), it.point.method, it.point.setting.clone());
    key(a) == key(b)
}

/// A number over seeds.
struct OverSeeds {
    mean: f64,
    /// Of its interval; 0 of a single seed.
    half_width: f64,
}

fn over(seeds: &[AblationPoint], number: impl Fn(&AblationPoint) -> f64) -> OverSeeds {
    let numbers: Vec<f64> = seeds.iter().map(number).collect();
    OverSeeds { mean: mean(&numbers), half_width: if numbers.len() > 1 { half_width(&numbers) } else { 0.0 } }
}

/// A mean, and its interval where there is one.
fn shown(&OverSeeds { mean, half_width }: &OverSeeds, digits: usize) -> String {
    let error = if half_width > 0.0 { format!(" ± {half_width:.digits$}") } else { String::new() };
    number(mean, digits) + &error
}

/// A run of several seeds as a line of the table.
pub fn line(seeds: &[AblationPoint]) -> String {
    let AblationPoint { factor, level, point, .. } = &seeds[0];
    let kl = over(seeds, |it| it.point.kl_per_sequence);
    let rare = over(seeds, |it| it.kl_by_reference_probability[0]).mean;
    format!(
        "{factor:<13}  {level:<22}  {:<6}  {:>7}  {:>5}  {:<12}  {:<13}  {:<13}  {} of {} nats\n",
        point.method,
        point.setting,
        seeds.len(),
        shown(&kl, 2),
        shown(&over(seeds, |it| it.point.gold_reward), 3),
        shown(&over(seeds, AblationPoint::gap), 3),
        number(rare, 2),
        number(kl.mean, 2),
    )
}

/// The gap over the KL, a line a level and method, the base among them.
pub fn chart(factor: &str, ends: &[Vec<AblationPoint>]) -> Result<String, Failure> {
    let is_shown = |seeds: &&Vec<AblationPoint>| seeds[0].factor == factor || seeds[0].factor == BASE;
    let mut lines: Vec<Line> = Vec::new();
    for seeds in ends.iter().filter(is_shown) {
        let AblationPoint { level, point, .. } = &seeds[0];
        let OverSeeds { mean: y, half_width } = over(seeds, AblationPoint::gap);
        let at = LinePoint { x: over(seeds, |it| it.point.kl_per_sequence).mean, y, half_width };
        let level = if seeds[0].factor == BASE { "base" } else { level.as_str() };
        let label = format!("{}, {level}", point.method);
        match lines.iter_mut().find(|line| line.label == label) {
            Some(line) => line.points.push(at),
            None => lines.push(Line { label, style: point.method.into(), points: vec![at], pale: false }),
        }
    }
    lines.iter_mut().for_each(|line| line.points.sort_by(|a, b| a.x.total_cmp(&b.x)));
    let chart = LineChart {
        x_name: "KL to the reference, nats →",
        y_name: "↑ gold reward below the optimum at that KL",
        lines: &lines,
        level: Some((0.04, "0.04")),
        x_at_least: (0.0, 6.0),
        y_at_least: (0.0, 0.1),
    };
    Ok(line_svg(&chart, &ChartStyle::default(), (900, 560))?)
}
