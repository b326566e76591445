//! Inside a round of PPO: episodes token by token.

use web_sys::Element;

use crate::engine::protocol::{EpisodeNumbers, Round, Stage, TokenNumbers};
use crate::page::state::State;
use crate::page::{dom, format};
use crate::words::{key, say};

/// Heads of an episode's table, each with what it means.
const COLUMNS: [(&str, &str); 7] = [
    ("log π/π_ref", key("How much likelier than under the reference the token was when it was drawn.")),
    (key("reward"), key("What it cost to leave the reference, −β·log π/π_ref; at the last token, plus the score.")),
    (key("value"), key("What the value model expected to come.")),
    ("Â", key("The advantage: how much better it went than expected, in deviations over the rollout.")),
    ("ρ", key("The ratio π/π_old before the last update.")),
    ("log π", key("Log-probability when it was drawn.")),
    (key("clip"), key("Whether the clip holds it.")),
];

/// Writes the round that was stepped through, of the stage in focus.
pub fn draw(state: &State) {
    let list = dom::element("episodes");
    dom::clear(&list);
    let round = state.rounds.get(&state.focused);
    let first = round.and_then(|round| Some((round, longest(round.episodes.first()?)?)));
    dom::flag("live-token", "hidden", first.is_none());
    let (Some(round), Some((_, token))) = (round, first) else {
        return dom::set_text(
            "round-summary",
            say(
                "Press Step to look into one round: the policy writes a rollout, a score judges it, and the updates follow.",
            ),
        );
    };
    dom::set_text("round-summary", &summary(round));
    let clipped = token.ratio.clamp(1.0 - round.clip_range, 1.0 + round.clip_range);
    let loss = (-token.advantage * token.ratio).max(-token.advantage * clipped);
    for (id, value) in [
        ("live-word", say!("“{}”", token.word)),
        ("live-ratio", format::fixed(token.ratio, 3)),
        ("live-advantage", format::signed(token.advantage, 2)),
        ("live-clipped", format::fixed(clipped, 3)),
        ("live-advantage-again", format::signed(token.advantage, 2)),
        ("live-token-loss", format::signed(loss, 3)),
    ] {
        dom::set_text(id, &value);
    }
    for episode in &round.episodes {
        dom::append(&list, &[&item(episode)]);
    }
}

/// The token of an episode whose ratio has gone farthest.
fn longest(episode: &EpisodeNumbers) -> Option<&TokenNumbers> {
    episode.tokens.iter().max_by(|a, b| (a.ratio - 1.0).abs().total_cmp(&(b.ratio - 1.0).abs()))
}

fn summary(round: &Round) -> String {
    let judge = if round.stage == Stage::PpoGt { say("the gold reward") } else { say("the reward model") };
    let start = if round.number == 1 {
        say(" The policy was still the reference, so nothing had been paid for KL.")
    } else {
        ""
    };
    say!(
        "Round {}: {} completions, judged by {}, and {} updates, {} in all. Before them: mean score {}, KL {} nats, β {}.{} Episodes of the last minibatch follow, token by token.",
        round.number,
        round.size,
        judge,
        round.updates,
        round.step,
        format::signed(round.score, 2),
        format::fixed(round.kl, 2),
        format::beta(round.kl_coefficient),
        start
    )
}

fn item(episode: &EpisodeNumbers) -> Element {
    let item = dom::make("li", "batch-pair", "");
    let scroll = dom::make("div", "scroll", "");
    // A table that scrolls must be reachable by key.
    dom::set_attribute(&scroll, "tabindex", Some("0"));
    dom::set_attribute(&scroll, "role", Some("region"));
    dom::set_attribute(&scroll, "aria-label", Some(&say!("Episode: {} …", episode.prompt)));
    let table = dom::make("table", "episode", "");
    let caption = dom::make("caption", "", "");
    let earned = say!("score {}   gold {}", format::signed(episode.score, 2), format::fixed(episode.gold_reward, 2));
    dom::append(
        &caption,
        &[
            &dom::make_written("span", "prompt", &format!("{} …", episode.prompt)),
            &dom::make("span", "numeric", &earned),
        ],
    );
    let (head, names, body) = (dom::make("thead", "", ""), dom::make("tr", "", ""), dom::make("tbody", "", ""));
    let column = |name: &str, meaning: &str| {
        let cell = dom::make("th", "", say(name));
        dom::set_attribute(&cell, "scope", Some("col"));
        dom::set_attribute(&cell, "title", Some(say(meaning)));
        dom::append(&names, &[&cell]);
    };
    column(key("token"), key("Token by token, the end token last."));
    COLUMNS.iter().for_each(|(name, meaning)| column(name, meaning));
    dom::append(&head, &[&names]);
    for token in &episode.tokens {
        dom::append(&body, &[&row(token)]);
    }
    dom::append(&table, &[&caption, &head, &body]);
    dom::append(&scroll, &[&table]);
    dom::append(&item, &[&scroll]);
    item
}

fn row(token: &TokenNumbers) -> Element {
    let row = dom::make("tr", "", "");
    let word = dom::make_written("th", "", &token.word);
    dom::set_attribute(&word, "scope", Some("row"));
    dom::append(&row, &[&word]);
    let cells = [
        format::signed(token.logprob - token.reference_logprob, 2),
        format::signed(token.reward, 2),
        format::signed(token.value, 2),
        format::signed(token.advantage, 2),
        format::fixed(token.ratio, 3),
        format::fixed(token.logprob, 2),
        if token.clipped { say("clipped").into() } else { String::new() },
    ];
    for cell in cells {
        dom::append(&row, &[&dom::make("td", "", &cell)]);
    }
    row
}
