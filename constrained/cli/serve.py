"""``constrained serve``: packs over HTTP, for a game on the same machine or a desk in front of it."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from constrained.cli.models import load_engine, load_vllm
from constrained.cli.screen import line, note
from constrained.engines.model_files import DEFAULT_MODEL
from constrained.engines.protocol import Engine
from constrained.errors import ConstrainedError

if TYPE_CHECKING:
    from constrained.serve.packs import Packs
    from constrained.serve.settings import ServerSettings


def serve(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Packs; see: constrained list")],
    model: Annotated[list[str] | None, typer.Option(help="A model; give several to compare them. The first is asked.")] = None,
    engine: Annotated[
        str, typer.Option(help="Where models run: transformers (in this process), or vllm (see --vllm-url).")
    ] = "transformers",
    vllm_url: Annotated[list[str] | None, typer.Option(help="A vLLM server, or a router; give several to use them all.")] = None,
    served_as: Annotated[str | None, typer.Option(help="The name under which vLLM serves the model, where it is another one.")] = None,
    fitted: Annotated[list[Path] | None, typer.Option(help="A folder that constrained fit wrote; one for each pack.")] = None,
    adapter: Annotated[list[Path] | None, typer.Option(help="A folder that constrained tune wrote; likewise.")] = None,
    rules: Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")] = False,
    host: Annotated[str, typer.Option(help="Address to listen on. One that others reach needs --tokens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8420,
    data: Annotated[Path, typer.Option(help="Folder for conversations, records and the token.")] = Path(".constrained"),
    database: Annotated[str | None, typer.Option(help="SQLAlchemy URL of the conversations, for several processes.")] = None,
    log: Annotated[str | None, typer.Option(help="Where records go; turns.jsonl in --data unless given.")] = None,
    seal: Annotated[Path | None, typer.Option(help="Seal records under keys of people, kept in this folder.")] = None,
    channel: Annotated[str | None, typer.Option(help="Where conversations take place, for approvals; a request may name another.")] = None,
    jurisdiction: Annotated[str | None, typer.Option(help="As --channel.")] = None,
    drafts: Annotated[bool, typer.Option("--drafts", help="For development: responses without an approval may be said.")] = False,
    tokens: Annotated[Path | None, typer.Option(help="File of lines: TENANT TOKEN. The first is the operator.")] = None,
    host_name: Annotated[list[str] | None, typer.Option(help="A further name under which it may be called.")] = None,
    within: Annotated[float, typer.Option(help="Seconds for a turn whose request names none; then the rules choose.")] = 10.0,
    threshold: Annotated[float, typer.Option(help="The fallback is said when the best option is less probable.")] = 0.3,
    concurrency: Annotated[int, typer.Option(help="Turns taken at once.")] = 16,
    waiting: Annotated[int, typer.Option(help="Turns that may wait; more are refused with 503.")] = 256,
    rate: Annotated[float, typer.Option(help="Turns a second of one tenant; 0: no limit.")] = 0.0,
    port_file: Annotated[Path | None, typer.Option(help="Write url, port, token and pid there once it listens.")] = None,
    parent: Annotated[int | None, typer.Option(help="End when the process of this id ends.")] = None,
    watch: Annotated[bool, typer.Option(help="Take over edited packs that pass their check.")] = True,
    warm: Annotated[bool, typer.Option(help="Take a turn of each pack with each model before the first request.")] = True,
    page: Annotated[bool, typer.Option(help="Show the page at /.")] = True,
    verbose: Annotated[bool, typer.Option("--verbose", help="Log every turn on standard error, without its words.")] = False,
) -> None:
    """Serve packs over HTTP: POST /v1/turns, OpenAI's chat completions, a page to see it think."""
    _needs_extra()
    from constrained.serve.app import create_app
    from constrained.serve.packs import Packs
    from constrained.serve.server import listen, run
    from constrained.serve.settings import Limits, ServerSettings
    from constrained.serve.telemetry import log_as_json

    _fits(engine, vllm_url)
    known = _tokens(tokens, data, host)
    settings = ServerSettings(
        host=host,
        port=port,
        tokens=known,
        hosts=frozenset(host_name or ()),
        database=database or f"sqlite:///{data / 'conversations.db'}",
        log=log or str(data / "turns.jsonl"),
        seal=str(seal) if seal else "",
        within=within,
        threshold=threshold,
        channel=channel,
        jurisdiction=jurisdiction,
        drafts=drafts,
        has_page=page,
        limits=Limits(n_running=concurrency, n_waiting=waiting, turns_per_s=rate),
    )
    log_as_json(level=logging.INFO if verbose else logging.WARNING)
    bound = listen(settings)
    packs = Packs.named(tuple(names))
    models = model or [DEFAULT_MODEL]
    engines = _engines(models, rules, vllm_url, served_as)
    app = create_app(settings, packs, engines, own=_own(models[0], engines, fitted or [], adapter or [], packs))
    token = next(iter(known))
    run(
        app,
        settings,
        bound,
        token=token,
        port_file=port_file,
        parent=parent,
        is_watching=watch,
        is_warm=warm,
        ready=lambda url: _say(url, token, settings),
    )


def _needs_extra() -> None:
    try:
        import fastapi  # noqa: F401  # only to see whether it is there
        import sqlalchemy  # noqa: F401  # likewise
        import uvicorn  # noqa: F401  # likewise
    except ModuleNotFoundError as error:
        raise ConstrainedError(
            f"serving needs a package that is not installed: {error.name}", hint="pip install 'constrained[serve]'"
        ) from error


def _tokens(file: Path | None, data: Path, host: str) -> dict[str, str]:
    """Token -> tenant. On loopback one is made and kept in ``data``; where others reach the server the operator gives them."""
    from constrained.serve.settings import LOCAL, is_loopback, kept_token

    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file is not None:
            return _read(file)
        if not is_loopback(host):
            hint = "give --tokens FILE with lines TENANT TOKEN, and put TLS in front of the server"
            raise ConstrainedError(f"{host} can be reached by others, and no tokens are given", hint=hint)
        return {kept_token(data): LOCAL}
    except OSError as error:
        raise ConstrainedError(
            f"{error.filename or data} cannot be used: {error.strerror}", hint="check the path and its permissions"
        ) from error


def _read(file: Path) -> dict[str, str]:
    found = {}
    for number, text in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        words = text.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) != 2 or len(words[1]) < 16:
            raise ConstrainedError(f"{file}:{number}: not a tenant and a token of at least 16 characters", hint="TENANT TOKEN, one a line")
        found[words[1]] = words[0]
    if not found:
        raise ConstrainedError(f"{file} holds no token", hint="TENANT TOKEN, one a line")
    return found


def _fits(engine: str, urls: list[str] | None) -> None:
    if engine not in ("transformers", "vllm"):
        raise ConstrainedError(f"--engine {engine} is not known", hint="use transformers or vllm; --rules asks no model")
    if (engine == "vllm") != bool(urls):
        raise ConstrainedError("--engine vllm and --vllm-url go together", hint="--engine vllm --vllm-url http://127.0.0.1:8000")


def _engines(names: list[str], rules: bool, urls: list[str] | None, served_as: str | None) -> dict[str, Engine]:
    if rules:
        return {}
    return {name: load_vllm(name, urls, served_as=served_as) if urls else load_engine(name) for name in names}


def _own(model: str, engines: dict[str, Engine], fitted: list[Path], adapters: list[Path], packs: Packs) -> dict[str, Engine]:
    """Pack -> the first model, choosing by what it learned of this pack's catalog; an adapter has a copy of the network.

    Raises CalibrationError or AdapterError for what was learned by another model.
    """
    first: Any = engines.get(model)
    if (fitted or adapters) and not hasattr(first, "with_fitted"):
        raise ConstrainedError("--fitted and --adapter need a model in this process", hint="leave out --rules, --engine and --vllm-url")
    made: list[tuple[Path, Any]] = [(folder, first.with_fitted(folder)) for folder in fitted]
    made += [(folder, load_engine(model, folder)) for folder in adapters]
    found: dict[str, Engine] = {}
    for folder, engine in made:
        catalog = engine.manifest.catalog
        pack = next((name for name in packs.names if packs.get(name).catalog.name == catalog), None)
        if pack is None:
            hint = f"serve it too: constrained serve {' '.join(packs.names)} {catalog}"
            raise ConstrainedError(f"{folder} belongs to {catalog!r}, which is not served", hint=hint)
        if pack in found:
            raise ConstrainedError(f"{folder} is the second one that belongs to {catalog!r}", hint="give one of them")
        found[pack] = engine
    return found


def _say(url: str, token: str, settings: ServerSettings) -> None:
    line(f"listening on {url}")
    if settings.has_page:
        line(f"the page: {url}/#token={token}")
    note(f"token: {token}")
    sys.stdout.flush()
