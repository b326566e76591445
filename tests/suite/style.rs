//! The page's looks, kept: one palette for charts and style sheet, readable contrast, ids that exist, no inline style.

use std::fs;

use klimb::charts::Palette;
use klimb::engine::protocol::{Stage, StageKind};
use klimb::metrics::{Method, PairLoss};
use plotters::style::RGBColor;

fn file(path: &str) -> String {
    fs::read_to_string(format!("{}/{path}", env!("CARGO_MANIFEST_DIR")))
        .unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The custom properties of the rule that begins with `selector`.
fn colour(rule: &str, name: &str) -> String {
    let (_, rest) = rule.split_once(&format!("--{name}: ")).unwrap_or_else(|| panic!("no --{name}"));
    rest.split(';').next().unwrap().to_owned()
}

fn hex(RGBColor(r, g, b): RGBColor) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// Relative luminance (WCAG 2.2).
fn luminance(RGBColor(r, g, b): RGBColor) -> f64 {
    let linear = |channel: u8| {
        let share = f64::from(channel) / 255.0;
        if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
}

fn contrast(a: RGBColor, b: RGBColor) -> f64 {
    let (a, b) = (luminance(a), luminance(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

fn named(palette: Palette) -> [(&'static str, RGBColor); 13] {
    let Palette { paper, ink, quiet, hairline, shade, base, sft, dpo, ppo, ppo_gt, preferred_ft, best_of_n, other } =
        palette;
    [
        ("paper", paper),
        ("ink", ink),
        ("quiet", quiet),
        ("hairline", hairline),
        ("shade", shade),
        ("base", base),
        ("sft", sft),
        ("dpo", dpo),
        ("ppo", ppo),
        ("ppo-gt", ppo_gt),
        ("preferred-ft", preferred_ft),
        ("best-of-n", best_of_n),
        ("other", other),
    ]
}

#[test]
fn charts_and_style_sheet_share_one_palette() {
    let sheet = file("www/style.css");
    let (light, dark) = sheet.split_once(":root[data-theme=\"dark\"]").expect("a dark theme");
    let (dark, before_any_choice) = dark.split_once(":root:not([data-theme])").expect("a dark theme by the system");
    for (rule, palette) in [(light, Palette::LIGHT), (dark, Palette::DARK), (before_any_choice, Palette::DARK)] {
        for (name, chart) in named(palette) {
            assert_eq!(colour(rule, name), hex(chart), "--{name}");
        }
    }
}

#[test]
fn text_has_contrast_in_both_themes() {
    for palette in [Palette::LIGHT, Palette::DARK] {
        for (name, text) in
            named(palette).into_iter().filter(|(name, _)| !["paper", "hairline", "shade"].contains(name))
        {
            let ratio = contrast(text, palette.paper);
            assert!(ratio >= 4.5, "{name} has a contrast of {ratio:.2} on the paper");
        }
        assert!(contrast(palette.quiet, palette.shade) >= 4.5, "labels on the shaded part");
    }
}

#[test]
fn the_document_has_no_inline_style_or_script_and_every_documented_id() {
    let html = file("index.html");
    for forbidden in ["style=", "<style", "onclick", "javascript:", "http://", "https://", "src=\"/", "href=\"/"] {
        assert!(!html.contains(forbidden), "index.html contains {forbidden}");
    }
    let mut ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    for id in [
        "play",
        "step",
        "reset",
        "beta",
        "recorded",
        "view-comparison",
        "view-win-rate",
        "view-scaling",
        "seed",
        "backend",
        "breadth",
        "frontier-table",
        "tour-open",
        "tour-act",
        "clinic",
    ] {
        assert!(ids.contains(&id), "index.html has no #{id}");
    }
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "an id stands twice");
}

/// The page shows one of them at a time, each in the part for losses of its kind.
#[test]
fn every_method_on_pairs_has_its_formula_where_its_steps_are_shown() {
    let html = file("index.html");
    let part = |id: &str| {
        let (_, rest) = html.split_once(&format!("<div id=\"{id}\"")).unwrap_or_else(|| panic!("no #{id}"));
        rest.split("<div id=\"inside-").next().unwrap()
    };
    for stage in Stage::of_policies().filter(|stage| stage.policy().is_some_and(Method::learns_from_pairs)) {
        let part = match stage.policy().and_then(|method| method.info().pair_loss) {
            Some(PairLoss::Margin(_)) => part("inside-dpo"),
            Some(PairLoss::Likelihood(_)) => part("inside-likelihood"),
            None => panic!("{}: its row says nothing of its pairs", stage.id()),
        };
        let formula = format!("<math id=\"formula-{}\"", stage.id());
        assert!(part.contains(&formula), "index.html has no {formula} where a step of {} is shown", stage.id());
    }
}

/// The page writes these by the stage's id, and ends where one is missing.
#[test]
fn every_stage_has_its_card_with_all_its_parts_and_its_policy_a_place_to_be_saved_and_a_hue() {
    let (html, sheet) = (file("index.html"), file("www/style.css"));
    for stage in Stage::ALL {
        let parts: &[&str] = match stage.kind() {
            StageKind::Base => &["card", "state"],
            StageKind::Pairs => &["card", "state", "what", "save"],
            StageKind::BestOfN => &["card", "state", "what", "stage", "step", "spark"],
            StageKind::Sft | StageKind::RewardModel | StageKind::Policy(_) => {
                &["card", "state", "what", "stage", "step", "spark", "save"]
            }
        };
        for part in parts {
            let id = format!("{part}-{}", stage.id());
            assert!(html.contains(&format!(" id=\"{id}\"")), "index.html has no #{id}");
        }
        if stage.policy().is_some() {
            for class in ["stage", "run", "model"] {
                let rule = format!(".{class}[data-method=\"{}\"]", stage.id());
                assert!(sheet.contains(&rule), "www/style.css has no hue for {rule}");
            }
        }
    }
}
