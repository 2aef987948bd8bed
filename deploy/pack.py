"""Build the Bento, and tell what is in it.

    python deploy/pack.py --context build/image

With `--context` the Bento is also laid out there as what a container is built from.

With ENGINE=lmdeploy the Bento names the hub's model, for which the hub is asked. Everything else
about the engine is decided where the Bento is served.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def bentoml(*arguments: str) -> str:
    """What a command of BentoML prints, run in this checkout.

    Raises:
        subprocess.CalledProcessError: It failed; why is on stderr.
    """
    environ = {"ENGINE": "llamacpp", "BENTOML_DO_NOT_TRACK": "True"} | os.environ
    environ["COLUMNS"] = "10000"  # it breaks its lines, paths too, for a terminal of this width
    command = [sys.executable, "-m", "bentoml", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE)
    return done.stdout.decode().strip()


def contents(folder: Path) -> Iterator[str]:
    """Each file with its size in bytes, and the sum."""
    sizes = {path: path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    for path, size in sizes.items():
        yield f"{size:>9,}  {path.relative_to(folder)}"
    yield f"{sum(sizes.values()):>9,}  bytes in {len(sizes)} files"


def main(arguments: list[str]) -> int:
    """Build and tell; the exit status."""
    parser = argparse.ArgumentParser(description="Build the Bento, and tell what is in it.")
    parser.add_argument("--context", type=Path, help="an absent or older folder to lay it out in")
    context: Path | None = parser.parse_args(arguments).context
    if context and context.exists() and not (context / "bento.yaml").exists():
        parser.error(f"{context} holds no Bento: wanted an absent folder, or one laid out before.")
    try:
        tag = bentoml("build", "--output", "tag", "--quiet").removeprefix("__tag__:")
        folder = Path(bentoml("get", tag, "--output", "path"))
    except subprocess.CalledProcessError as error:
        print(f"BentoML could not build it: {error}", file=sys.stderr)
        return 1
    print(*contents(folder), sep="\n")
    print(f"\nBuilt {tag}. Serve it anywhere:\n  bentoml serve {tag}")
    if context:
        shutil.rmtree(context, ignore_errors=True)
        shutil.copytree(folder, context)
        dockerfile = context / "env/docker/Dockerfile"
        name, version = tag.replace("_", "-").split(":")
        print(
            f"Build its image where there is Docker:\n  docker build -t {name}:{version} "
            f"-f {dockerfile} {context}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
