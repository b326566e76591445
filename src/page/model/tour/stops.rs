//! The nine stops: what each says, does and points at.

use crate::engine::protocol::{Command, Stage};

/// A stop of the tour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stop {
    /// Its heading.
    pub title: &'static str,
    /// Two to four sentences, in paragraphs.
    pub text: &'static [&'static str],
    /// What stands on its button.
    pub act: &'static str,
    /// What the button does.
    pub action: Action,
    /// What to look at once the button was pressed.
    pub then: &'static str,
    /// The id of the part of the page that it speaks of.
    pub part: &'static str,
    /// The id of what inside of it the button changes.
    pub result: &'static str,
    /// What to read.
    pub links: &'static [Link],
}

/// A paper.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// What stands there.
    pub text: &'static str,
    /// Where it leads.
    pub address: &'static str,
}

/// Something real that the engine does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    /// Every model completes a prompt.
    Complete(&'static str),
    /// The reference writes against the grammar.
    Contest,
    /// One step of a stage.
    Step(Stage),
    /// A stage plays until it ends by itself.
    Play(Stage),
    /// A case of the clinic runs until the stop is left.
    Fail(&'static str),
    /// β moves to the first value, or to the second if it is there already.
    MoveBeta(f64, f64),
    /// So many steps of DPO, then a pause.
    Steps(usize),
}

impl Action {
    /// The commands, as the page's own buttons send them, while β is `beta`. A case of the clinic has its own.
    pub fn commands(self, beta: f64) -> Vec<Command> {
        match self {
            Self::Complete(prompt) => vec![Command::SamplePrompt(prompt.into())],
            Self::Contest => vec![Command::Contest(true)],
            Self::Step(Stage::Pairs) => vec![Command::Step(Stage::Pairs)],
            Self::Step(stage) => vec![Command::Focus(stage), Command::Step(stage)],
            Self::Play(stage) => vec![Command::Focus(stage), Command::Play],
            Self::Fail(_) => vec![],
            Self::MoveBeta(first, second) => vec![Command::SetBeta(if beta == first { second } else { first })],
            Self::Steps(_) => vec![Command::Focus(Stage::Dpo), Command::Play],
        }
    }
}

const OUYANG: Link = Link {
    text: "Ouyang et al. 2022, Training language models to follow instructions with human feedback",
    address: "https://arxiv.org/abs/2203.02155",
};
const RAFAILOV: Link =
    Link { text: "Rafailov et al. 2023, Direct Preference Optimization", address: "https://arxiv.org/abs/2305.18290" };
const ASKELL: Link = Link {
    text: "Askell et al. 2021, A General Language Assistant as a Laboratory for Alignment",
    address: "https://arxiv.org/abs/2112.00861",
};

/// The stops, in order.
pub const STOPS: [Stop; 9] = [
    Stop {
        title: "A model that was never asked",
        text: &[
            "A language model continues a text: it gives every possible next word a probability, draws one, and goes on. The base model here learned that from reviews mixed with cast lists, showtimes and questions, so it often answers a prompt, the given beginning of a review, with something else: that is misalignment.",
            "Wishes for an assistant are often summed up as helpfulness, honesty and harmlessness (Askell et al. 2021, arXiv 2112.00861). This toy has one reward only: how happy a film review sounds.",
        ],
        act: "Let it go on from “the acting in this film”",
        action: Action::Complete("the acting in this film"),
        then: "Read what the base model wrote. Beside it stands the model of the next stop, under the same random draws.",
        part: "samples",
        result: "typed-list",
        links: &[],
    },
    Stop {
        title: "Imitation: SFT",
        text: &[
            "Supervised fine-tuning, SFT, trains the base model further on examples of what is wanted, here reviews alone. Its result is the reference, in formulas π with the index “ref”: everything later starts from it, and drift is measured from it.",
            "An imitator is as good as its examples and no better. Let it write against the reviews it learned from: it should win about half of the time.",
        ],
        act: "Play the match",
        action: Action::Contest,
        then: "The line “SFT, here” grows from temperature to temperature. Temperature says how freely words are drawn; at 0 the likeliest is taken.",
        part: "studies",
        result: "win-rate-chart",
        links: &[],
    },
    Stop {
        title: "Preferences",
        text: &[
            "To get further than imitation, somebody must say what is better. The reference writes four completions of a prompt; of every two, one is called chosen and the other rejected: a preference pair.",
            "Here a lexicon of sentiment judges in the place of people: it gives each text a gold reward from 0 to 1. The happier text is usually chosen, with some noise, since people do not always agree either.",
        ],
        act: "Write some pairs",
        action: Action::Step(Stage::Pairs),
        then: "Each press adds 192 pairs: 32 prompts, and six pairs from the four completions of each. You will read some of them at the last stop but one.",
        part: "card-pairs",
        result: "card-pairs",
        links: &[],
    },
    Stop {
        title: "The reward model",
        text: &[
            "A reward model reads a completion and answers with one number, its score. It learns from the pairs alone: the chosen is to score higher than the rejected, and its loss, the number that training makes small, counts how far that fails.",
            "It never sees the gold reward. Where no pair has been, it guesses, which will matter at the stop after the next.",
        ],
        act: "Train it",
        action: Action::Play(Stage::RewardModel),
        then: "More pairs are written first. Then the small curve, the loss, falls from ln 2 = 0.693, which is that of a coin toss, and training stops by itself.",
        part: "card-reward-model",
        result: "card-reward-model",
        links: &[],
    },
    Stop {
        title: "Reinforcement learning: PPO",
        text: &[
            "In reinforcement learning the model writes, is scored, and what scored well becomes more likely. The model in training is called the policy, and proximal policy optimisation, PPO, moves it in small, bounded steps.",
            "Every word also pays for leaving the reference. The whole drift is measured as a KL divergence in nats, units of natural logarithms, 0 for no change; β is its price, and a high β is a short leash.",
        ],
        act: "Play one round",
        action: Action::Step(Stage::Ppo),
        then: "If the reward model is not ready, it is trained first. Then the policy writes a set of completions, a rollout, and learns from them; some stand here word by word.",
        part: "inside",
        result: "inside",
        links: &[],
    },
    Stop {
        title: "Reward hacking",
        text: &[
            "The score is a guess at the gold reward, and a policy that is pushed hard finds where the guess is too high. Its score rises, and what the score stood for does not: that is reward hacking.",
            "The button gives the reward model a mere 48 pairs and PPO a long leash, β = 0.03. Your settings come back when you leave this stop.",
        ],
        act: "Let it hack",
        action: Action::Fail("few-pairs"),
        then: "Wait for some steps in the first chart: the score climbs, the gold reward hardly follows, and the gap between them is shaded.",
        part: "curves",
        result: "curve-loss",
        links: &[],
    },
    Stop {
        title: "DPO’s idea",
        text: &[
            "For any reward and any β the best policy is known: π*, the reference with each completion reweighed by exp(reward/β). It is the marker on the curve.",
            "Direct preference optimisation, DPO, reads this backwards: a policy implies a reward, β times the logarithm of how much more likely than the reference it makes a completion. So the pairs can train the policy directly, without a reward model.",
        ],
        act: "Move β",
        action: Action::MoveBeta(0.2, 2.0),
        then: "π* walked along the curve, and nothing was trained. A low β buys more reward for more drift. Your β comes back when you leave this stop.",
        part: "chart",
        result: "chart",
        links: &[],
    },
    Stop {
        title: "DPO’s step",
        text: &[
            "A step takes a batch of pairs and compares the implied rewards of chosen and rejected; their difference is the margin. The loss is small where the margin is large, and pairs that are told apart badly pull hardest.",
            "Before the first step policy and reference are the same: every margin is 0, and the loss is ln 2 = 0.693, a coin toss.",
        ],
        act: "Take one step",
        action: Action::Step(Stage::Dpo),
        then: "Here are pairs of that batch with the weight of their pull, and the loss in the paper’s formula.",
        part: "inside",
        result: "inside",
        links: &[],
    },
    Stop {
        title: "The frontier",
        text: &[
            "Up is more gold reward, right is more drift from the reference. Better is higher at the same drift, and the curve is the most that any policy can have.",
            "Train a little and watch where points land; then press Sweep β for five leashes, or compare PPO, or another seed, which is other random numbers. How training fails is further down, in the clinic.",
        ],
        act: "Train fifty steps of DPO",
        action: Action::Steps(50),
        then: "It pauses after fifty steps, with a point every ten unless you have set it otherwise. Play goes on from there.",
        part: "chart",
        result: "chart",
        links: &[OUYANG, RAFAILOV, ASKELL],
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::model::clinic::Case;

    /// Sentences of a paragraph; "et al. 2021" ends none.
    fn sentences(text: &str) -> usize {
        let ends = |(at, _): &(usize, &str)| text[at + 1..].chars().nth(1).is_none_or(|next| !next.is_ascii_digit());
        text.match_indices('.')
            .filter(|(at, _)| text[at + 1..].is_empty() || text[at + 1..].starts_with(' '))
            .filter(ends)
            .count()
    }

    #[test]
    fn every_stop_has_heading_short_text_action_and_a_part_of_the_page() {
        let html = include_str!("../../../../index.html");
        for stop in &STOPS {
            assert!(!stop.title.is_empty() && !stop.act.is_empty(), "{stop:?}");
            let count: usize = stop.text.iter().map(|text| sentences(text)).sum();
            assert!((2..=4).contains(&count), "{} has {count} sentences", stop.title);
            let all = [stop.text, &[stop.title, stop.act, stop.then]].concat().join(" ");
            assert!(!all.contains('!') && !all.contains('—'), "{all}");
            assert!(stop.then.ends_with('.'), "{}", stop.then);
            for id in [stop.part, stop.result] {
                assert!(html.contains(&format!("id=\"{id}\"")), "index.html has no #{id}");
            }
        }
    }

    #[test]
    fn every_action_is_a_command_or_a_case() {
        for stop in &STOPS {
            let commands = stop.action.commands(0.5);
            match stop.action {
                Action::Fail(case) => assert!(Case::named(case).is_some(), "{case}"),
                _ => assert!(!commands.is_empty(), "{}", stop.title),
            }
        }
        let moved = |beta| Action::MoveBeta(0.2, 2.0).commands(beta);
        assert_eq!((moved(0.5), moved(0.2)), (vec![Command::SetBeta(0.2)], vec![Command::SetBeta(2.0)]));
    }

    #[test]
    fn the_first_stop_names_what_is_wished_for_and_the_last_links_the_papers() {
        let first = STOPS[0].text.join(" ");
        for words in ["helpfulness, honesty and harmlessness", "Askell et al. 2021", "2112.00861", "one reward only"] {
            assert!(first.contains(words), "{words}");
        }
        let addresses: Vec<&str> = STOPS[8].links.iter().map(|link| link.address).collect();
        for paper in ["2203.02155", "2305.18290", "2112.00861"] {
            assert!(addresses.iter().any(|address| *address == format!("https://arxiv.org/abs/{paper}")), "{paper}");
        }
    }
}
