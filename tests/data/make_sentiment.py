"""Writes the sentiment test data from the published package.

    pip install vaderSentiment==3.3.2
    cargo run --example sentiment_texts | python tests/data/make_sentiment.py

sentiment_reviews.tsv: compound and text of each line of standard input.
sentiment_rules.json: another word list, with the words that VADER's rarer rules are about, and texts of them.
"""

import json
import pathlib
import random
import sys

from vaderSentiment import vaderSentiment as vader

HERE = pathlib.Path(__file__).parent
analyser = vader.SentimentIntensityAnalyzer()


def compound(text):
    return analyser.polarity_scores(text)["compound"]


def has_no_effect(word):
    return word not in analyser.lexicon and word not in vader.BOOSTER_DICT and word not in vader.NEGATE


with open(HERE / "sentiment_reviews.tsv", "w") as file:
    for line in sys.stdin:
        text = line.rstrip("\n")
        file.write(f"{compound(text)}\t{text}\n")

klimb = json.loads((HERE / "../../crates/klimb-world/src/gold/lexicon.json").read_text())
loud = [word for word in klimb["neutral"] if not has_no_effect(word)]
assert not loud, f"not neutral in VADER: {loud}"
for word, valence in klimb["valences"].items():
    assert analyser.lexicon[word] == valence, word

words = """amazing hope disaster excellent mess worst best kind bomb die ass yeah death heart no bad doubt
so more hardly kinda quite without none neither isn't rarely at very least or nor of this the to for kiss bus stop right
beating sort just enough but but film scene ! ? . ,""".split()
neutral = sorted({word for word in words if has_no_effect(word) and word.isalpha()} - {"but"})
rules = {
    "valences": {word: analyser.lexicon[word] for word in sorted(set(words)) if word in analyser.lexicon and word.isalpha()},
    "boosters": {word: vader.BOOSTER_DICT[word] for word in sorted(set(words)) if word in vader.BOOSTER_DICT},
    "negations": sorted({word for word in words if word in vader.NEGATE}),
    "neutral": neutral,
}
chance = random.Random(0)
phrases = words + ["never so", "never this", "without doubt", "at least", "kind of", "sort of", "just enough",
                   "the bomb", "to die for", "kiss of death", "bad ass", "bus stop", "yeah right", "beating heart"]
rules["negations"] = sorted(set(rules["negations"]) | {"never"})
texts = [" ".join(chance.choice(phrases) for _ in range(chance.randint(1, 12))) for _ in range(2000)]
rules["examples"] = [{"text": text, "compound": compound(text)} for text in texts]
(HERE / "sentiment_rules.json").write_text(json.dumps(rules, indent=0) + "\n")
