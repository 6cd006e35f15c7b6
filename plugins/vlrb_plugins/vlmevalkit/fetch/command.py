"""``vlrb fetch``: the published VL-RouterBench archive, downloaded, verified and unpacked."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import click

from vlrb import DataError, __version__, locked, new_directory, read_json, write_json
from vlrb_plugins.vlmevalkit.fetch.hub import hub_endpoint
from vlrb_plugins.vlmevalkit.fetch.obtain import obtain_archive
from vlrb_plugins.vlmevalkit.fetch.receive import show_megabytes
from vlrb_plugins.vlmevalkit.fetch.request import FILE, REPO, Request
from vlrb_plugins.vlmevalkit.fetch.unpack import amount, check_space, unpack

RECORD = "vlrb-fetch.json"
"""The file in the unpacked folder that says what it is."""

_SHORT_COMMIT = re.compile(r"[0-9a-f]{7,40}")


@click.command()
@click.option(
    "--to", metavar="DIR", default=".", type=click.Path(path_type=Path, file_okay=False),
    help="Folder in which the archive's folder is made (default: the working directory).",
)  # fmt: skip
@click.option("--repo", default=REPO, show_default=True, help="Data set on the Hugging Face Hub.")
@click.option("--file", default=FILE, show_default=True, help="The archive in it: .tar.gz, .tgz or .tar.")
@click.option("--revision", metavar="REV", help="Branch, tag or commit (default: main).")
@click.option("--keep-archive/--no-keep-archive", default=False, help="Keep the archive next to its folder.")
@click.option("--force", is_flag=True, help="Fetch again what an earlier fetch has made.")
@click.option(
    "--max-size", metavar="GiB", default=200.0, show_default=True, type=click.FloatRange(min=0, min_open=True),
    help="The most that may come out of the archive.",
)  # fmt: skip
@click.option(
    "--max-files", metavar="N", default=100_000, show_default=True, type=click.IntRange(min=1),
    help="The most files and folders that may come out of it.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
def fetch(to: Path, as_json: bool, **options: Any) -> None:
    """Download the published VL-RouterBench logs and unpack them.

    A download that was stopped is resumed.  What is there already is left alone, and an archive that this
    command did not download is used and never deleted: in the hub's cache, where `hf download` puts it, or in DIR.
    HF_ENDPOINT, HF_HUB_OFFLINE, HF_TOKEN and the other variables of the Hugging Face Hub are respected.
    """
    request = Request(to=to, **options)
    outcome = find_finished(request)
    if outcome is None:
        with locked(request.target):
            outcome = find_finished(request) or _fetch(request)
    if as_json:
        click.echo(json.dumps(outcome, indent=1, allow_nan=False, ensure_ascii=False))
    else:
        _print_outcome(request, outcome)


def find_finished(request: Request) -> dict[str, Any] | None:
    """Return the record of an earlier fetch, or nothing if there is work to do.

    :raises DataError: when the folder holds something else
    """
    target, where = request.target, str(request.target)
    if not os.path.lexists(target) or (target.is_dir() and not any(target.iterdir())):
        return None
    record = read_json(target / RECORD) if (target / RECORD).is_file() else None
    if not isinstance(record, dict):
        fix = "use it as it is ([logs] path), name another folder with --to, or move it away"
        raise DataError("exists, and was not made by `vlrb fetch`", where=where, fix=fix)
    if request.force:
        return None
    revision = request.revision
    known = revision in (None, record.get("requested_revision")) or _is_commit(revision, record.get("revision"))
    if (record.get("repo"), record.get("file")) != (request.repo, request.file) or not known:
        held = f"{record.get('repo')} {record.get('file')} at {record.get('revision')}"
        asked = f"{request.repo} {request.file} at {revision or 'any revision'}"
        fix = "name another folder with --to, or replace it with --force"
        raise DataError(f"holds {held}, not {asked}", where=where, fix=fix)
    return {**record, "folder": str(target.absolute()), "archive": None, "already_there": True}


def _is_commit(revision: str, commit: object) -> bool:
    """Tell whether a revision is a commit, or the beginning of its hash."""
    return isinstance(commit, str) and bool(_SHORT_COMMIT.fullmatch(revision)) and commit.startswith(revision)


def _print_outcome(request: Request, outcome: Mapping[str, Any]) -> None:
    done = "is there already" if outcome["already_there"] else "fetched"
    click.echo(f"{outcome['repo']} {outcome['file']} at {outcome['revision'] or 'an unknown revision'}: {done}")
    files = f"{outcome['files']:,} file{'' if outcome['files'] == 1 else 's'}"
    click.echo(f"  folder: {request.target} ({files}, {amount(outcome['bytes'])})")
    kept = f", kept as {outcome['archive']}" if outcome["archive"] else ""
    click.echo(f"  archive: {amount(outcome['archive_bytes'])}, sha256 {outcome['sha256']}{kept}")
    if outcome["left_out"]:
        click.echo(f"  left out: {outcome['left_out']} files of macOS (._*)")
    if outcome["already_there"]:
        click.echo("  --force fetches it again")
    click.echo("\nnext, in an experiment file:\n\n[logs]")
    click.echo(f'use = "vlmevalkit"\npath = {json.dumps(str(request.target), ensure_ascii=False)}')


def _fetch(request: Request) -> dict[str, Any]:
    """Get the archive and unpack it aside; the target appears when all is there."""
    archive = obtain_archive(request)
    size = archive.path.stat().st_size
    check_space(request.to, size, str(archive.path))
    with new_directory(request.target) as aside, show_megabytes(f"unpacking {request.name}") as show:
        made = unpack(archive.path, aside, request.max_bytes, request.max_files, show)
        record = {
            "schema": 1,
            "repo": request.repo,
            "file": request.file,
            "requested_revision": request.revision,
            "revision": archive.revision,
            "endpoint": hub_endpoint(),
            "archive_bytes": size,
            "sha256": archive.sha256,
            **attrs.asdict(made),
            "vlrb": __version__,
        }
        write_json(aside / RECORD, record)
    kept: Path | None = archive.path
    if archive.received and request.keep_archive:
        kept = archive.path.replace(request.to / request.name)
    elif archive.received:
        archive.path.unlink()
        kept = None
    about = {"folder": str(request.target.absolute()), "archive": kept and str(kept.absolute())}
    return {**record, **about, "already_there": False}


def fetch_command() -> click.Command:
    """Return the command."""
    return fetch
