"""What this project costs beside what it is compared with, in lines that are ratios of one run.

    python -m benchmarks.bench door layer

Parts are `door`, `layer`, `job`, `growth` and `start`; without names all run. Both sides of a line
take turns, warm, and their medians are told. Tables are printed as Markdown; `bench.json` in the
folder of `--out` has the newest lines of each part, and `bench.svg` there is their picture.
"""

import argparse
import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from importlib import import_module
from math import log10
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from benchmarks.bench_turns import Line
from benchmarks.command_line import run

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "measurements"
PARTS = ("door", "layer", "job", "growth", "start")
HEAD = "| what | unit | ours | other | | ratio | n | |\n|---|---|---|---|---|---|---|---|"
LEFT, WIDTH, ROW = 400, 760, 18
"""Pixels of the picture: where bars begin, its width, and the height of a line."""


def row(line: Line) -> str:
    """The line as one of a Markdown table."""
    other = "" if line.other is None else f"{line.other:.4g}"
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
    cells = [line.what, line.unit, f"{line.ours:.4g}", other, line.against, ratio, str(line.n)]
    return f"| {' | '.join([*cells, line.note])} |"


def picture(told: dict[str, Any]) -> str:
    """All ratios as bars that leave the line of 1: to the right where ours is more."""
    rows = [
        (f"{part}: {each['what']}", each["ratio"])
        for part in PARTS
        for each in told.get(part, {"lines": []})["lines"]
        if each["ratio"]
    ]
    height = ROW * (len(rows) + 1)
    middle = (LEFT + WIDTH) / 2
    bars = []
    for number, (name, ratio) in enumerate(rows, start=1):
        # Ten times as much, or a tenth, fills its half.
        length = max(-1.0, min(1.0, log10(ratio))) * (WIDTH - LEFT - 100) / 2
        begins = min(middle, middle + length)
        y = ROW * number
        bars.append(f'<text x="{LEFT - 8}" y="{y}" text-anchor="end">{escape(name)}</text>')
        bars.append(f'<rect x="{begins:.1f}" y="{y - 10}" width="{abs(length):.1f}" height="12"/>')
        bars.append(f'<text x="{WIDTH - 40}" y="{y}">{ratio:.2f}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-size="12" '
        f'font-family="sans-serif"><rect width="{WIDTH}" height="{height}" fill="white"/>'
        f'<g fill="#369">{"".join(bars)}</g>'
        f'<path d="M{middle} 0V{height}" stroke="black"/></svg>\n'
    )


def keep(folder: Path, part: str, lines: list[Line]) -> None:
    """Put the lines in the place of the part's older ones, and draw the picture anew."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "bench.json"
    told = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    told[part] = {
        "date": date.today().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "model": Path(os.environ.get("MODEL_PATH", "default")).stem,
        "lines": [asdict(line) | {"ratio": line.ratio} for line in lines],
    }
    file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "bench.svg").write_text(picture(told), encoding="utf-8")


def main(arguments: list[str]) -> None:
    """Measure, print and keep the parts that are wanted."""
    parser = argparse.ArgumentParser(description="Measure this project beside others.")
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=FOLDER)
    wanted = parser.parse_args(arguments)
    if unknown := set(wanted.parts) - set(PARTS):
        parser.error(f"no part is {', '.join(unknown)}; parts are {', '.join(PARTS)}")
    for part in wanted.parts or PARTS:
        measured: Iterator[Line] = import_module(f"benchmarks.bench_{part}").lines()
        print(f"\n## {part}\n\n{HEAD}", flush=True)
        lines = []
        for line in measured:
            print(row(line), flush=True)
            lines.append(line)
        keep(wanted.out, part, lines)


if __name__ == "__main__":
    run(main)
