"""Trigrams of the sentences that the model is for, by absolute discounting (Ney, Essen & Kneser, "On structuring probabilistic
dependences in stochastic language modelling", 1994).

Sentences of random words are left out; what is seen less than `LEAST` times is left to shorter histories, so that the file stays small
and no name is expected behind another.
"""

import collections
import math
import random

from sentences import cards, command, digits, name, number, vocabulary

COUNT, SEED, LEAST, DISCOUNT = 300_000, 5, 12, 0.7
ORDER = 3
# What may follow anything although no sentence has it so.
OTHERS = 0.2


def said():
    rng = random.Random(SEED)
    makers, weights = zip((digits, 0.20), (number, 0.08), (command, 0.25), (cards, 0.09), (name, 0.22))
    for _ in range(COUNT):
        yield ["<s>", *rng.choices(makers, weights)[0](rng).split(), "</s>"]


def counted():
    """How often each sequence of up to `ORDER` words is said; words of the vocabulary at least once."""
    counts = [collections.Counter() for _ in range(ORDER)]
    for words in said():
        for order in range(ORDER):
            counts[order].update(tuple(words[at : at + order + 1]) for at in range(len(words) - order))
    for word in vocabulary():
        counts[0][(word,)] += 1
    del counts[0][("<s>",)]
    return [counts[0], *({gram: count for gram, count in longer.items() if count >= LEAST} for longer in counts[1:])]


def estimated(counts):
    """Natural logs: probabilities by sequence, and backoff weights by history."""
    total = sum(counts[0].values())
    probabilities = {gram: count / total for gram, count in counts[0].items()}
    backoffs = {}
    for order in range(1, ORDER):
        followers = collections.defaultdict(list)
        for gram, count in counts[order].items():
            followers[gram[:-1]].append((gram, count))
        for history, grams in followers.items():
            # Of the history with whatever follows, what was too rare included.
            seen = counts[order - 1].get(history, 0) if history != ("<s>",) else COUNT
            seen = max(seen, sum(count for _, count in grams))
            shares = {gram: (1 - OTHERS) * (count - DISCOUNT) / seen for gram, count in grams}
            shorter = sum(lower(probabilities, backoffs, gram[1:]) for gram, _ in grams)
            backoffs[history] = max(1 - sum(shares.values()), 1e-6) / max(1 - shorter, 1e-6)
            probabilities.update(shares)
    return probabilities, backoffs


def lower(probabilities, backoffs, gram):
    if gram in probabilities:
        return probabilities[gram]
    return backoffs.get(gram[:-1], 1.0) * lower(probabilities, backoffs, gram[1:])


def write(path):
    """Writes the model in ARPA format."""
    probabilities, backoffs = estimated(counted())
    probabilities[("<s>",)] = 1e-99
    by_order = [sorted(gram for gram in probabilities if len(gram) == order + 1) for order in range(ORDER)]
    with open(path, "w", encoding="utf-8") as out:
        out.write("\\data\\\n" + "".join(f"ngram {order + 1}={len(grams)}\n" for order, grams in enumerate(by_order)))
        for order, grams in enumerate(by_order):
            out.write(f"\n\\{order + 1}-grams:\n")
            for gram in grams:
                backoff = f"\t{math.log10(backoffs[gram]):.2f}" if gram in backoffs else ""
                out.write(f"{max(math.log10(probabilities[gram]), -99):.2f}\t{' '.join(gram)}{backoff}\n")
        out.write("\n\\end\\\n")

