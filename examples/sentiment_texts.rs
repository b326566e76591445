//! Prints the texts of `tests/data/sentiment_reviews.tsv`, one a line: reviews, and words in any order.
//! `tests/data/make_sentiment.py` gives them the published package's compounds.

use klimb::rng::Generator;
use klimb::world::{Vocabulary, World, WorldSettings};

const REVIEWS: usize = 5000;
const SALADS: usize = 1500;

fn main() {
    let world = World::new(WorldSettings::default()).expect("the default settings are valid");
    let vocabulary = world.vocabulary();
    let mut generator = Generator::new(0, "sentiment texts");
    for _ in 0..REVIEWS {
        println!("{}", vocabulary.text(&world.review(&mut generator).tokens));
    }
    // Half of the salads draw from the words that rules are about, which a uniform draw would seldom bring together. "stunning"
    // before "but" is halved to the very valence of "fine", which the package then mistakes for it.
    let telling: Vec<u32> = (vocabulary.encode(
        "but , . ? this never not very really extremely slightly somewhat good bad superb hated loved dull stunning fine film the",
    ))
    .tokens;
    let all: Vec<u32> = (Vocabulary::FIRST_WORD..vocabulary.len() as u32).collect();
    for salad in 0..SALADS {
        let words = if salad % 2 == 0 { &telling } else { &all };
        let length = 1 + generator.below(16);
        let tokens: Vec<u32> = (0..length).map(|_| words[generator.below(words.len())]).collect();
        println!("{}", vocabulary.text(&tokens));
    }
}
