//! The charts, drawn as SVG: points lie where their values say, and what cannot be drawn is refused.
//!
//! More than 400 lines, because the tests of all charts share what reads an SVG.

use klimb::charts::{
    Aim, ChartError, ChartStyle, Curve, CurveChart, Frame, FrontierChart, Line, LineChart, LinePoint, Palette, Trail,
    curve_svg, line_svg,
};
use klimb::metrics::{FrontierPoint, METHODS, Method, MethodInfo, OptimumPoint, Setting};
use plotters::prelude::*;

const WIDTH: u32 = 800;
const HEIGHT: u32 = 500;

fn point(step: u64, kl: f64, reward: f64) -> FrontierPoint {
    FrontierPoint {
        method: Method::Dpo,
        setting: Setting::Number(0.3),
        seed: 1,
        step,
        kl_per_sequence: kl,
        kl_half_width: 0.25,
        gold_reward: reward,
        gold_reward_half_width: 0.02,
        samples: 512,
        seconds: 1.0,
        diversity: Some(0.9),
    }
}

fn trail(points: Vec<FrontierPoint>) -> Trail {
    Trail { label: "DPO, β 0.30".into(), method: Method::Dpo, live: true, points }
}

fn optimum() -> Vec<OptimumPoint> {
    let values = [(5.0, 0.3, 0.71, 900.0), (1.0, 1.15, 0.85, 400.0), (0.1, 4.0, 0.95, 60.0)];
    let point = |(beta, kl_per_sequence, gold_reward, effective_sample_size)| OptimumPoint {
        beta,
        kl_per_sequence,
        gold_reward,
        effective_sample_size,
    };
    values.into_iter().map(point).collect()
}

const EMPTY: FrontierChart<'static> = FrontierChart {
    ghosts: &[],
    read_off: &[],
    trails: &[],
    optimum: &[],
    aims: &[],
    target: None,
    selected: None,
    guess: None,
    empty: "Press Play",
};

fn drawn(chart: &FrontierChart, look: &ChartStyle) -> (Result<Frame, ChartError>, String) {
    let mut svg = String::new();
    let frame = chart.draw(&SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area(), look);
    (frame, svg)
}

/// Every value of an attribute of the elements called `name`.
fn attributes(svg: &str, name: &str, attribute: &str) -> Vec<String> {
    let opening = format!("<{name} ");
    let elements = svg.split(&opening).skip(1);
    let value = |element: &str| {
        let (_, rest) = element.split_once(&format!("{attribute}=\""))?;
        Some(rest.split('"').next()?.to_owned())
    };
    elements.filter_map(|element| value(element.split('>').next()?)).collect()
}

fn circles(svg: &str) -> Vec<(i32, i32)> {
    let numbers = |attribute| attributes(svg, "circle", attribute).into_iter().map(|v| v.parse().unwrap());
    numbers("cx").zip(numbers("cy")).collect()
}

fn texts(svg: &str) -> Vec<String> {
    let inner = |text: &str| text.split_once('>').unwrap().1.split("</text>").next().unwrap().trim().to_owned();
    svg.split("<text ").skip(1).map(inner).collect()
}

/// The pale runs are there and written once; what lies outside of the frame of the live runs does not widen it.
#[test]
fn ghosts_stand_behind_and_keep_out_of_the_way() {
    let ghost =
        |kl| Trail { label: "DPO, recorded".into(), live: false, ..trail(vec![point(1, 1.0, 0.6), point(2, kl, 0.7)]) };
    let ghosts = [ghost(2.0), ghost(40.0)];
    let curve = Trail { label: "PPO in the paper".into(), method: Method::Ppo, ..ghost(11.0) };
    let (frame, svg) = drawn(&FrontierChart { ghosts: &ghosts, read_off: &[curve], ..EMPTY }, &ChartStyle::default());
    let frame = frame.expect("ghosts can be drawn");
    assert!(frame.x.end < 10.0, "{:?}", frame.x);
    assert_eq!(circles(&svg).len(), 3, "the point at 40 nats has no place");
    let texts = texts(&svg);
    assert_eq!(texts.iter().filter(|text| *text == "DPO, recorded").count(), 1);
    assert!(texts.iter().any(|text| text == "PPO in the paper"), "a curve that leaves the frame is named too");
    let (broken, _) = drawn(&FrontierChart { ghosts: &[ghost(f64::NAN)], ..EMPTY }, &ChartStyle::default());
    assert!(matches!(broken, Err(ChartError::NotFinite { .. })));
}

#[test]
fn points_lie_where_their_values_say() {
    let trails = [trail(vec![point(0, 0.0, 0.5), point(10, 1.25, 0.7), point(20, 2.5, 0.85)])];
    let (frame, svg) = drawn(&FrontierChart { trails: &trails, ..EMPTY }, &ChartStyle::default());
    // 44 pixels on the left, 14 on the right, 26 above and 40 below; KL 0 to 5, reward 0.4 to 1.
    let expected = |kl: f64, reward: f64| {
        let x = 44.0 + kl / 5.0 * f64::from(WIDTH - 44 - 14);
        let y = f64::from(HEIGHT - 40) - (reward - 0.4) / 0.6 * f64::from(HEIGHT - 26 - 40);
        (x.round() as i32, y.round() as i32)
    };
    assert_eq!(circles(&svg), [expected(0.0, 0.5), expected(1.25, 0.7), expected(2.5, 0.85)]);
    assert_eq!(frame.unwrap().pixel(1.25, 0.7), expected(1.25, 0.7));
    // The error bars of the last point alone: 0.25 nats and 0.02 either way.
    let lines = attributes(&svg, "polyline", "points").join(" ");
    let corner = |(x, y): (i32, i32)| format!("{x},{y}");
    assert!(lines.contains(&corner(expected(2.25, 0.85))) && lines.contains(&corner(expected(2.75, 0.85))), "{lines}");
    assert!(lines.contains(&corner(expected(2.5, 0.87))), "{lines}");
    assert!(!lines.contains(&corner(expected(1.0, 0.7))), "{lines}");
}

#[test]
fn axes_have_names_and_round_ticks() {
    let (_, svg) = drawn(&EMPTY, &ChartStyle::default());
    let texts = texts(&svg);
    for expected in ["0", "5", "0.4", "1.0", "KL to the reference, nats →", "↑ gold reward"] {
        assert!(texts.iter().any(|text| text == expected), "no “{expected}” in {texts:?}");
    }
}

#[test]
fn without_data_there_are_axes_and_a_sentence() {
    let (frame, svg) = drawn(&EMPTY, &ChartStyle::default());
    assert!(frame.is_ok());
    assert_eq!(circles(&svg), []);
    assert!(texts(&svg).contains(&"Press Play".to_owned()));
}

#[test]
fn one_point_is_a_marker_and_a_label() {
    let trails = [trail(vec![point(0, 0.0, 0.5)])];
    let (_, with) = drawn(&FrontierChart { trails: &trails, ..EMPTY }, &ChartStyle::default());
    assert_eq!(circles(&with).len(), 1);
    assert!(!texts(&with).contains(&"Press Play".to_owned()));
    assert!(texts(&with).contains(&"DPO, β 0.30".to_owned()));
}

#[test]
fn a_far_point_widens_the_axes() {
    let trails = [trail(vec![point(0, 17.0, 0.2)])];
    let (frame, svg) = drawn(&FrontierChart { trails: &trails, ..EMPTY }, &ChartStyle::default());
    let frame = frame.unwrap();
    assert!(frame.x.contains(&17.0) && frame.y.contains(&0.2), "{frame:?}");
    let (x, y) = circles(&svg)[0];
    assert!(frame.across.contains(&x) && frame.down.contains(&y));
}

#[test]
fn the_optimum_is_solid_where_it_is_reliable_and_dashed_elsewhere() {
    let optimum = optimum();
    let (frame, svg) = drawn(&FrontierChart { optimum: &optimum, ..EMPTY }, &ChartStyle::default());
    let frame = frame.unwrap();
    let corner = |kl, reward| {
        let (x, y) = frame.pixel(kl, reward);
        format!("{x},{y}")
    };
    let lines = attributes(&svg, "polyline", "points");
    let whole = |from: &str, to: &str| lines.iter().any(|line| line.contains(from) && line.contains(to));
    assert!(whole(&corner(0.3, 0.71), &corner(1.15, 0.85)), "{lines:?}");
    assert!(!whole(&corner(1.15, 0.85), &corner(4.0, 0.95)), "an unreliable stretch is drawn in one piece: {lines:?}");
}

#[test]
fn the_aim_of_a_learned_reward_is_dashed_labelled_and_left_out_where_too_few_samples_carry_it() {
    let mut points = optimum();
    points[2].effective_sample_size = 9.0;
    let aim = Aim { label: "optimum of the learned reward".into(), method: Method::Ppo, points };
    let (frame, svg) = drawn(&FrontierChart { aims: std::slice::from_ref(&aim), ..EMPTY }, &ChartStyle::default());
    let frame = frame.unwrap();
    assert!(texts(&svg).contains(&aim.label));
    let hue = "#993F74";
    let dashes: Vec<String> =
        svg.split("<polyline ").skip(1).filter(|line| line.contains(hue)).map(Into::into).collect();
    assert!(dashes.len() > 5, "{dashes:?}");
    let furthest = |line: &String| {
        let corners = attributes(&format!("<polyline {line}"), "polyline", "points")[0].clone();
        corners
            .split_whitespace()
            .map(|corner| corner.split(',').next().unwrap().parse::<i32>().unwrap())
            .max()
            .unwrap()
    };
    let end = dashes.iter().map(furthest).max().unwrap();
    let (reliable, unreliable) = (frame.pixel(1.15, 0.85).0, frame.pixel(4.0, 0.95).0);
    assert!(end <= reliable && end + 7 > reliable && end < unreliable, "{end} is not the last reliable point's place");

    let broken = [Aim { points: vec![OptimumPoint { gold_reward: f64::NAN, ..aim.points[0] }], ..aim }];
    let (result, _) = drawn(&FrontierChart { aims: &broken, ..EMPTY }, &ChartStyle::default());
    assert_eq!(result, Err(ChartError::NotFinite { series: "optimum of the learned reward".into(), index: 0 }));
}

#[test]
fn the_target_of_beta_is_on_the_curve_and_labelled() {
    let optimum = optimum();
    let chart = FrontierChart { optimum: &optimum, target: Some((optimum[1], "π* at β 1.0")), ..EMPTY };
    let (frame, svg) = drawn(&chart, &ChartStyle::default());
    let (x, y) = frame.unwrap().pixel(1.15, 0.85);
    assert!(texts(&svg).contains(&"π* at β 1.0".to_owned()));
    let corners = attributes(&svg, "polyline", "points").join(" ");
    assert!(corners.contains(&format!("{},{y}", x + 7)), "the diamond is not on the curve");
}

#[test]
fn labels_of_neighbours_do_not_overlap() {
    let neighbour = Trail { label: "DPO, β 0.31".into(), ..trail(vec![point(0, 2.01, 0.8)]) };
    let trails = [trail(vec![point(0, 2.0, 0.8)]), neighbour];
    let (_, svg) = drawn(&FrontierChart { trails: &trails, ..EMPTY }, &ChartStyle::default());
    let labels = svg.split("<text ").skip(1).filter(|text| text.contains("DPO"));
    let rows: Vec<i32> =
        labels.map(|text| attributes(&format!("<text {text}"), "text", "y")[0].parse().unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert!((rows[0] - rows[1]).abs() >= 13, "{rows:?}");
}

#[test]
fn a_sharp_screen_doubles_lengths_but_not_values() {
    let trails = [trail(vec![point(0, 2.5, 0.7)])];
    let look = ChartStyle { scale: 2.0, palette: Palette::DARK, ..ChartStyle::default() };
    let (frame, svg) = drawn(&FrontierChart { trails: &trails, ..EMPTY }, &look);
    let frame = frame.unwrap();
    assert_eq!((frame.across.start, frame.down.start), (88, 52));
    assert_eq!(circles(&svg), [frame.pixel(2.5, 0.7)]);
    assert!(svg.to_uppercase().contains("#14161A"), "not drawn on the dark paper");
}

#[test]
fn values_that_are_not_finite_are_refused_and_named() {
    for bad in [
        FrontierPoint { kl_per_sequence: f64::NAN, ..point(0, 0.0, 0.5) },
        FrontierPoint { gold_reward: f64::INFINITY, ..point(0, 0.0, 0.5) },
        FrontierPoint { kl_half_width: f64::NAN, ..point(0, 0.0, 0.5) },
    ] {
        let trails = [trail(vec![point(0, 0.0, 0.5), bad])];
        let (result, svg) = drawn(&FrontierChart { trails: &trails, ..EMPTY }, &ChartStyle::default());
        assert_eq!(result, Err(ChartError::NotFinite { series: "DPO, β 0.30".into(), index: 1 }));
        assert_eq!(circles(&svg), [], "something was drawn before the refusal");
    }
    let optimum = [OptimumPoint { kl_per_sequence: f64::NAN, ..optimum()[0] }];
    let (result, _) = drawn(&FrontierChart { optimum: &optimum, ..EMPTY }, &ChartStyle::default());
    assert!(matches!(result, Err(ChartError::NotFinite { .. })), "{result:?}");
    let curves = [curve(vec![(1.0, 0.69), (2.0, f64::NAN)])];
    assert!(matches!(drawn_curve(&curves).0, Err(ChartError::NotFinite { index: 1, .. })));
}

#[test]
fn a_surface_without_room_is_refused() {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (40, 40)).into_drawing_area();
    assert_eq!(EMPTY.draw(&area, &ChartStyle::default()), Err(ChartError::TooSmall { width: 40, height: 40 }));
}

fn curve(points: Vec<(f64, f64)>) -> Curve {
    Curve { label: "DPO".into(), style: Method::Dpo.into(), points, marked: true, ..Curve::default() }
}

fn drawn_curve(curves: &[Curve]) -> (Result<Frame, ChartError>, String) {
    let mut svg = String::new();
    let changes = [(5.0, "β 0.10".to_owned())];
    let level = Some((std::f64::consts::LN_2, "ln 2"));
    let chart =
        CurveChart { name: "loss", curves, level, changes: &changes, at_least: (0.0, 0.8), ..CurveChart::default() };
    let area = SVGBackend::with_string(&mut svg, (400, 240)).into_drawing_area();
    let frame = chart.draw(&area, &ChartStyle::default());
    drop(area);
    (frame, svg)
}

#[test]
fn a_curve_marks_its_values_its_level_and_its_changes() {
    let (frame, svg) = drawn_curve(&[curve(vec![(1.0, 0.69), (6.0, 0.6), (10.0, 0.5)])]);
    let frame = frame.unwrap();
    assert_eq!(circles(&svg), [frame.pixel(1.0, 0.69), frame.pixel(6.0, 0.6), frame.pixel(10.0, 0.5)]);
    let texts = texts(&svg);
    for expected in ["ln 2", "β 0.10", "DPO", "loss", "step →"] {
        assert!(texts.iter().any(|text| text == expected), "no “{expected}” in {texts:?}");
    }
    assert!(drawn_curve(&[]).0.is_ok(), "axes without data");
    assert!(drawn_curve(&[curve(vec![])]).0.is_ok(), "a series without data");
}

fn line(label: &str, points: &[(f64, f64, f64)]) -> Line {
    let point = |&(x, y, half_width): &(f64, f64, f64)| LinePoint { x, y, half_width };
    Line { label: label.into(), style: Method::Dpo.into(), points: points.iter().map(point).collect(), pale: false }
}

const LINES: LineChart<'static> = LineChart {
    x_name: "temperature →",
    y_name: "↑ win rate",
    lines: &[],
    level: Some((0.5, "even")),
    x_at_least: (0.0, 1.0),
    y_at_least: (0.4, 1.0),
};

#[test]
fn a_line_shows_each_value_with_its_interval() {
    let lines = [line("DPO", &[(0.0, 0.7, 0.05), (1.0, 0.9, 0.2)]), line("IPO", &[(1.0, 0.9, 0.0)])];
    let chart = LineChart { lines: &lines, ..LINES };
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, HEIGHT)).into_drawing_area();
    let frame = chart.draw(&area, &ChartStyle::default()).unwrap();
    drop(area);
    assert_eq!(circles(&svg), [frame.pixel(0.0, 0.7), frame.pixel(1.0, 0.9), frame.pixel(1.0, 0.9)]);
    assert!(frame.y.contains(&1.1), "the interval has room: {frame:?}");
    let bars = attributes(&svg, "polyline", "points").join(" ");
    let ((x, low), (_, high)) = (frame.pixel(0.0, 0.65), frame.pixel(0.0, 0.75));
    assert!(bars.contains(&format!("{x},{low} {x},{high}")), "no bar from {low} to {high} in {bars}");
    let texts = texts(&svg);
    for expected in ["DPO", "IPO", "even", "temperature →", "↑ win rate"] {
        assert!(texts.iter().any(|text| text == expected), "no “{expected}” in {texts:?}");
    }
    let rows: Vec<i32> = svg
        .split("<text ")
        .filter(|text| text.contains("PO\n"))
        .map(|text| attributes(&format!("<text {text}"), "text", "y")[0].parse().unwrap())
        .collect();
    assert!(rows.len() == 2 && (rows[0] - rows[1]).abs() >= 13, "labels overlap: {rows:?}");
}

#[test]
fn lines_without_data_are_axes_and_what_is_not_finite_is_refused() {
    assert!(texts(&line_svg(&LINES, &ChartStyle::default(), (WIDTH, HEIGHT)).unwrap()).contains(&"even".to_owned()));
    for bad in [(0.5, f64::NAN, 0.1), (0.5, 0.5, f64::NAN), (f64::INFINITY, 0.5, 0.1)] {
        let lines = [line("DPO", &[(0.0, 0.7, 0.05), bad])];
        let refused = line_svg(&LineChart { lines: &lines, ..LINES }, &ChartStyle::default(), (WIDTH, HEIGHT));
        assert_eq!(refused, Err(ChartError::NotFinite { series: "DPO".into(), index: 1 }));
    }
}

#[test]
fn curves_of_one_hue_are_told_apart_and_their_gap_is_shaded() {
    let score = Curve { label: "label".into(), ..curve(vec![(0.0, 0.1), (10.0, 0.7)]) };
    let gold = Curve { label: "gold".into(), dash: 4.0, ..curve(vec![(0.0, 0.1), (10.0, 0.69)]) };
    let draw = |gap| {
        let curves = [score.clone(), gold.clone()];
        let chart = CurveChart { name: "score", curves: &curves, gap, at_least: (0.0, 0.8), ..CurveChart::default() };
        let mut svg = String::new();
        let frame =
            chart.draw(&SVGBackend::with_string(&mut svg, (400, 240)).into_drawing_area(), &ChartStyle::default());
        (frame.unwrap(), svg)
    };
    let (frame, svg) = draw(true);
    let rows: Vec<i32> = svg
        .split("<text ")
        .skip(1)
        .filter(|text| text.contains("gold\n") || text.contains("label\n"))
        .map(|text| attributes(&format!("<text {text}"), "text", "y")[0].parse().unwrap())
        .collect();
    assert_eq!(rows.len(), 2, "{svg}");
    assert!(rows.iter().enumerate().all(|(i, a)| rows[..i].iter().all(|b| (a - b).abs() >= 12)), "{rows:?}");
    let polygons = attributes(&svg, "polygon", "points").join(" ");
    for (x, y) in [(0.0, 0.1), (10.0, 0.7), (10.0, 0.69)] {
        let (x, y) = frame.pixel(x, y);
        assert!(polygons.contains(&format!("{x},{y}")), "the gap has no corner at {x},{y}: {polygons}");
    }
    assert!(attributes(&draw(false).1, "polygon", "points").is_empty(), "no gap was asked for");
    let strokes = attributes(&svg, "polyline", "points");
    assert!(strokes.len() > 10, "the gold curve is dashed");
}

#[test]
fn every_method_has_a_hue_and_a_shape_of_its_own() {
    // One model read in two ways, one method with a term more, one method by two rewards.
    let kin =
        [[Method::Base, Method::BaseCued], [Method::PpoGt, Method::PpoGtPtx], [Method::BestOfN, Method::BestOfNScore]];
    for (index, MethodInfo { method, marker, .. }) in METHODS.iter().enumerate() {
        for MethodInfo { method: other, marker: its, .. } in &METHODS[..index] {
            if kin.contains(&[*other, *method]) {
                continue;
            }
            assert_ne!(marker, its, "{method} and {other}");
            for palette in [Palette::LIGHT, Palette::DARK] {
                assert_ne!(palette.method(*method), palette.method(*other), "{method} and {other}");
            }
        }
    }
}

fn curve_chart<'a>(curves: &'a [Curve]) -> CurveChart<'a> {
    CurveChart { name: "loss, nats", curves, at_least: (0.1, 1.0), empty: "No step yet", ..CurveChart::default() }
}

fn curve_drawn(chart: &CurveChart) -> (Frame, String) {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (400, 240)).into_drawing_area();
    let frame = chart.draw(&area, &ChartStyle::default()).expect("it can be drawn");
    drop(area);
    (frame, svg)
}

#[test]
fn the_crosshair_stands_at_its_step_and_marks_the_newest_value_there() {
    let curves = [Curve { marked: false, ..curve(vec![(0.0, 0.9), (10.0, 0.5), (20.0, 0.2)]) }];
    let (frame, svg) = curve_drawn(&CurveChart { cross: Some(14.0), ..curve_chart(&curves) });
    let (x, _) = frame.pixel(14.0, 0.5);
    let lines = attributes(&svg, "polyline", "points");
    let upright = format!("{x},{} {x},{}", frame.down.start, frame.down.end);
    assert!(lines.iter().any(|line| line.trim() == upright), "no line {upright} in {lines:?}");
    assert!(circles(&svg).contains(&frame.pixel(10.0, 0.5)), "{:?}", circles(&svg));
    assert!((frame.value_across(f64::from(x)) - 14.0).abs() < 0.1, "the pointer finds the step again");
    let (_, beyond) = curve_drawn(&CurveChart { cross: Some(21.0), ..curve_chart(&curves) });
    assert_eq!(beyond, curve_drawn(&curve_chart(&curves)).1, "a step beyond the chart has no line");
}

#[test]
fn a_logarithmic_axis_spaces_ratios_evenly_and_leaves_out_what_has_no_place() {
    let curves = [curve(vec![(0.0, 0.01), (5.0, 0.1), (10.0, 1.0), (15.0, -3.0), (20.0, 10.0)])];
    let chart = CurveChart { logarithmic: true, ..curve_chart(&curves) };
    let (frame, svg) = curve_drawn(&chart);
    let rows: Vec<i32> = circles(&svg).into_iter().map(|(_, y)| y).collect();
    assert_eq!(rows.len(), 4, "the negative value has no place: {rows:?}");
    assert!(rows.windows(2).all(|pair| (pair[0] - pair[1] - (rows[0] - rows[1])).abs() <= 1), "{rows:?}");
    assert!(frame.y.start > 0.0);
    let texts = texts(&svg);
    assert!(["0.01", "1", "loss, nats (log scale)"].iter().all(|it| texts.iter().any(|text| text == it)), "{texts:?}");
}

#[test]
fn a_smoothed_curve_has_the_exact_one_pale_behind_it() {
    let exact = vec![(0.0, 0.9), (10.0, 0.2), (20.0, 0.8)];
    let smooth = Curve { behind: exact.clone(), ..curve(vec![(0.0, 0.9), (10.0, 0.6), (20.0, 0.7)]) };
    assert_eq!((smooth.exact(), curve(exact.clone()).exact()), (&exact[..], &exact[..]));
    let (frame, svg) = curve_drawn(&curve_chart(std::slice::from_ref(&smooth)));
    let path = |points: &[(f64, f64)]| -> String {
        let corner = |(x, y): &(f64, f64)| frame.pixel(*x, *y);
        points.iter().map(corner).map(|(x, y)| format!("{x},{y}")).collect::<Vec<_>>().join(" ")
    };
    let strokes: Vec<&str> = svg.split("<polyline ").skip(1).collect();
    let place = |points: &[(f64, f64)]| strokes.iter().position(|line| line.contains(&path(points)));
    let (pale, strong) = (place(&exact).expect("the exact curve"), place(&smooth.points).expect("the smoothed curve"));
    assert!(pale < strong, "the exact curve is in front");
    assert!(strokes[pale].contains("opacity=\"0.28\"") && strokes[strong].contains("opacity=\"1\""), "{svg}");
    let broken = [Curve { behind: vec![(0.0, f64::NAN)], ..smooth }];
    let refused = curve_svg(&curve_chart(&broken), &ChartStyle::default(), (400, 240));
    assert!(matches!(refused, Err(ChartError::NotFinite { index: 0, .. })));
}

#[test]
fn a_curve_of_fewer_than_two_points_says_so() {
    let says_so = |curves: &[Curve]| {
        let svg = curve_svg(&curve_chart(curves), &ChartStyle::default(), (400, 240)).unwrap();
        texts(&svg).contains(&"No step yet".to_owned())
    };
    assert!(says_so(&[]) && says_so(&[curve(vec![(1.0, 0.5)])]));
    assert!(!says_so(&[curve(vec![(1.0, 0.5), (2.0, 0.4)])]));
}

/// Every text of a chart with the left, top, right and bottom edge of what it takes up.
fn written(svg: &str) -> Vec<(String, [i32; 4])> {
    let mut measure = String::new();
    let area = SVGBackend::with_string(&mut measure, (1, 1)).into_drawing_area();
    let of = |(text, element): (String, &str)| {
        let attribute = |name| attributes(&format!("<text {element}"), "text", name)[0].clone();
        let number = |name| attribute(name).parse::<f64>().expect("a number");
        let height = (number("font-size") * 1.24).round();
        let (width, _) =
            area.estimate_text_size(&text, &("sans-serif", height).into_text_style(&area)).expect("a size");
        let before = |share: f64, length: f64| (share * length).round() as i32;
        let left = number("x") as i32
            - match attribute("text-anchor").as_str() {
                "start" => 0,
                "middle" => before(0.5, f64::from(width)),
                _ => width as i32,
            };
        let top = number("y") as i32
            - match attribute("dy").as_str() {
                "0.76em" => 0,
                "0.5ex" => before(0.5, height),
                _ => height as i32,
            };
        (text, [left, top, left + width as i32, top + height as i32])
    };
    texts(svg).into_iter().zip(svg.split("<text ").skip(1)).map(of).collect()
}

#[test]
fn after_a_single_step_nothing_is_written_on_anything() {
    let at = |label: &str, step: f64, value: f64| Curve { label: label.into(), ..curve(vec![(step, value)]) };
    let estimators = ["exact", "k1", "k2", "k3"];
    let mut cases: Vec<Vec<Curve>> = Vec::new();
    for value in [0.0, 0.02, 0.5, 0.9, 1.0] {
        for count in 1..=estimators.len() {
            cases.push(estimators[..count].iter().map(|label| at(label, 1.0, value)).collect());
        }
        let methods = [("DPO, β 0.50", 2.0), ("PPO-GT, β 0.50", 16.0), ("unlikelihood, α 0.10", 1.0)];
        cases.push(methods.iter().map(|(label, step)| at(label, *step, value)).collect());
    }
    for curves in &cases {
        for size in [(640, 250), (340, 220)] {
            let level = Some((0.5, "reference"));
            let empty = "One step so far; a line needs two";
            let chart = CurveChart { level, empty, at_least: (0.0, 1.0), ..curve_chart(curves) };
            let mut svg = String::new();
            let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            let frame = chart.draw(&area, &ChartStyle::default()).expect("it can be drawn");
            drop(area);
            let all = written(&svg);
            assert!(curves.iter().all(|curve| all.iter().any(|(text, _)| *text == curve.label)), "{all:?}");
            let meet = |a: &[i32; 4], b: &[i32; 4]| a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];
            for (index, (text, place)) in all.iter().enumerate() {
                for (other, its) in &all[..index] {
                    assert!(!meet(place, its), "“{text}” lies on “{other}”: {place:?} and {its:?} in {size:?}");
                }
                assert!(place[0] >= 0 && place[2] <= size.0 as i32, "“{text}” is cut off: {place:?} in {size:?}");
            }
            let is_before = |curve: &Curve| {
                let (_, place) = all.iter().find(|(text, _)| *text == curve.label).expect("it is there");
                place[2] <= frame.pixel(curve.points[0].0, 0.0).0
            };
            let ends_with = |one: &Curve, other: &Curve| one.points[0].0 == other.points[0].0;
            for one in curves {
                let others = curves.iter().filter(|other| ends_with(one, other));
                assert!(others.map(is_before).all(|it| it == is_before(one)), "names on both sides of one end");
            }
            let row = frame.pixel(0.0, 0.5).1;
            let words = all.iter().filter(|(text, _)| text == empty || curves.iter().any(|it| it.label == *text));
            for (text, place) in words {
                for (x, y) in curves.iter().map(|it| frame.pixel(it.points[0].0, it.points[0].1)) {
                    assert!(
                        !meet(place, &[x - 2, y - 2, x + 3, y + 3]),
                        "“{text}” lies on a marker: {place:?}, {x},{y}"
                    );
                }
                assert!(text != empty || !(place[1]..place[3]).contains(&row), "the level runs through “{text}”");
            }
        }
    }
}
