//! Colours and sizes of the charts.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use klimb_metrics::{Hue, Method};

/// Colours of a theme. Every hue is used for one thing only, and never without a marker or a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind everything.
    pub paper: RGBColor,
    /// Text and the optimum.
    pub ink: RGBColor,
    /// Labels of axes; at least 4.5:1 on the paper.
    pub quiet: RGBColor,
    /// Axes and rules.
    pub hairline: RGBColor,
    /// What no policy can reach.
    pub shade: RGBColor,
    /// The base model.
    pub base: RGBColor,
    /// SFT.
    pub sft: RGBColor,
    /// DPO.
    pub dpo: RGBColor,
    /// PPO.
    pub ppo: RGBColor,
    /// PPO with the gold reward.
    pub ppo_gt: RGBColor,
    /// Preferred-FT.
    pub preferred_ft: RGBColor,
    /// Best-of-N.
    pub best_of_n: RGBColor,
    /// Unlikelihood, and what must be noticed.
    pub other: RGBColor,
}

impl Palette {
    /// On paper. Hues from Okabe and Ito's palette for colour-blind readers, darkened to 4.5:1.
    pub const LIGHT: Self = Self {
        paper: RGBColor(255, 253, 249),
        ink: RGBColor(29, 28, 26),
        quiet: RGBColor(95, 91, 84),
        hairline: RGBColor(205, 200, 190),
        shade: RGBColor(244, 240, 231),
        base: RGBColor(112, 106, 97),
        sft: RGBColor(0, 122, 90),
        dpo: RGBColor(0, 100, 166),
        ppo: RGBColor(153, 63, 116),
        ppo_gt: RGBColor(133, 98, 0),
        preferred_ft: RGBColor(98, 76, 170),
        best_of_n: RGBColor(0, 107, 118),
        other: RGBColor(184, 74, 0),
    };
    /// By night.
    pub const DARK: Self = Self {
        paper: RGBColor(20, 22, 26),
        ink: RGBColor(232, 230, 225),
        quiet: RGBColor(167, 164, 157),
        hairline: RGBColor(66, 69, 75),
        shade: RGBColor(29, 32, 37),
        base: RGBColor(160, 156, 148),
        sft: RGBColor(79, 195, 161),
        dpo: RGBColor(108, 180, 240),
        ppo: RGBColor(230, 150, 195),
        ppo_gt: RGBColor(222, 188, 80),
        preferred_ft: RGBColor(176, 160, 240),
        best_of_n: RGBColor(90, 195, 205),
        other: RGBColor(240, 150, 90),
    };

    /// The colour of a hue.
    pub fn color(&self, hue: Hue) -> RGBColor {
        match hue {
            Hue::Base => self.base,
            Hue::Sft => self.sft,
            Hue::Dpo => self.dpo,
            Hue::Ppo => self.ppo,
            Hue::PpoGt => self.ppo_gt,
            Hue::PreferredFt => self.preferred_ft,
            Hue::BestOfN => self.best_of_n,
            Hue::Other => self.other,
            Hue::Quiet => self.quiet,
        }
    }

    /// The colour of a method.
    pub fn method(&self, method: Method) -> RGBColor {
        self.color(method.info().hue)
    }
}

/// How a chart looks where it is drawn.
#[derive(Debug, Clone, Copy)]
pub struct ChartStyle<'a> {
    /// Colours.
    pub palette: Palette,
    /// Device pixels per unit of length, so that lines and text keep their size on sharp screens.
    pub scale: f64,
    /// Font families as CSS has them.
    pub family: &'a str,
}

impl Default for ChartStyle<'_> {
    fn default() -> Self {
        Self { palette: Palette::LIGHT, scale: 1.0, family: "sans-serif" }
    }
}

impl<'a> ChartStyle<'a> {
    /// `units` in pixels.
    pub fn px(&self, units: f64) -> i32 {
        (units * self.scale).round() as i32
    }

    /// A line `units` thick, at least one pixel.
    pub fn line(&self, color: impl Color, units: f64) -> ShapeStyle {
        color.stroke_width(self.px(units).max(1) as u32)
    }

    /// Text of `units` height, anchored at its position.
    pub fn text(&self, color: &'a RGBColor, units: f64, across: HPos, down: VPos) -> TextStyle<'a> {
        (FontFamily::Name(self.family), units * self.scale).into_font().color(color).pos(Pos::new(across, down))
    }
}
