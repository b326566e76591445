//! The failure clinic: settings under which training truly goes wrong, each with what is seen, why, and the cure.
//!
//! A case is data: knobs of the engine's own table and the stage that is played. Every one was run as it stands here
//! before it was listed; `tests/suite/clinic.rs` runs the quick ones again.

use crate::engine::protocol::Stage;
use crate::engine::settings::{Knob, Settings};

/// One way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// Its name in the ids of the page.
    pub id: &'static str,
    /// What is done wrong.
    pub title: &'static str,
    /// The stage that is played.
    pub stage: Stage,
    /// Knobs by name, with their values as the address has them.
    pub changes: &'static [(&'static str, &'static str)],
    /// What one will see.
    pub see: &'static str,
    /// Why it happens.
    pub why: &'static str,
    /// What helps.
    pub cure: &'static str,
}

/// Every case, in the order of the page.
pub const CASES: [Case; 9] = [
    Case {
        id: "no-leash",
        title: "DPO almost without a leash: β = 0.01",
        stage: Stage::Dpo,
        changes: &[("beta", "0.01")],
        see: "For about a hundred steps it looks like success. Then the KL runs past 50 nats, most reviews break off without an end, and the gold reward falls far below the reference’s, while the loss goes on sinking.",
        why: "At this β a margin must be enormous before a pair stops pulling. Pushing the rejected down moves probability to anything else, the end of a review unlearned with the rest.",
        cure: "A higher β: at 0.5, where it stood when the page was opened, the same two hundred steps end near 3 nats.",
    },
    Case {
        id: "learning-rate",
        title: "A learning rate thirty times too high",
        stage: Stage::Dpo,
        changes: &[("learning_rate", "0.03")],
        see: "Within fifty steps the KL passes 40 nats, the loss jumps above ln 2 = 0.693, and words follow each other without grammar.",
        why: "Each step overshoots: it changes far more than this batch asked for, and the next batch has to mend a model that no longer writes reviews. β cannot help, for it holds only what the loss can see.",
        cure: "A learning rate near 0.001, which warms up over the first twenty steps.",
    },
    Case {
        id: "collapse",
        title: "PPO with a learning rate forty times too high",
        stage: Stage::PpoGt,
        changes: &[("ppo_learning_rate", "0.02")],
        see: "Diversity falls to almost nothing: the policy writes the same completion whatever the prompt, often nothing at all before the end. The curves then stand still.",
        why: "PPO learns only from what the policy writes. After one step too far it writes one thing, every advantage is 0, and nothing is left to learn from.",
        cure: "PPO’s learning rate at 0.0005; the clip of the ratio bounds a token’s pull, not the length of a step.",
    },
    Case {
        id: "flipped-labels",
        title: "Labels that are coin tosses",
        stage: Stage::Dpo,
        changes: &[("flip_probability", "0.5")],
        see: "The gold reward stays where the reference is, and so does the loss: near ln 2 = 0.693 on pairs it has not seen before.",
        why: "When half of the labels are turned round, “chosen” means nothing. No objective can find a preference that the data do not hold.",
        cure: "Better labels. Of flips that are fewer, DPO’s label smoothing takes account, and more pairs average them out.",
    },
    Case {
        id: "unlikelihood",
        title: "Unlikelihood with full weight: α = 1",
        stage: Stage::Unlikelihood,
        changes: &[("unlikelihood_alpha", "1")],
        see: "The reward rises for about a hundred steps, then the reviews come apart: KL beyond 30 nats, no ends, gold reward near 0.",
        why: "Making a completion less likely has no bottom: the loss falls without limit, and no reference holds the policy back. DPO’s sigmoid stops pulling once a pair is well apart.",
        cure: "A small α, or a loss with a leash: that is what DPO is.",
    },
    Case {
        id: "few-pairs",
        title: "A reward model of 48 pairs, and a long leash",
        stage: Stage::Ppo,
        changes: &[("reward_model_pairs", "48"), ("reward_model_epochs", "20"), ("beta", "0.03")],
        see: "The reward model’s score climbs round after round. The gold reward hardly follows: on held-out prompts it stays near the reference’s level or falls below it. The gap is shaded in the chart of the steps.",
        why: "A score learned from a handful of pairs is right only near them. PPO goes wherever the score is high, and finds where it is wrong: reward hacking.",
        cure: "More pairs for the reward model, and a shorter leash, which keeps the policy where the pairs were written.",
    },
    Case {
        id: "loophole",
        title: "A planted loophole: whoever labelled likes the word “overall”",
        stage: Stage::Ppo,
        changes: &[("loophole_bonus", "0.5"), ("beta", "0.03")],
        see: "The reviews say “overall”, most of them and some twice: read the samples. After twenty rounds the reward model’s score was higher than without the loophole, 4.7 against 3.5, and the gold reward lower: 0.77 against 0.96. With two other seeds it was 0.79 and 0.70.",
        why: "Each “overall” was worth 0.5 to whoever labelled, and the reward model learned what the labels say, not what was meant by them. The policy takes whatever raises the score at the least cost in KL, and one more word is cheaper than a happier review.",
        cure: "Labels that follow what is meant. A shorter leash did not help: at β 0.1 the gold reward ended at 0.78 all the same. Someone has to read what the policy writes, for the score will not tell.",
    },
    Case {
        id: "no-end-penalty",
        title: "No end penalty, under a reward model of 384 pairs",
        stage: Stage::Ppo,
        changes: &[("missing_eos_penalty", "0"), ("reward_model_pairs", "384"), ("beta", "0.01")],
        see: "For some thirty rounds completions still end. Then fewer and fewer do, until after fifty rounds nearly all run to the length limit. The reward model’s score climbs all the while, and the gold reward, which is 0 for a review without an end, falls to almost nothing. Choose “Completions that end” in the fourth chart of the steps.",
        why: "The pairs hold hardly a completion without an end, so the reward model never learned that such a one is worth nothing. It scores whatever stands there, and the policy finds that going on costs it nothing. Which mistakes so small a reward model makes is chance: with seed 1 it is this one, while with seeds 2 and 3 completions went on ending, at gold rewards no higher than the reference’s.",
        cure: "A missing-EOS penalty: with 3 taken off each score without an end, every completion of the same run ended, at a gold reward of 0.44. The reward model is still hacked; more pairs cure that.",
    },
    Case {
        id: "dead-critic",
        title: "A dead critic: value coefficient 0, in small rollouts",
        stage: Stage::PpoGt,
        changes: &[("vf_coef", "0"), ("rollout_size", "16"), ("ppo_learning_rate", "0.002")],
        see: "The explained variance stands at 0 and never moves: the value model answers 0 whatever is written. The reward rises all the same, but less far: at β 0.5 three seeds stood at gold rewards of 0.84, 0.84 and 0.73 after forty rounds, and with a critic at 0.86, 0.89 and 0.82. One run alone may be lucky.",
        why: "The critic is what an advantage is measured against. Without it every token is credited with all the reward that comes later, and in a rollout of 16 that is mostly chance: the steps follow noise. In rollouts of 256 it averages out, and a dead critic costs about 0.04 of gold reward, hardly to be seen.",
        cure: "A value coefficient above 0: at its default of 0.1 the explained variance rises within a few rounds.",
    },
];

impl Case {
    /// The case of this id.
    pub fn named(id: &str) -> Option<&'static Self> {
        CASES.iter().find(|case| case.id == id)
    }

    /// Whether `settings` have what it changes.
    pub fn is_in(&self, settings: Settings) -> bool {
        let is_there = |(name, value): &(&str, &str)| {
            let mut changed = settings;
            changed.set_from_text(name, value).is_ok() && changed == settings
        };
        self.changes.iter().all(is_there)
    }
}

/// What the clinic remembers: the case that is running and the values its knobs had before.
#[derive(Debug, Clone, Default)]
pub struct Clinic {
    running: Option<(&'static Case, Settings)>,
}

impl Clinic {
    /// The case whose settings are in use.
    pub fn running(&self) -> Option<&'static Case> {
        self.running.map(|(case, _)| case)
    }

    /// That case and the settings that were in use before it.
    pub fn before(&self) -> Option<(&'static Case, Settings)> {
        self.running
    }

    /// The settings with which `case` fails; a case that is running is cured first.
    ///
    /// # Panics
    /// If a case has a knob or a value that the engine's table does not take.
    pub fn run(&mut self, case: &'static Case, settings: Settings) -> Settings {
        let before = self.cure(settings);
        let mut settings = before;
        for (name, value) in case.changes {
            settings.set_from_text(name, value).expect("a case is made of the table's knobs");
        }
        self.running = Some((case, before));
        settings
    }

    /// The settings with the earlier values of what the running case had changed; everything else stays.
    pub fn cure(&mut self, mut settings: Settings) -> Settings {
        if let Some((case, before)) = self.running.take() {
            for knob in case.changes.iter().filter_map(|(name, _)| Knob::named(name)) {
                knob.set(&mut settings, knob.value(&before)).expect("the value was in use before");
            }
        }
        settings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_is_complete_and_changes_something_valid() {
        for (index, case) in CASES.iter().enumerate() {
            assert!(CASES[..index].iter().all(|other| other.id != case.id), "{}", case.id);
            assert_eq!(Case::named(case.id), Some(case));
            for text in [case.see, case.why, case.cure] {
                assert!(text.ends_with('.') && !text.contains('!'), "{}: {text}", case.id);
            }
            let changed = Clinic::default().run(case, Settings::default());
            assert!(changed != Settings::default() && changed.validated().is_ok(), "{}", case.id);
            let is_about_the_stage = |name: &str| Knob::named(name).is_some_and(|it| it.stages.contains(&case.stage));
            assert!(case.changes.iter().all(|(name, _)| is_about_the_stage(name)), "{}", case.id);
        }
    }

    #[test]
    fn a_cure_gives_the_former_values_back_and_keeps_what_was_changed_meanwhile() {
        let before = Settings { beta: 0.7, ..Settings::default() };
        let mut clinic = Clinic::default();
        let ill = clinic.run(&CASES[0], before);
        assert_eq!((ill.beta, clinic.running()), (0.01, Some(&CASES[0])));
        let other = clinic.run(&CASES[1], Settings { seed: 9, ..ill });
        assert_eq!((other.beta, other.learning_rate, other.seed), (0.7, 0.03, 9), "the first case is cured");
        assert_eq!(clinic.cure(other), Settings { seed: 9, ..before });
        assert_eq!((clinic.running(), clinic.cure(before)), (None, before));
    }
}
