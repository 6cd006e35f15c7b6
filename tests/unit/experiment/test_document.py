"""Reading experiment files, with those that they include."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from vlrb.api.components import param
from vlrb.errors import ConfigError, Problem
from vlrb.experiment.document import LARGEST_FILE, expanded, read_document
from vlrb.experiment.strict import structure


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
    with pytest.raises(ConfigError, match="forward slashes"):
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


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[split]\nseed = 0xffffffffffffffffffff", "split.seed"),
        ("[[router]]\nks = [1, 99999999999999999999]", "router[0].ks[1]"),
        ("\nseeds = [" + "9" * 5000 + "]", ", line 3"),
        (".".join("a" * 80) + " = 1", ", line 2"),
    ],
)
def test_what_toml_cannot_hold_is_found_in_the_file(tmp_path: Path, text: str, place: str) -> None:
    """Key or line of a number that is too large, and of a key with too many dots; no advice about Python's own limits."""
    file = tmp_path / "a.toml"
    file.write_text(f'name = "a"\n{text}\n', encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        read_document(file)
    problem = caught.value.problems[0]

    assert problem.where.startswith(str(file))
    assert problem.where.endswith(place)
    assert problem.fix
    assert "sys." not in problem.message
