//! Every way in which a policy of the frontier is made, in one table. Lists, colours, markers, names of files and labels come
//! out of it; what is said of a method stands in its row and nowhere else.
//!
//! More than 400 lines, because it is one table.

use std::cmp::Ordering;
use std::fmt;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::pair_loss::{LikelihoodLoss, LossSides, MarginLoss, PairLoss};
use klimb_text::words::{key, say};

/// How a policy was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// The base model, not trained further.
    Base,
    /// The base model, given the cue that a good review follows.
    BaseCued,
    /// The reference: supervised fine-tuning on reviews.
    Sft,
    /// Direct preference optimisation (Rafailov et al. 2023).
    Dpo,
    /// Proximal policy optimisation of a reward model's score (Ziegler et al. 2019).
    Ppo,
    /// The same of the gold reward itself.
    PpoGt,
    /// The same, with demonstrations mixed in (Ouyang et al. 2022).
    PpoGtPtx,
    /// Up with the chosen, down with the rejected (Welleck et al. 2019).
    Unlikelihood,
    /// SFT on the chosen completions.
    PreferredFt,
    /// The best of N completions by the gold reward.
    BestOfN,
    /// The best of N completions by a reward model's score.
    BestOfNScore,
}

/// What a method learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LearnsFrom {
    /// Texts, one token after another.
    Texts,
    /// Pairs of completions of which one is preferred.
    Pairs,
    /// Completions that it writes itself, with a score for each.
    Rollouts,
    /// Nothing: it is not trained.
    Nothing,
}

/// What the number of a point's setting is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingKind {
    /// What a knob was set to. Where a PPO run was recorded by a sweep, the number is the KL that its β was steered to.
    Knob(KnobSetting),
    /// N, the number of completions drawn.
    Count,
    /// None that is shown.
    None,
}

/// The knob by whose value the runs of a method are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnobSetting {
    /// Its name among the knobs of a session.
    pub knob: &'static str,
    /// The letter that stands before its value.
    pub symbol: &'static str,
}

/// β, the weight of the KL divergence.
const BETA: SettingKind = SettingKind::Knob(KnobSetting { knob: "beta", symbol: "β" });
/// α, the weight of the rejected completions.
const ALPHA: SettingKind = SettingKind::Knob(KnobSetting { knob: "unlikelihood_alpha", symbol: "α" });

impl SettingKind {
    /// The knob that it is a value of.
    pub const fn knob(self) -> Option<&'static str> {
        if let Self::Knob(KnobSetting { knob, .. }) = self { Some(knob) } else { None }
    }

    /// What stands before the number; `None` where none is shown.
    pub const fn symbol(self) -> Option<&'static str> {
        match self {
            Self::Knob(KnobSetting { symbol, .. }) => Some(symbol),
            Self::Count => Some("N"),
            Self::None => None,
        }
    }
}

/// The shape of a method's points: colour alone never tells methods apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// ×
    Cross,
    /// □
    Square,
    /// ○
    Circle,
    /// △
    Triangle,
    /// ▽
    TriangleDown,
    /// ⋈
    Bowtie,
    /// ✳
    Star,
    /// +
    Plus,
    /// ◇ The closed-form optimum's, which is no method's.
    Diamond,
}

/// The hue of a method's points and lines; a palette says which colour that is by day and by night.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hue {
    /// The base model's.
    Base,
    /// The reference's.
    Sft,
    /// DPO's.
    Dpo,
    /// PPO's.
    Ppo,
    /// PPO's with the gold reward.
    PpoGt,
    /// Preferred-FT's.
    PreferredFt,
    /// Best-of-N's.
    BestOfN,
    /// Of what has none of its own, and of what must be noticed.
    Other,
    /// Of what is no policy and so has no place on the frontier, such as a reward model.
    Quiet,
}

/// How a line or curve is told from others: colour and marker together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeriesStyle {
    /// Its hue.
    pub hue: Hue,
    /// The marker of its points.
    pub marker: Marker,
}

impl SeriesStyle {
    /// What is no policy.
    pub const QUIET: Self = Self { hue: Hue::Quiet, marker: Marker::Plus };
    /// A policy of which only a name is known.
    pub const OTHER: Self = Self { hue: Hue::Other, marker: Marker::Plus };

    /// That of a contestant, which may have any name: a method's, or that of a best of so many.
    pub fn of_contestant(name: &str) -> Self {
        match Method::of_file_name(name) {
            Some(method) => method.into(),
            None if name.starts_with("best") => Method::BestOfN.into(),
            None => Self::OTHER,
        }
    }
}

impl Default for SeriesStyle {
    fn default() -> Self {
        Self::OTHER
    }
}

impl From<Method> for SeriesStyle {
    fn from(method: Method) -> Self {
        let MethodInfo { hue, marker, .. } = *method.info();
        Self { hue, marker }
    }
}

/// What its training takes at a time, beside seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Trainings, one after the other: a reward model comes before the policy that it judges.
    pub trainings: u64,
    /// Networks in memory that write: the policy, and the reference where the method looks at it.
    pub writing: u64,
    /// Networks in memory with a scalar head: a value model, a reward model.
    pub headed: u64,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodInfo {
    /// Which method the row is of.
    pub method: Method,
    /// Its name in files, receipts and addresses; it never changes.
    pub file_name: &'static str,
    /// Its name as people say it, in English.
    pub label: &'static str,
    /// The hue of its points.
    pub hue: Hue,
    /// Their shape.
    pub marker: Marker,
    /// The metric of its loss, `None` where it is not trained.
    pub loss: Option<&'static str>,
    /// What it learns from.
    pub learns_from: LearnsFrom,
    /// Whether its runs are told apart by the preference pairs that they learned from, be it by a reward model.
    pub needs_pairs: bool,
    /// Whether a reward model, which is trained before it, judges what it writes.
    pub needs_reward_model: bool,
    /// The metric by which one sees its progress, `None` where it is not trained.
    pub progress: Option<&'static str>,
    /// What its training takes, `None` where it is not trained.
    pub cost: Option<Cost>,
    /// What the number of its setting is, by which its runs are told apart.
    pub setting: SettingKind,
    /// Whether β holds it near the reference: then the slider is its too, and a sweep over β trains it.
    pub has_leash: bool,
    /// What the loss of a pair is computed from, `None` where it does not learn from pairs.
    pub pair_loss: Option<PairLoss>,
    /// Whether it stands beside the runs as a point of its own, measured last: a model and no run.
    pub is_standing: bool,
}

const fn row(method: Method, file_name: &'static str, label: &'static str, hue: Hue, marker: Marker) -> MethodInfo {
    MethodInfo {
        method,
        file_name,
        label,
        hue,
        marker,
        loss: None,
        learns_from: LearnsFrom::Nothing,
        needs_pairs: false,
        needs_reward_model: false,
        progress: None,
        cost: None,
        setting: SettingKind::None,
        has_leash: false,
        pair_loss: None,
        is_standing: false,
    }
}

/// Every method, in the order of [`Method`]. The version of what a page keeps grows with it.
pub const METHODS: [MethodInfo; 11] = [
    MethodInfo { is_standing: true, ..row(Method::Base, "base", key("base model"), Hue::Base, Marker::Cross) },
    row(Method::BaseCued, "base-cued", key("base model with the cue"), Hue::Base, Marker::Cross),
    MethodInfo {
        loss: Some("sft/loss"),
        progress: Some("sft/loss"),
        learns_from: LearnsFrom::Texts,
        is_standing: true,
        cost: Some(Cost { trainings: 1, writing: 1, headed: 0 }),
        ..row(Method::Sft, "sft", "SFT", Hue::Sft, Marker::Square)
    },
    MethodInfo {
        loss: Some("dpo/loss"),
        progress: Some("dpo/loss"),
        learns_from: LearnsFrom::Pairs,
        needs_pairs: true,
        setting: BETA,
        has_leash: true,
        pair_loss: Some(PairLoss::Margin(MarginLoss::LogSigmoid)),
        cost: Some(Cost { trainings: 1, writing: 2, headed: 0 }),
        ..row(Method::Dpo, "dpo", "DPO", Hue::Dpo, Marker::Circle)
    },
    MethodInfo {
        loss: Some("ppo/policy_loss"),
        progress: Some("objective/score"),
        learns_from: LearnsFrom::Rollouts,
        needs_pairs: true,
        needs_reward_model: true,
        setting: BETA,
        has_leash: true,
        cost: Some(Cost { trainings: 2, writing: 2, headed: 2 }),
        ..row(Method::Ppo, "ppo", "PPO", Hue::Ppo, Marker::Triangle)
    },
    MethodInfo {
        loss: Some("ppo/policy_loss"),
        progress: Some("objective/score"),
        learns_from: LearnsFrom::Rollouts,
        setting: BETA,
        has_leash: true,
        cost: Some(Cost { trainings: 1, writing: 2, headed: 1 }),
        ..row(Method::PpoGt, "ppo-gt", "PPO-GT", Hue::PpoGt, Marker::TriangleDown)
    },
    MethodInfo {
        loss: Some("ppo/policy_loss"),
        progress: Some("objective/score"),
        learns_from: LearnsFrom::Rollouts,
        has_leash: true,
        cost: Some(Cost { trainings: 1, writing: 2, headed: 1 }),
        ..row(Method::PpoGtPtx, "ppo-gt-ptx", "PPO-GT-ptx", Hue::PpoGt, Marker::TriangleDown)
    },
    MethodInfo {
        loss: Some("unlikelihood/loss"),
        progress: Some("unlikelihood/loss"),
        learns_from: LearnsFrom::Pairs,
        needs_pairs: true,
        setting: ALPHA,
        pair_loss: Some(PairLoss::Likelihood(LikelihoodLoss {
            of: LossSides::Both,
            remark: key("Nothing says how far: there is no reference in the loss."),
        })),
        cost: Some(Cost { trainings: 1, writing: 1, headed: 0 }),
        ..row(Method::Unlikelihood, "unlikelihood", key("unlikelihood"), Hue::Other, Marker::Star)
    },
    MethodInfo {
        loss: Some("sft/loss"),
        progress: Some("sft/loss"),
        learns_from: LearnsFrom::Pairs,
        needs_pairs: true,
        pair_loss: Some(PairLoss::Likelihood(LikelihoodLoss {
            of: LossSides::Chosen,
            remark: key("The rejected play no part: half of what a preference says is not used."),
        })),
        cost: Some(Cost { trainings: 1, writing: 1, headed: 0 }),
        ..row(Method::PreferredFt, "preferred_ft", "Preferred-FT", Hue::PreferredFt, Marker::Bowtie)
    },
    MethodInfo {
        setting: SettingKind::Count,
        ..row(Method::BestOfN, "best_of_n", "Best-of-N", Hue::BestOfN, Marker::Plus)
    },
    MethodInfo {
        setting: SettingKind::Count,
        ..row(Method::BestOfNScore, "best_of_n_score", key("Best-of-N by score"), Hue::BestOfN, Marker::Plus)
    },
];

impl Method {
    /// Its row.
    pub const fn info(self) -> &'static MethodInfo {
        &METHODS[self as usize]
    }

    /// Its name as people say it, in the page's language.
    pub fn label(self) -> &'static str {
        say(self.info().label)
    }

    /// Whether it is no run of training, such as the reference, and so stands once, as measured last.
    pub const fn is_standing(self) -> bool {
        self.info().is_standing
    }

    /// Whether policies of it come out of runs of training, of which each point has a policy of its own.
    pub fn has_runs(self) -> bool {
        !self.is_standing() && self.info().learns_from != LearnsFrom::Nothing
    }

    /// Whether β holds it near the reference.
    pub const fn has_leash(self) -> bool {
        self.info().has_leash
    }

    /// Whether a margin between implicit rewards is what it makes of a pair.
    pub const fn has_implicit_rewards(self) -> bool {
        matches!(self.info().pair_loss, Some(PairLoss::Margin(_)))
    }

    /// Whether it trains on preference pairs themselves.
    pub const fn learns_from_pairs(self) -> bool {
        matches!(self.info().learns_from, LearnsFrom::Pairs)
    }

    /// Whether it trains on what it writes itself.
    pub const fn learns_from_rollouts(self) -> bool {
        matches!(self.info().learns_from, LearnsFrom::Rollouts)
    }

    /// The method of this name in files.
    pub fn of_file_name(name: &str) -> Option<Self> {
        METHODS.iter().find(|info| info.file_name == name).map(|info| info.method)
    }
}

/// By their names in files, as runs have always been listed.
impl Ord for Method {
    fn cmp(&self, other: &Self) -> Ordering {
        self.info().file_name.cmp(other.info().file_name)
    }
}

impl PartialOrd for Method {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.info().file_name)
    }
}

impl Serialize for Method {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.info().file_name)
    }
}

impl<'de> Deserialize<'de> for Method {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::of_file_name(&name)
            .ok_or_else(|| D::Error::custom(format!("there is no method “{}”", klimb_text::shorten::excerpt(&name))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::definition;

    #[test]
    fn every_method_has_one_whole_row_in_its_place() {
        let mut names = BTreeSet::new();
        for (place, info) in METHODS.iter().enumerate() {
            assert_eq!(info.method as usize, place, "{}", info.file_name);
            assert!(names.insert(info.file_name) && names.insert(info.label) || info.file_name == info.label);
            assert!(!info.file_name.is_empty() && !info.label.is_empty());
            assert!(info.loss.is_none_or(|loss| definition(loss).is_some()), "{}: its loss is no metric", info.label);
            assert_eq!(info.loss.is_none(), info.learns_from == LearnsFrom::Nothing, "{}", info.label);
            assert_eq!(info.loss.is_none(), info.cost.is_none(), "{}", info.label);
            assert_eq!(info.loss.is_none(), info.progress.is_none(), "{}", info.label);
            assert!(
                info.progress.is_none_or(|it| definition(it).is_some()),
                "{}: its progress is no metric",
                info.label
            );
            assert!(info.needs_pairs || !info.needs_reward_model, "{}: a reward model is trained on pairs", info.label);
            assert_eq!(info.pair_loss.is_some(), info.learns_from == LearnsFrom::Pairs, "{}: its pairs", info.label);
            assert!(
                info.has_leash || !info.method.has_implicit_rewards(),
                "{}: an implicit reward is β times a log-ratio",
                info.label
            );
            assert!(
                info.setting.knob() != Some("beta") || info.has_leash,
                "{}: β would tell its runs apart and hold none of them",
                info.label
            );
        }
    }

    #[test]
    fn a_method_is_written_by_its_name_in_files_and_read_again() {
        for MethodInfo { method, file_name, .. } in METHODS {
            assert_eq!(klimb_text::json::to_text(&method), format!("\"{file_name}\""));
            assert_eq!(klimb_text::json::from_text(&format!("\"{file_name}\"")), Ok(method));
        }
        let unknown = klimb_text::json::from_text::<Method>("\"../../evil\"");
        assert!(unknown.unwrap_err().to_string().contains("there is no method"));
    }
}
