"""The data report in words."""

from __future__ import annotations

from typing import Any

from vlrb_plugins.data_report.figures import DataReport


def summary(report: DataReport) -> list[str]:
    """Return the report's figures in sentences, as the terminal shows them."""
    return list(facts(report).values())


def facts(report: DataReport, *, names: bool = True) -> dict[str, str]:
    """Return topic -> a sentence on it; a topic of which the benchmark holds nothing is left out.

    :param names: list the models whose answers could not be judged
    """
    tokens = f"{report.total_tokens:,}" if report.total_tokens is not None else "an unknown number of"
    leak = report.leak
    said = {
        "size": f"{report.samples:,} samples, {report.pairs:,} pairs, {tokens} tokens "
        f"(input counted once per sample; counter {report.token_counter}), fingerprint {report.fingerprint[:12]}",
        "agreement": _agreement(report),
        "judges": _judges(report, names),
        "guessing": _guessing(report),
        "leak": f"{leak.test_samples_with_a_relative_in_train:,} of the {leak.test_samples:,} test questions of the paper's split "
        f"share an image or a group with a train question ({leak.groups:,} groups in all)",
    }
    return {topic: sentence for topic, sentence in said.items() if sentence}


def _agreement(report: DataReport) -> str:
    agreement = report.agreement
    if not agreement.stored:
        return ""
    share = f"{100 * agreement.agreeing / agreement.decided:.2f} %" if agreement.decided else "none"
    return (
        f"our own scoring decides {agreement.decided:,} of {agreement.stored:,} answers that the logs judge, and "
        f"agrees on {share} of these: {agreement.only_stored:,} are right in the logs only, "
        f"{agreement.only_scored:,} in our scoring only"
    )


def _judges(report: DataReport, names: bool) -> str:
    failed = {m.name: m.failed_judges for m in report.models if m.failed_judges}
    if not failed:
        return ""
    whose = ": " + ", ".join(f"{count:,} of {name}" for name, count in failed.items()) if names else ""
    return f"the judge of the logs failed on {sum(failed.values()):,} answers, which it gives no verdict on{whose}"


def _guessing(report: DataReport) -> str:
    guessing = report.guessing
    if not guessing:
        return ""
    return (
        f"of {guessing.questions:,} multiple-choice questions {100 * guessing.oracle:.2f} % are answered right by some model; "
        f"if all models guessed, it would be {100 * guessing.guessing_oracle:.2f} %; "
        f"{guessing.solved_by_one:,} are answered right by one model only"
    )


def shown(value: Any, form: str = "") -> str:
    """Return a value as text: ``%`` for shares, ``-`` for what is not known."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if form == "%":
        return f"{100 * value:.2f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
