"""The odd texts, numbers, bytes and lines that ``fuzz_changes.py`` puts into files."""

from __future__ import annotations

from typing import Any

TEXTS = (
    *("", " ", "nan", "None", "null", "-1", "0", "1", "1.0", "2", "True", "1e308", "1e999", "-0.0", "9" * 30, "9" * 5000),
    *("0x10", "1_000", "\u0661", "[", "[]", "[" * 5000, "['a'", "{[]}", "'" * 3, "(" * 300, "-" * 5000 + "1", "a/b", "../../x"),
    *("/dev/zero", "/dev/stdin", "a.png\0", "\0", "a\0b", "\x1b[31m", "\ud800", "\U0010ffff", "\u202e", "\ufeff", "e\u0301" * 50),
    *("A", "A" * 33_000, "<think>", "</think>" * 2000, "<think>" * 2000, "_x0000_", "_xD800_", "data:,"),
    "data:image/png;base64,AAAA",
    *("iVBORw0KGgo=", "=1+1", "#N/A", "|", "<script>", "con", ".", "..", "~", "${HOME}", "%00", "\r", "\n", "\t", "a" * 300),
    *("Failed to obtain answer via API.", "Charts", "large", "small", "$\\frac{1}{0}$", "1/0", "10**10**10", "2^2^2^99", "inf"),
)  # fmt: skip

NUMBERS: tuple[Any, ...] = (
    *(0, 1, -1, 2**31, 2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**12, 10**13, 10**30, 10**400),
    *(0.5, -0.0, 1e-320, 1e9, 1e10, 1e300, 1e308, float("inf"), float("-inf"), float("nan")),
)

SPLICES = (
    *(b"\0", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r", b"\n", b'"', b"\t", b",", b"[" * 3000, b"]", b"{", b"}", b"\x1b[2J"),
    *(b"9" * 5000, b"-", b"1e999", b"NaN", b"null", b"true", b"''", b"PK\x05\x06", b"PAR1", b"<", b"&x;", b"XFD1048576"),
    b"A" * 70000,
)  # fmt: skip

XML = (
    b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>', b'<c r="A0"><v>1</v></c>', b"<c><v>1</v></c>" * 2000,
    b"<row/>" * 100_000, b'<c r="XFD1"><v>1</v></c>', b'<c t="e"><v>#N/A</v></c>', b'<c t="s"><v>99999999</v></c>',
    b'<c t="b"><v>x</v></c>', b'<c t="d"><v>2020-99-99</v></c>', b'<c t="str"><v>&#0;</v></c>', b'<c><f>1+1</f></c>',
    b"<a>" * 50_000, b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>', b'<c r="A99999999999999999999"/>', b'<c r="' + b"Z" * 40 + b'1"/>',
    b'<c s="999999"><v>1</v></c>', b'<c t="inlineStr"><is><t>x</t></is></c>', b'<row r="-1">', b'<row r="x">', b'<row r="1e9">',
)  # fmt: skip

TOML_VALUES = (
    *("1e308", "-1", "0", "inf", "nan", "9" * 400, "true", "[]", "{}", "[[]]", "''", "1979-05-27T07:32:00Z"),
    *("07:32:00", "[1, 'a']"),
    *("[" * 400 + "]" * 400, "{a=" * 90 + "1" + "}" * 90, "0x" + "f" * 5000, "1e-400", "['a', 'a']", "9223372036854775807"),
    "{ a.b.c = 1 }",
)  # fmt: skip

TOML_LINES = (
    *("[[router]]\nuse = 'knn'", "[[metric]]\nuse = 'rank-score'\nbeta = {v}", "[features.default]\nencoders = {v}", "seeds = {v}"),
    *("[plugin.mlflow]\nuri = {v}", "[benchmark]\nmodels = {v}", "[benchmark]\ndatasets = {v}", "include = {v}", "plugins = {v}"),
    *("[[router]]\nuse = 'knn'\nsweep = {{ k = {v} }}", "[[router]]\nuse = {v}", "a.b.c.d = {v}", "[[model]]\nname = {v}"),
)  # fmt: skip

COLUMNS = ("is_correct", "image_path", "choices", "thinking", "category", "split", "eval_match", "id")
