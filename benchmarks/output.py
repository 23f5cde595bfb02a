"""Files that a run writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable, Dict, Optional


def write(
    results: Dict[str, Any], folder: Path, kind: str, document: Callable[[Dict[str, Any]], str]
) -> Path:
    """The results so far, so that a run that is ended leaves what it has; the path but its end."""
    folder.mkdir(parents=True, exist_ok=True)
    stem = folder / f"{results['date']}-{kind}"
    stem.with_name(stem.name + ".json").write_text(json.dumps(results, indent=1) + "\n")
    stem.with_name(stem.name + ".md").write_text(document(results))
    return stem


def draw(results: Dict[str, Any], stem: Optional[Path], plot: Callable[..., Any]) -> None:
    """Plots beside what was written, where there is something and matplotlib is."""
    if stem is None:
        return
    try:
        plot(results, stem)
    except ImportError as error:
        print(f"no plot: {error}", file=sys.stderr)
    print(f"wrote {stem}.*", file=sys.stderr)
