"""Reference values of metrics: writes tests/goldens/metrics/*.json.

    pip install sacrebleu rouge_score scikit-learn torchmetrics nltk
    python tests/goldens/make_metric_goldens.py [DIR] [--seed N]

texts.json: pairs of texts with the scores of each pair and of groups of pairs:
  rouge: precision, recall and F1 of rouge1, rouge2 and rougeL, with and without the stemmer
  bleu, sentence_bleu, chrf: sacrebleu with its defaults; sentence_bleu with effective_order
  squad: exact match and F1 of torchmetrics' port of SQuAD's script
stems.json: words with their stems (NLTK's Porter stemmer)
summaries.json: texts of several lines with precision, recall and F1 of rougeLsum, with and
  without the stemmer
classes.json: expected and predicted classes with scikit-learn's scores
"""

import argparse
import json
import random
import re
import string
from pathlib import Path

from nltk.stem.porter import PorterStemmer
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
)
from torchmetrics.functional.text.squad import (
    _compute_exact_match_score,
    _compute_f1_score,
    _normalize_text,
)

ROUGES = ["rouge1", "rouge2", "rougeL"]

WORDS = """the a an of to and in is that it was for on are as with his they at be this from have or by
one had not but what all were when we there can your which their said if do will each about how up
out them then she many some so these would other into has more her two like him see time could no
make than first been its who now people my made over did down only way find use may water long little
very after words called just where most know relational conditional rational valence hesitance
digitizer conformable radically differently vilely analogously vietnamization predication operator
feudalism decisiveness hopefulness callousness formality sensitivity sensibility triplicate formative
formalize electricity electrical goodness revival allowance inference airliner gyroscopic adjustable
defensible irritant replacement adjustment dependent adoption homologous communism activate angularity
effective bowdlerize probate rate cease controlling rolling skies dying lying tying news innings
outings cannings howe proceed exceed succeed caresses ponies ties caress cats feed agreed plastered
bled motoring sing conflated troubled sized hopping tanned falling hissing fizzed failing filing happy
sky enjoy enjoyment spies flies died geology geological analogies fully beautifully generally rally
oed ing ied eed yyyy syzygy""".split()  # noqa: SIM905

ODD = [
    "", " ", "\n", "\t \x1c\x1f", "a", "the", "A.", "...", "!?", "the a an", "-", "a-b", "3-4",
    "1,234.56", "$5.00", "50%", "don't", "it's", "&quot;quoted&quot; &amp; &lt;b&gt;", "<skipped>",
    "end-\nof line", "naïve café", "Straße", "İstanbul", "ΟΔΟΣ", "日本語 の テキスト", "一 二 三",
    "a\u0301 b", "the\u0301 cat", "a\u200bb", "\u00a0 x \u3000 y", "👍🏽 ok 👩‍👩‍👧", "e\u0301clair",
    "a_b the_c", "ａ ｔｈｅ", "\u212a", "x\u0000y", "ﬁne", "١٢٣", "a\u0903", "¼ cup", "…", "“quoted”",
    "snake_case.method(arg)", "fn main() { println!(\"hi\"); }", "http://example.com/a?b=1&c=2",
    "a.b,c", "1.2.3", ".5", "5.", "e.g. this, that", "U.S.A.", "\\", "{|}~", "[x]", "x" * 300,
]


def sentence(rng):
    words = [rng.choice(WORDS) for _ in range(rng.randint(1, 14))]
    text = " ".join(words)
    if rng.random() < 0.3:
        text = text.capitalize() + rng.choice([".", "!", "?", " ...", ";"])
    if rng.random() < 0.15:
        text += " " + rng.choice(ODD)
    return text


def changed(rng, text):
    words = text.split(" ")
    for _ in range(rng.randint(0, 4)):
        place = rng.randrange(len(words))
        action = rng.random()
        if action < 0.3:
            words[place] = rng.choice(WORDS)
        elif action < 0.5 and len(words) > 1:
            del words[place]
        elif action < 0.7:
            words.insert(place, words[place])
        elif action < 0.85:
            other = rng.randrange(len(words))
            words[place], words[other] = words[other], words[place]
        else:
            words[place] = words[place].upper() + ","
    return " ".join(words)


def noise(rng):
    pools = [string.printable, "ab ", "a\u0301the ", "äöüß éñ", "日本語 ", ".,-0123456789 ",
             "\x1c\x1d\u00a0\u2003 ab", "&;ltgquoamp <>"]
    pool = rng.choice(pools)
    return "".join(rng.choice(pool) for _ in range(rng.randint(0, 60)))


def pairs(rng):
    made = [(one, other) for one in ODD for other in rng.sample(ODD, 3)]
    made += [(one, one) for one in ODD]
    for _ in range(250):
        gold = sentence(rng)
        made.append((changed(rng, gold), gold))
    for _ in range(100):
        gold = noise(rng)
        made.append((rng.choice([gold, noise(rng), gold[::2]]), gold))
    for length in (1000, 3000):
        words = [rng.choice(WORDS) for _ in range(length)]
        made.append((" ".join(words[::2]), " ".join(words)))
    return made


def rouge(prediction, gold, stemmer):
    scores = rouge_scorer.RougeScorer(ROUGES, use_stemmer=stemmer).score(gold, prediction)
    return [[s.precision, s.recall, s.fmeasure] for s in (scores[name] for name in ROUGES)]


def texts(rng):
    made = pairs(rng)
    sentence_bleu, bleu, chrf = BLEU(effective_order=True), BLEU(), CHRF()
    rows = []
    for prediction, gold in made:
        rows.append({
            "prediction": prediction,
            "gold": gold,
            "rouge": rouge(prediction, gold, False),
            "rouge_stemmed": rouge(prediction, gold, True),
            "bleu": bleu.corpus_score([prediction], [[gold]]).score,
            "sentence_bleu": sentence_bleu.sentence_score(prediction, [gold]).score,
            "chrf": chrf.corpus_score([prediction], [[gold]]).score,
            "normalized": _normalize_text(gold),
            "exact_match": float(_compute_exact_match_score(prediction, gold)),
            "token_f1": float(_compute_f1_score(prediction, gold)),
        })
    groups = []
    order = list(range(len(made)))
    rng.shuffle(order)
    for size in (1, 2, 3, 5, 10, 20, 50, 100, 200):
        members = order[:size]
        order = order[size:] + members
        hypotheses = [made[index][0] for index in members]
        references = [[made[index][1] for index in members]]
        groups.append({
            "members": members,
            "bleu": bleu.corpus_score(hypotheses, references).score,
            "chrf": chrf.corpus_score(hypotheses, references).score,
        })
    return {"pairs": rows, "groups": groups}


def summaries(rng):
    rows = []
    texts = [(one, other) for one in ODD[:24] for other in rng.sample(ODD, 2)]
    for _ in range(150):
        gold = "\n".join(sentence(rng) for _ in range(rng.randint(1, 6)))
        lines = [changed(rng, line) for line in gold.split("\n")]
        if rng.random() < 0.5:
            rng.shuffle(lines)
        if rng.random() < 0.3:
            lines.insert(rng.randrange(len(lines) + 1), rng.choice(["", " ", sentence(rng)]))
        texts.append((rng.choice(["\n", "\n\n", " "]).join(lines), gold))
    few = ["a", "b", "c", "d"]
    for _ in range(100):
        line = lambda: " ".join(rng.choice(few) for _ in range(rng.randint(0, 40)))  # noqa: E731
        texts.append(tuple("\n".join(line() for _ in range(rng.randint(1, 4))) for _ in range(2)))
    for prediction, gold in texts:
        row = {"prediction": prediction, "gold": gold}
        for name, stemmer in [("rouge_lsum", False), ("rouge_lsum_stemmed", True)]:
            scorer = rouge_scorer.RougeScorer(["rougeLsum"], use_stemmer=stemmer)
            score = scorer.score(gold, prediction)["rougeLsum"]
            row[name] = [score.precision, score.recall, score.fmeasure]
        rows.append(row)
    return rows


def stems(rng):
    words = set(WORDS)
    endings = """s es ies ed ing ied eed ational tional enci anci izer bli abli alli entli eli ousli
        ization ation ator alism iveness fulness ousness aliti iviti biliti fulli logi icate ative
        alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion ou ism ate iti
        ous ive ize y e ll ly""".split()  # noqa: SIM905
    letters = "abcdefghilmnoprstuvwxyz"
    for _ in range(3000):
        root = "".join(rng.choice(letters) for _ in range(rng.randint(0, 6)))
        words.add(root + "".join(rng.choice(endings) for _ in range(rng.randint(0, 2))))
    words |= {"yyyyyyyy", "1st", "2ndly", "100s", "b2bing"}
    words = sorted(word for word in words if re.fullmatch("[a-z0-9]+", word))
    stemmer = PorterStemmer()
    return [[word, stemmer.stem(word)] for word in words]


def classes(rng):
    cases = []
    for labels, size in [(1, 3), (2, 1), (2, 40), (3, 17), (5, 200), (10, 25), (4, 60)]:
        skew = rng.random()
        expected = [rng.randrange(labels) if rng.random() < skew else 0 for _ in range(size)]
        predicted = [value if rng.random() < 0.6 else rng.randrange(labels) for value in expected]
        case = {"labels": labels, "expected": expected, "predicted": predicted}
        case["accuracy"] = accuracy_score(expected, predicted)
        case["matrix"] = confusion_matrix(expected, predicted, labels=range(labels)).tolist()
        for average in ("macro", "weighted"):
            scores = precision_recall_fscore_support(
                expected, predicted, average=average, zero_division=0
            )
            case[average] = [float(value) for value in scores[:3]]
        each = precision_recall_fscore_support(
            expected, predicted, labels=range(labels), average=None, zero_division=0
        )
        case["each"] = [[float(part[label]) for part in each] for label in range(labels)]
        cases.append(case)
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("directory", nargs="?", default=Path(__file__).parent / "metrics")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    folder = Path(arguments.directory)
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in [
        ("texts", texts), ("stems", stems), ("classes", classes), ("summaries", summaries),
    ]:
        text = json.dumps(make(rng), ensure_ascii=True, separators=(",", ":"))
        (folder / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
