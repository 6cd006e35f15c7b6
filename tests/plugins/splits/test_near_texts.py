"""Texts that are nearly the same, against comparing each with each."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from vlrb_plugins.splits import near_texts
from vlrb_plugins.splits.near_texts import near_pairs

WORDS = [f"w{i}" for i in range(400)]


def threes(text: str) -> set[tuple[str, ...]]:
    """Return the runs of three words; a shorter text is one run."""
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + 3]) for i in range(max(1, len(words) - 2))} if words else set()


def jaccard(one: str, other: str) -> float:
    a, b = threes(one), threes(other)
    return len(a & b) / len(a | b) if a | b else 0.0


def groups(n: int, pairs: list[tuple[int, int]]) -> list[int]:
    """Return the least member of every text's group."""
    found = list(range(n))
    for i, j in pairs:
        low, high = sorted((found[i], found[j]))
        found = [low if g == high else g for g in found]
    return found


def varied(seed: int) -> list[str]:
    """Return 60 texts of 2 to 30 words: some new, some an earlier one with a few words changed."""
    rng = random.Random(seed)
    texts: list[str] = []
    for _ in range(60):
        words = rng.choice(texts).split() if texts and rng.random() < 0.6 else rng.choices(WORDS, k=rng.randint(2, 30))
        for _ in range(rng.choice((0, 0, 1, 2))):
            words[rng.randrange(len(words))] = rng.choice(WORDS)
        texts.append(" ".join(words))
    rng.shuffle(texts)
    return texts


@pytest.mark.parametrize("least", [0.7, 0.9, 1.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_groups_are_those_of_comparing_each_with_each(seed: int, least: float) -> None:
    """No pair that is less alike comes out, and all that belong together are joined."""
    texts = varied(seed)
    found = list(near_pairs(texts, least))
    every = [(i, j) for i, j in itertools.combinations(range(60), 2) if jaccard(texts[i], texts[j]) >= least]

    assert all(jaccard(texts[i], texts[j]) >= least for i, j in found)
    assert groups(60, found) == groups(60, every)
    assert every


def test_few_texts_are_compared() -> None:
    """Among 500 unlike texts hardly a pair is looked at: the work grows with the texts, not with their pairs."""
    rng = random.Random(0)
    texts = [" ".join(rng.choices(WORDS, k=20)) for _ in range(500)]
    looked: list[float] = []
    original = near_texts.similarity
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_texts, "similarity", lambda *sets: looked.append(0.0) or original(*sets))
        assert list(near_pairs(texts, 0.5)) == []
    assert len(looked) < 50


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("a b c d", "a b c d", 1.0),
        ("A b, C d!", "a b c d", 1.0),
        ("a b c d e", "a b c d f", 0.5),
        ("a b c d", "d c b a", 0.0),
        ("a b", "a b", 1.0),
        ("a b", "b a", 0.0),
        ("a", "a", 1.0),
        ("a b c", "a b", 0.0),
    ],
)
def test_likeness_is_that_of_words_in_threes(one: str, other: str, alike: float) -> None:
    """At the likeness itself a pair is found, just above it is not; case and punctuation do not count, order does."""
    assert set(near_pairs([one, other], alike or 1e-9)) == ({(0, 1)} if alike else set())
    assert list(near_pairs([one, other], alike + 1e-6)) == []


def test_texts_without_words_are_near_nothing() -> None:
    """Not even each other: they say nothing that could be the same."""
    assert list(near_pairs(["", "?!", "...", "", "a b c"], 0.1)) == []
    assert near_texts.similarity(frozenset(), frozenset()) == 0
    assert near_texts.similarity(frozenset({1, 2}), frozenset({2, 3, 4})) == 0.25


@pytest.mark.parametrize("end", ["b", "b c"])
def test_a_short_text_is_one_run_of_words(end: str) -> None:
    """Texts of up to three words are the same or are not: a shared ending makes none of them alike."""
    assert list(near_pairs([f"{word} {end}" for word in WORDS[:60]], 1e-9)) == []
