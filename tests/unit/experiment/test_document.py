"""Strict structuring of experiment files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest
from attrs import validators
from hypothesis import given
from hypothesis import strategies as st

from vlrb.api.components import param
from vlrb.errors import ConfigError, Problem
from vlrb.experiment.document import LARGEST_FILE, Document, expanded, read_document
from vlrb.experiment.strict import restructure, structure, unstructure

DOCUMENT = Document(Path("/x/file.toml"), {}, {})


@attrs.frozen
class Inner:
    size: int = param(default=1, validator=validators.ge(1))


@attrs.frozen
class Everything:
    number: float = param(default=1.0)
    count: int = param(default=1)
    word: str = param(default="a")
    flag: bool = param(default=False)
    lambda_: float = param(default=0.5)
    kind: Literal["a", "b"] = param(default="a")
    maybe: int | None = param(default=None)
    either: float | Literal["auto"] = param(default="auto")
    many: tuple[int, ...] = param(default=())
    place: Path = param(default=Path("/y"))
    inner: Inner = param(default=Inner())


def structured(table: Any) -> tuple[Everything | None, list[Problem]]:
    problems: list[Problem] = []
    return structure(table, Everything, DOCUMENT, ("router", 0), problems), problems


def test_what_is_written_right_is_taken_as_it_stands() -> None:
    """An integer may stand for a float; a path is relative to the file; a trailing underscore is not written."""
    made, problems = structured(
        {
            "number": 3,
            "lambda": float("inf"),
            "many": [1, 2],
            "place": "logs",
            "either": 2,
            "inner": {"size": 4},
            "maybe": 7,
        }
    )

    assert not problems
    assert made == Everything(
        number=3.0, lambda_=float("inf"), many=(1, 2), place=Path("/x/logs"), either=2.0, inner=Inner(size=4), maybe=7
    )
    assert unstructure(made)["lambda"] == "inf"
    assert unstructure(made)["place"] == "/x/logs"


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"count": "5"}, "router[0].count: must be an integer, not '5'"),
        ({"count": 5.0}, "router[0].count: must be an integer, not 5.0"),
        ({"count": True}, "router[0].count: must be an integer, not True"),
        ({"flag": "false"}, "router[0].flag: must be true or false, not 'false'"),
        ({"flag": 0}, "router[0].flag: must be true or false, not 0"),
        ({"word": 3}, "router[0].word: must be a string, not 3"),
        ({"number": True}, "router[0].number: must be a number, not True"),
        ({"number": float("nan")}, "router[0].number: must be a number, not nan"),
        ({"many": "12"}, "router[0].many: must be a list, not '12'"),
        ({"many": [1, "2"]}, "router[0].many[1]: must be an integer, not '2'"),
        ({"kind": "A"}, "router[0].kind: must be 'a' or 'b', not 'A'"),
        ({"maybe": "x"}, "router[0].maybe: must be an integer, not 'x'"),
        ({"either": "automatic"}, "router[0].either: must be a number or 'auto'"),
        ({"inner": {"size": 0}}, "router[0].inner.size: must be >= 1, not 0"),
        ({"inner": {"sise": 1}}, "router[0].inner.sise: unknown key"),
        ({"inner": 3}, "router[0].inner: must be a table, not 3"),
        ({"lambda_": 1.0}, "router[0].lambda_: unknown key"),
        (5, "router[0]: must be a table, not 5"),
    ],
)
def test_nothing_is_coerced(table: Any, said: str) -> None:
    """Each wrong type or value is refused with its key path."""
    made, problems = structured(table)

    assert made is None
    assert said in str(problems[0])


def test_all_problems_of_a_table_are_found_at_once() -> None:
    """Types, ranges and unknown keys are reported together."""
    _, problems = structured({"count": "5", "inner": {"size": 0}, "wrod": "x", "kind": 3})

    assert len(problems) == 4
    assert any("did you mean 'word'" in p.fix for p in problems)


@attrs.frozen
class Renamed:
    """Parameters that had other names."""

    lambda_: float = param(default=0.0, was=("price", "lamda"))
    word: str = param(default="")


@pytest.mark.parametrize("old", ["price", "lamda"])
def test_a_former_name_is_told_the_new_one(old: str) -> None:
    """A key that was renamed is an error that names the new key, and what was saved under it is still read."""
    problems: list[Problem] = []

    assert structure({old: 1.0, "wrd": ""}, Renamed, DOCUMENT, ("router", 0), problems) is None
    assert [str(p).split(": ", 1)[1] for p in problems] == [
        f"router[0].{old}: is now called 'lambda'\n    fix: rename the key",
        "router[0].wrd: unknown key\n    fix: did you mean 'word'?",
    ]
    assert restructure({old: "inf", "word": "x"}, Renamed) == Renamed(lambda_=float("inf"), word="x")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from([f.name.removesuffix("_") for f in attrs.fields(Everything)]) | st.text(max_size=6), JSON
    )
)
def test_any_table_is_taken_or_refused_with_problems(table: dict[str, Any]) -> None:
    """No input raises; what is taken has the declared types."""
    made, problems = structured(table)

    assert (made is None) == bool(problems)
    if made is not None:
        assert type(made.count) is int
        assert type(made.number) is float
        assert type(made.flag) is bool


def test_an_include_that_includes_itself_is_refused(tmp_path: Path) -> None:
    """A circle of includes is an error, not a recursion."""
    (tmp_path / "a.toml").write_text('include = ["b.toml"]\n', encoding="utf-8")
    (tmp_path / "b.toml").write_text('include = ["a.toml"]\n', encoding="utf-8")

    with pytest.raises(ConfigError, match="includes itself"):
        read_document(tmp_path / "a.toml")


def test_origins_tell_which_file_a_key_stands_in(tmp_path: Path) -> None:
    """Tables of an included file come after the file's own, and keep their place."""
    (tmp_path / "a.toml").write_text('include = ["b.toml"]\n[[model]]\nname = "x"\n', encoding="utf-8")
    (tmp_path / "b.toml").write_text('[[model]]\nname = "y"\n[split]\nseed = 1\n', encoding="utf-8")
    document = read_document(tmp_path / "a.toml")

    assert [m["name"] for m in document.tree["model"]] == ["x", "y"]
    assert document.where(("model", 1, "name")) == f"{tmp_path / 'b.toml'}: model[1].name"
    assert document.where(("model", 0)) == f"{tmp_path / 'a.toml'}: model[0]"
    assert document.where(("split", "seed")) == f"{tmp_path / 'b.toml'}: split.seed"


TOO_MUCH = {
    "arrays": b"a = " + b"[" * 5000 + b"]" * 5000,
    "deep arrays that Python parses": b"a = " + b"[" * 200 + b"]" * 200,
    "inline tables": b"a = " + b"{a = " * 3000 + b"1" + b"}" * 3000,
    "a dotted key": b"a." * 100_000 + b"b = 1",
    "a quoted dotted key": b"'a' . " * 300 + b"b = 1",
    "a header": b"[" + b"a." * 3000 + b"b]",
    "digits": b"a = " + b"9" * 5000,
    "hexadecimal digits": b"a = [0x" + b"f" * 5000 + b"]",
    "64 bits": b"a.b = -9223372036854775809",
    "size": b"#" * (LARGEST_FILE + 1),
    "not UTF-8": b'a = "\xe9"',
}


@pytest.mark.parametrize("content", TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_file_that_is_too_deep_or_too_large_is_refused_with_its_name(tmp_path: Path, content: bytes) -> None:
    """Python's parser would recurse, or take hours for a long dotted key: the file is refused before."""
    file = tmp_path / "e.toml"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=r"e\.toml"):
        read_document(file)


def test_a_deep_file_below_the_limit_is_read(tmp_path: Path) -> None:
    """The limits are far from what an experiment needs; a long text with dots is not a key."""
    file = tmp_path / "e.toml"
    file.write_text(
        "a = " + "[" * 40 + "]" * 40 + "\nb.c.d.e.f = 1\ng = '" + "x" * 100_000 + "'\nh = '...." + "." * 200 + "'\n"
    )

    assert read_document(file).tree["b"] == {"c": {"d": {"e": {"f": 1}}}}


def test_a_device_or_a_pipe_is_no_experiment_file(tmp_path: Path) -> None:
    """Reading one would never end."""
    pipe = tmp_path / "pipe.toml"
    os.mkfifo(pipe)
    for path in (Path("/dev/zero"), pipe):
        with pytest.raises(ConfigError, match="device or a pipe"):
            read_document(path)


def test_a_byte_order_mark_is_no_content(tmp_path: Path) -> None:
    """Editors on Windows write one; includes may have one too."""
    (tmp_path / "more.toml").write_bytes(b"\xef\xbb\xbfseeds = [1]")
    file = tmp_path / "e.toml"
    file.write_bytes(b'\xef\xbb\xbfname = "x"\ninclude = ["more.toml"]')

    document = read_document(file)
    assert document.tree == {"name": "x", "seeds": [1], "include": ["more.toml"]}
    assert not document.text.startswith("\ufeff")


@pytest.mark.parametrize(
    "text", ['name = "a\\u0007b"', '[plugin]\n"\\u001b[31m" = 1', 'a = ["\\u202e"]', 'a = "\\u0000"']
)
def test_control_characters_are_refused_wherever_they_stand(tmp_path: Path, text: str) -> None:
    """In names, keys and lists; the message shows them as escapes."""
    file = tmp_path / "e.toml"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError, match="control character") as raised:
        read_document(file)
    assert str(raised.value).replace("\n", "").isprintable()


def test_line_breaks_and_tabs_in_texts_are_fine(tmp_path: Path) -> None:
    """A prompt may have several lines."""
    file = tmp_path / "e.toml"
    file.write_text('a = """\none\n\ttwo"""', encoding="utf-8")

    assert read_document(file).tree == {"a": "one\n\ttwo"}


def test_a_windows_path_in_double_quotes_gets_advice(tmp_path: Path) -> None:
    """`"C:\\data"` is not valid TOML, and `"C:\\new"` has a line break in it: both say how to write it."""
    file = tmp_path / "e.toml"
    file.write_text('path = "C:\\data"', encoding="utf-8")
    with pytest.raises(ConfigError, match="single|forward slashes"):
        read_document(file)
    with pytest.raises(ValueError, match="forward slashes"):
        expanded("C:\new")


def test_a_tilde_is_the_home_folder_in_every_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parameters that are paths, plugin files and includes; an unknown user's home is an error."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "more.toml").write_text("seeds = [1]", encoding="utf-8")
    file = tmp_path / "sub" / "e.toml"
    file.parent.mkdir()
    file.write_text('include = ["~/more.toml"]\nplugins = ["~/mine.py"]\n[logs]\npath = "~/logs"', encoding="utf-8")

    @attrs.frozen
    class Params:
        path: Path = param()

    document, problems = read_document(file), list[Problem]()
    assert document.tree["seeds"] == [1]
    assert document.plugin_files() == (str(tmp_path / "mine.py"),)
    made = structure(document.tree["logs"], Params, document, ("logs",), problems)
    assert made is not None
    assert (made.path, problems) == (tmp_path / "logs", [])
    assert structure({"path": "~nobody-of-this-name/x"}, Params, document, ("logs",), problems) is None
    assert "home folder" in problems[0].message


def test_a_file_that_is_included_twice_is_read_once(tmp_path: Path) -> None:
    """Two ways to one file add its tables once; a chain of doubled includes takes no longer than the chain."""
    (tmp_path / "base.toml").write_text('[[router]]\nuse = "knn"', encoding="utf-8")
    for name in ("one", "two"):
        (tmp_path / f"{name}.toml").write_text('include = ["base.toml"]', encoding="utf-8")
    file = tmp_path / "e.toml"
    file.write_text('include = ["one.toml", "./two.toml", "base.toml"]', encoding="utf-8")
    assert read_document(file).tree["router"] == [{"use": "knn"}]

    for i in range(40):
        (tmp_path / f"c{i}.toml").write_text(f'include = ["c{i + 1}.toml", "./c{i + 1}.toml"]', encoding="utf-8")
    (tmp_path / "c40.toml").write_text("seeds = [1]", encoding="utf-8")
    assert read_document(tmp_path / "c0.toml").tree["seeds"] == [1]


def test_includes_in_a_circle_and_too_many_are_refused(tmp_path: Path) -> None:
    """The file that closes the circle is named; so is a path that is none."""
    (tmp_path / "a.toml").write_text('include = ["b.toml"]', encoding="utf-8")
    (tmp_path / "b.toml").write_text('include = ["a.toml"]', encoding="utf-8")
    with pytest.raises(ConfigError, match="includes itself"):
        read_document(tmp_path / "a.toml")
    for i in range(120):
        (tmp_path / f"m{i}.toml").write_text(f'include = ["m{i + 1}.toml"]', encoding="utf-8")
    with pytest.raises(ConfigError, match="more than 100 files"):
        read_document(tmp_path / "m0.toml")
    (tmp_path / "odd.toml").write_text('include = ["~nobody-of-this-name/x.toml"]', encoding="utf-8")
    with pytest.raises(ConfigError, match="home folder"):
        read_document(tmp_path / "odd.toml")
