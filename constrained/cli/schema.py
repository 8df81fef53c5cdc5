"""``constrained schema``: the JSON Schema of a catalog file, for editors that complete and check while one types."""

from __future__ import annotations

import json

import typer

from constrained.catalog.schema import json_schema


def schema() -> None:
    """Print the JSON Schema of catalogs/NAME.yaml.

    constrained schema > catalog.schema.json
    """
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
