"""Promises of scorers and token counters."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import attrs
import numpy as np
import pyarrow as pa

from vlrb.api.frozen import Array, sealed
from vlrb.api.logs import Case, Part, Rotation, Score, WithModelTokens
from vlrb.api.records import Model
from vlrb.api.returned import checked_verdicts, plain_array
from vlrb.api.schemas import OUTCOMES, OUTCOMES_OPTIONAL, SAMPLES, SAMPLES_OPTIONAL
from vlrb.benchmark.checks import token_column
from vlrb.testing.common import ODD_TEXTS, add_calm, add_rowwise, refuse_other
from vlrb.testing.promises import NotPromised, Subject, Table, breach

OPTIONS = (("A", "red"), ("B", "blue"), ("C", "green"), ("D", "none of these"))
GOLDS = ("A", "B", "yes", "no", "12", "3.5", "Paris", '["12", "twelve"]')
ANSWERS = ("A", "The answer is B.", "Yes", "no.", "12", "about 3.4", "paris", "I cannot tell")


def case(i: int, gold: str, answer: str, **more: Any) -> Case:
    """Return a case; golds that are letters have options."""
    options = OPTIONS if gold in "ABCD" and gold else ()
    fields = {"category": "colour", "answer_type": "text", "question_type": "multi_choice" if options else "free_form"}
    rotations = (Rotation(OPTIONS, gold, answer),) if options else ()
    return Case(f"D/{i}", "Which is it?", options, gold, answer, **{"fields": fields, "rotations": rotations, **more})


@attrs.define(eq=False, slots=False)
class ScorerSubject(Subject):
    """A scorer, and cases of several forms."""

    @cached_property
    def scorer(self) -> Any:
        """Return the scorer, made once."""
        return self.make("score")

    @cached_property
    def cases(self) -> list[Case]:
        """Return every gold answer with every answer."""
        pairs = [(g, a) for g in GOLDS for a in ANSWERS]
        return [case(i, g, a, judged={} if i % 2 else {"res": a, "extract": a}) for i, (g, a) in enumerate(pairs)]

    @property
    def count(self) -> int:
        """Return the number of cases."""
        return len(self.cases)

    def scores(self, cases: Sequence[Case]) -> list[Score]:
        """Return checked scores."""
        return checked_verdicts(self.scorer.score(cases), [c.id for c in cases], self.who)

    def of_rows(self, rows: Array) -> dict[str, Any]:
        """Return what some cases get."""
        scores = list(self.scorer.score([self.cases[i] for i in rows.tolist()]))
        return {"the score": [(s.value, s.reason, s.unscorable) for s in scores]}

    def work(self) -> None:
        """Score."""
        list(self.scorer.score(self.cases))


SCORER = Table("scorer", partial(ScorerSubject.of, "scorer"))


@SCORER.promise("return a Score per case: a value from 0 to 1, or None with a reason where the rules cannot decide")
def valid_scores(scorer: ScorerSubject) -> None:
    """``score`` returns a score for each case, from 0 to 1, or None where its rules cannot decide."""
    scorer.scores(scorer.cases)


@SCORER.promise("give every Score(None) a reason: it is counted and shown by it")
def reasons_given(scorer: ScorerSubject) -> None:
    """A score without a value has a reason."""
    for each, score in zip(scorer.cases, scorer.scorer.score(scorer.cases), strict=False):
        if score.value is None and not score.reason:
            breach(f"answer {each.prediction!r} to gold {each.answer!r} has neither value nor reason")


@SCORER.promise("leave nothing to chance, time, or the process")
def same_verdicts_every_time(scorer: ScorerSubject) -> None:
    """Two scorers with the same parameters give the same scores."""
    rows = np.arange(scorer.count)
    other = attrs.evolve(scorer)
    refuse_other(scorer.of_rows(rows), other.of_rows(rows), "from another scorer", row="case")


add_rowwise(SCORER, "case", "score each case by itself")


@SCORER.promise("return an empty list for no cases")
def no_cases(scorer: ScorerSubject) -> None:
    """No cases give no scores."""
    scorer.scores([])


@SCORER.promise(
    "expect empty answers, and samples without gold answer, options or further columns: Score(None, reason)"
)
def missing_answers(scorer: ScorerSubject) -> None:
    """Empty answers, and samples without a gold answer, options or further columns, raise no error."""
    golds, answers = ("", "A", "yes", "12"), ("", "A", "yes", "12")
    bare = [Case(f"D/{g}{a}", "", (), g, a) for g in golds for a in answers]
    scorer.scores([*bare, *(case(i, "A", "", rotations=(Rotation(OPTIONS, "A", None),)) for i in range(2))])


@SCORER.promise("expect any text as an answer, however long; where it cannot be judged, return Score(None, reason)")
def any_answer(scorer: ScorerSubject) -> None:
    """Long answers, other scripts, control characters and broken markup raise no error."""
    scorer.scores([case(i, g, t) for i, (g, t) in enumerate((g, t) for g in GOLDS for t in ODD_TEXTS)])


@SCORER.promise("compare the answer with the gold answer: one that repeats it is right, if any is")
def gold_scores_best(scorer: ScorerSubject) -> None:
    """An answer that is the gold answer gets no less than one that is another option, number or word."""
    for gold, other in (("A", "B"), ("yes", "no"), ("12", "97"), ("Paris", "zebra")):
        right, wrong = (scorer.scorer.score([case(0, gold, answer)])[0].value for answer in (gold, other))
        if right is not None and wrong is not None and right < wrong:
            breach(f"to the gold answer {gold!r}, the answer {gold!r} gets {right}, and {other!r} gets {wrong}")


add_calm(SCORER, "scoring")


@attrs.define(eq=False, slots=False)
class CounterSubject(Subject):
    """A token counter, and rows of samples and outcomes as log sources stream them."""

    count = 12

    @cached_property
    def counter(self) -> Any:
        """Return the counter, made once."""
        return self.make("sample_tokens", "outcome_tokens")

    def samples(self, texts: Sequence[str]) -> pa.RecordBatch:
        """Return samples with these questions."""
        rows = [{"dataset": "D", "key": str(i), "question": t, "answer": "A"} for i, t in enumerate(texts)]
        return pa.RecordBatch.from_pylist(rows, schema=pa.schema([*SAMPLES, *SAMPLES_OPTIONAL]))

    def outcomes(self, texts: Sequence[str | None], known: bool = True) -> pa.RecordBatch:
        """Return outcomes with these answers; ``known``: the logs say how many tokens there were."""
        tokens = {"input_tokens": 40, "output_tokens": 7} if known else {"cost": 0.001}
        rows = [{"dataset": "D", "key": str(i), "prediction": t, "model": "m", **tokens} for i, t in enumerate(texts)]
        return pa.RecordBatch.from_pylist(rows, schema=pa.schema([*OUTCOMES, *OUTCOMES_OPTIONAL]))

    @cached_property
    def texts(self) -> list[str]:
        """Return questions that are also answers, of different lengths."""
        return [" ".join(["word"] * (3 * i + 1)) for i in range(self.count)]

    def of_texts(
        self, samples: pa.RecordBatch, outcomes: pa.RecordBatch, images: Array | None = None
    ) -> dict[str, Any]:
        """Return what the counter says of samples and outcomes, as it says it."""
        counts = np.ones(samples.num_rows, np.int64) if images is None else images
        inputs, outputs = self.counter.outcome_tokens(outcomes)
        return {"samples": self.counter.sample_tokens(samples, sealed(counts)), "inputs": inputs, "outputs": outputs}

    def checked(self, samples: pa.RecordBatch, outcomes: pa.RecordBatch) -> dict[str, Any]:
        """Return the same, where all of it is valid."""
        found = self.of_texts(samples, outcomes)
        part = Part("made up", "outcomes", ())
        columns = {name: token_column(tokens, samples.num_rows, part, self.who) for name, tokens in found.items()}
        if found["outputs"] is None:
            breach("outcome_tokens gave None for the output tokens")
        return columns

    def of_rows(self, rows: Array) -> dict[str, Any]:
        """Return the counts of some rows."""
        texts = [self.texts[i] for i in rows.tolist()]
        found = self.of_texts(self.samples(texts), self.outcomes(texts))
        return {k: pa.array(v).to_pylist() for k, v in found.items() if v is not None}

    def work(self) -> None:
        """Count."""
        self.of_rows(np.arange(self.count))


COUNTER = Table("token counter", partial(CounterSubject.of, "token-counter"))


@COUNTER.promise("return int64[n], a count of at least 0 per row; nulls only in an Arrow array")
def valid_counts(counter: CounterSubject) -> None:
    """The counts are integers of at least 0, one per row."""
    counter.checked(counter.samples(counter.texts), counter.outcomes(counter.texts))


@COUNTER.promise("give input tokens by sample_tokens, or by outcome_tokens, and None by the other")
def inputs_counted_once(counter: CounterSubject) -> None:
    """Either ``sample_tokens`` or ``outcome_tokens`` gives the input tokens, and the other gives None."""
    found = counter.of_texts(counter.samples(counter.texts), counter.outcomes(counter.texts))
    if (found["samples"] is None) == (found["inputs"] is None):
        breach("neither gives them" if found["samples"] is None else "both give them")


@COUNTER.promise("leave nothing to chance, time, or the process")
def same_counts_every_time(counter: CounterSubject) -> None:
    """Two counters with the same parameters count the same."""
    rows = np.arange(counter.count)
    refuse_other(counter.of_rows(rows), attrs.evolve(counter).of_rows(rows), "from another counter", row="row")


add_rowwise(COUNTER, "row", "count each row by itself")


@COUNTER.promise(
    "expect nulls in every column but dataset and key; return a null, in an Arrow array, for what is unknown"
)
def missing_columns(counter: CounterSubject) -> None:
    """Answers, hints, options and counts that the logs do not have raise no error."""
    answers = [None if i % 2 else t for i, t in enumerate(counter.texts)]
    counter.checked(counter.samples(counter.texts), counter.outcomes(answers, known=False))


@COUNTER.promise("expect any text that UTF-8 can write, of any length")
def any_text_counted(counter: CounterSubject) -> None:
    """Long texts, other scripts and control characters raise no error."""
    counter.checked(counter.samples(ODD_TEXTS), counter.outcomes(ODD_TEXTS))


@COUNTER.promise("expect samples with no image and with several")
def any_number_of_images(counter: CounterSubject) -> None:
    """Samples without images, and with several, raise no error; more images never count fewer tokens."""
    samples, outcomes = counter.samples(counter.texts), counter.outcomes(counter.texts)
    found = [counter.of_texts(samples, outcomes, np.full(counter.count, n))["samples"] for n in (0, 1, 5)]
    for fewer, more in itertools.pairwise(found):
        if fewer is not None and (np.asarray(more) < np.asarray(fewer)).any():
            breach("a sample has fewer tokens with more images")


@COUNTER.promise("return int64[n] from model_tokens, for any model, None included, and any sizes")
def model_tokens_valid(counter: CounterSubject) -> None:
    """``model_tokens`` counts for every model, or says by a DataError which it cannot count for."""
    made = counter.counter
    if not (isinstance(made, WithModelTokens) and made.per_model):
        raise NotPromised("its tokens do not depend on the model")
    sizes = [((640, 480),), (), ((1, 1), (3000, 20))]
    for name, model in (("m", Model(name="m", input_price_per_million=1.0)), ("unknown", None)):
        counts = plain_array(made.model_tokens(name, model, sizes), "what model_tokens returned", counter.who)
        if counts.shape != (3,) or counts.dtype.kind not in "iu" or (counts < 0).any():
            breach(f"model_tokens returned {counts!r} for three samples of {name!r}")


add_calm(COUNTER, "counting")
