"""The data report in words, as terminal and page show it."""

from __future__ import annotations

from typing import Any

from vlrb_plugins.data_report.figures import DataReport


def summary(report: DataReport) -> list[str]:
    """Return the report's figures in sentences, as terminal and page show them."""
    tokens = f"{report.total_tokens:,}" if report.total_tokens is not None else "an unknown number of"
    lines = [
        f"{report.samples:,} samples, {report.pairs:,} pairs, {tokens} tokens "
        f"(input counted once per sample; counter {report.token_counter}), fingerprint {report.fingerprint[:12]}",
    ]
    agreement = report.agreement
    if agreement.stored:
        share = f"{100 * agreement.agreeing / agreement.decided:.2f} %" if agreement.decided else "none"
        lines.append(
            f"our own scoring decides {agreement.decided:,} of {agreement.stored:,} answers that the logs judge, and "
            f"agrees on {share} of these: {agreement.only_stored:,} are right in the logs only, "
            f"{agreement.only_scored:,} in our scoring only"
        )
    failed = {m.name: m.failed_judges for m in report.models if m.failed_judges}
    if failed:
        whose = ", ".join(f"{count:,} of {name}" for name, count in failed.items())
        lines.append(
            f"the judge of the logs failed on {sum(failed.values()):,} answers, which it gives no verdict on: {whose}"
        )
    guessing = report.guessing
    if guessing:
        lines.append(
            f"of {guessing.questions:,} multiple-choice questions {100 * guessing.oracle:.2f} % are answered right "
            f"by some model; "
            f"if all models guessed, it would be {100 * guessing.guessing_oracle:.2f} %; "
            f"{guessing.solved_by_one:,} are answered right by one model only"
        )
    leak = report.leak
    lines.append(
        f"{leak.test_samples_with_a_relative_in_train:,} of the {leak.test_samples:,} test questions of the paper's split "
        f"share an image or a group with a train question ({leak.groups:,} groups in all)"
    )
    return lines


def shown(value: Any, form: str = "") -> str:
    """Return a value as text: ``%`` for shares, ``-`` for what is not known."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    if form == "%":
        return f"{100 * value:.2f}"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"
