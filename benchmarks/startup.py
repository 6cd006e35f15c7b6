"""How long the command line takes to answer, against Python itself and against importing click, in one run.

Usage: python benchmarks/startup.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

COMMANDS = {
    "python -c pass": ["-c", "pass"],
    "python -c 'import click'": ["-c", "import click"],
    "python -c 'import vlrb'": ["-c", "import vlrb"],
    "vlrb --help": ["-m", "vlrb", "--help"],
    "vlrb hooks": ["-m", "vlrb", "hooks"],
    "vlrb plugins": ["-m", "vlrb", "plugins"],
    "vlrb list": ["-m", "vlrb", "list"],
}


def seconds(arguments: list[str]) -> float:
    """Return how long a new interpreter takes for a command."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Print the median of each command and its ratio to bare Python; the commands take turns."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, arguments in COMMANDS.items():
            times[name].append(seconds(arguments))
    bare = statistics.median(times["python -c pass"])
    for name, values in times.items():
        middle = statistics.median(values)
        print(f"{name:<26} median {middle:.3f} s  min {min(values):.3f} s  {middle / bare:5.1f} x python -c pass")


if __name__ == "__main__":
    main()
