//! The figure that stands on the page before any of its code has run: the recorded runs below the recorded optimum, by
//! the page's own chart code.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use klimb_charts::recorded::{Recorded, Recording};
use klimb_charts::{ChartStyle, FrontierChart, Palette, frontier_svg};
use klimb_metrics::OptimumPoint;

/// Where the figures lie in `dist/`, named by theme and room; `index.html` chooses among them. Those of another language
/// lie in a folder below.
pub const FOLDER: &str = "www/figure";
/// Units across and down where the chart has its full width, and on a phone.
const ROOMS: [(&str, (u32, u32)); 2] = [("wide", (780, 450)), ("narrow", (360, 320))];
/// As the page has it: in an image, only fonts of the machine can be had.
const FAMILY: &str = "Seravek, 'Gill Sans Nova', 'Segoe UI', Ubuntu, 'Helvetica Neue', 'DejaVu Sans', sans-serif";

/// What the figure needs of `optimum.json`.
#[derive(Deserialize)]
struct Optimum {
    points: Vec<OptimumPoint>,
}

/// Draws the recorded frontier of the page in `dist` in both themes and for both rooms, into a folder below [`FOLDER`] or,
/// where its name is empty, that itself. What the chart says is in the language that is spoken.
pub fn draw(dist: &Path, folder: &str) -> Result<()> {
    let read = |path: &str| {
        let path = dist.join("www/assets").join(path);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let optimum: Optimum = serde_json::from_str(&read("optimum.json")?).context("optimum.json")?;
    let mut recorded = Recorded::default();
    let [table, run] = Recording::Noisy.files().map(|file| read(&format!("recorded/{file}")));
    recorded.take(Recording::Noisy, Ok([table?, run?]));
    if let Some(trouble) = recorded.troubles.first() {
        anyhow::bail!("{trouble}");
    }
    let chart = FrontierChart {
        ghosts: recorded.ghosts(),
        read_off: &[],
        trails: &[],
        optimum: &optimum.points,
        aims: &[],
        target: None,
        selected: None,
        guess: None,
        empty: "",
    };
    let folder = dist.join(FOLDER).join(folder);
    fs::create_dir_all(&folder)?;
    for (theme, palette) in [("light", Palette::LIGHT), ("dark", Palette::DARK)] {
        for (room, size) in ROOMS {
            let svg = frontier_svg(&chart, &ChartStyle { palette, scale: 1.0, family: FAMILY }, size)?;
            fs::write(folder.join(format!("{theme}-{room}.svg")), svg)?;
        }
    }
    Ok(())
}
