"""``constrained serve``: packs over HTTP, for a game on the same machine or a desk in front of it."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from constrained.cli.models import load_engine, load_vllm, model_or_default
from constrained.cli.screen import line, note
from constrained.engines.protocol import Engine
from constrained.errors import ConstrainedError

if TYPE_CHECKING:
    from constrained.serve.access.tokens import TokenGrant
    from constrained.serve.packs import Packs
    from constrained.serve.settings import Oidc, ServerSettings


ByName = dict[str, Engine]

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Packs; see: constrained list")]
Models = Annotated[list[str] | None, typer.Option(help="A model; give several to compare them. The first is asked.")]
Where = Annotated[str, typer.Option(help="Where models run: transformers (in this process), or vllm (see --vllm-url).")]
VllmUrls = Annotated[list[str] | None, typer.Option(help="A vLLM server, or a router; give several to use them all.")]
ServedAs = Annotated[str | None, typer.Option(help="The name under which vLLM serves the model, where it is another one.")]
Fitted = Annotated[list[Path] | None, typer.Option(help="A folder that constrained fit wrote; one for each pack.")]
Adapters = Annotated[list[Path] | None, typer.Option(help="A folder that constrained tune wrote; likewise.")]
RulesOnly = Annotated[bool, typer.Option("--rules", help="No model: the rules alone choose, nothing is heard.")]
Host = Annotated[str, typer.Option(help="Address to listen on. One that others reach needs --tokens.")]
Port = Annotated[int, typer.Option(help="0 takes a free one.")]
Data = Annotated[Path, typer.Option(help="Folder for conversations, records and the token.")]
Database = Annotated[str | None, typer.Option(help="SQLAlchemy URL of the conversations, for several processes.")]
LogPlace = Annotated[str | None, typer.Option(help="Where records go; turns.jsonl in --data unless given.")]
Seal = Annotated[Path | None, typer.Option(help="Seal records under keys of people, kept in this folder.")]
Retain = Annotated[Path | None, typer.Option(help="Erase by age, by the rules in this TOML file; needs --seal.")]
SignKey = Annotated[Path | None, typer.Option(help="Sign the log with this private key (with --signer: its public key).")]
SignCommand = Annotated[str, typer.Option(help="A command that signs with the key: an HSM's or a KMS's client.")]
Sinks = Annotated[list[str] | None, typer.Option(help="A write-once folder or a URL that gets every signed checkpoint too.")]
SignEvery = Annotated[int, typer.Option(help="Records that are signed together at most.")]
SignSeconds = Annotated[float, typer.Option(help="Seconds after which what has come is signed.")]
Webhook = Annotated[str, typer.Option(help="A URL that is told when a conversation waits for a person: CloudEvents, signed.")]
WebhookSecret = Annotated[Path | None, typer.Option(help="File with the secret that signs them: whsec_ and base64.")]
Channel = Annotated[str | None, typer.Option(help="Where conversations take place, for approvals; a request may name another.")]
Jurisdiction = Annotated[str | None, typer.Option(help="As --channel.")]
Drafts = Annotated[bool, typer.Option("--drafts", help="For development: responses without an approval may be said.")]
Mask = Annotated[
    bool | None, typer.Option(help="Keep cards, IBANs, national numbers out of the log; default: where approvals are required.")
]
ConversationKey = Annotated[Path | None, typer.Option(help="File of the key that kept conversations are encrypted with.")]
Tokens = Annotated[Path | None, typer.Option(help="File of lines: TENANT TOKEN [ROLES [NAME]]. The first is the operator.")]
Issuer = Annotated[str, typer.Option(help="URL of an OpenID Connect issuer whose access tokens are accepted.")]
Audience = Annotated[str, typer.Option(help="What its tokens name in aud: this server.")]
RolesClaim = Annotated[str, typer.Option(help="Where its tokens name roles, such as resource_access.CLIENT.roles.")]
TenantClaim = Annotated[str, typer.Option(help="The claim that names the tenant; without it all are of the operator's.")]
NameClaim = Annotated[str, typer.Option(help="The claim that names who it is, for what is recorded.")]
CustomerKeys = Annotated[
    list[str] | None, typer.Option(metavar="[TENANT=]PUBLIC.pem", help="A key with which a host signs customers' tokens itself.")
]
Origins = Annotated[list[str] | None, typer.Option("--origin", help="A page's origin, https://HOST[:PORT], whose scripts may call.")]
HostNames = Annotated[list[str] | None, typer.Option(help="A further name under which it may be called.")]
Within = Annotated[float, typer.Option(help="Seconds for a turn whose request names none; then the rules choose.")]
Threshold = Annotated[float, typer.Option(help="The fallback is said when the best option is less probable.")]
Concurrency = Annotated[int, typer.Option(help="Turns taken at once.")]
Waiting = Annotated[int, typer.Option(help="Turns that may wait; more are refused with 503.")]
Rate = Annotated[float, typer.Option(help="Turns a second of one tenant; 0: no limit.")]
PortFile = Annotated[Path | None, typer.Option(help="Write url, port, token and pid there once it listens.")]
Parent = Annotated[int | None, typer.Option(help="End when the process of this id ends.")]
WatchFiles = Annotated[bool, typer.Option(help="Take over edited packs that pass their check.")]
Warm = Annotated[bool, typer.Option(help="Take a turn of each pack with each model before the first request.")]
Page = Annotated[bool, typer.Option(help="Show the page at /.")]
Edit = Annotated[bool, typer.Option("--edit", help="For development: a writer's page at /write, which adds examples to catalogs.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Log every turn on standard error, without its words.")]


def serve(
    names: Names,
    model: Models = None,
    engine: Where = "transformers",
    vllm_url: VllmUrls = None,
    served_as: ServedAs = None,
    fitted: Fitted = None,
    adapter: Adapters = None,
    rules: RulesOnly = False,
    host: Host = "127.0.0.1",
    port: Port = 8420,
    data: Data = Path(".constrained"),
    database: Database = None,
    log: LogPlace = None,
    seal: Seal = None,
    retain: Retain = None,
    sign: SignKey = None,
    signer: SignCommand = "",
    sink: Sinks = None,
    sign_every: SignEvery = 1_000,
    sign_seconds: SignSeconds = 60.0,
    webhook: Webhook = "",
    webhook_secret: WebhookSecret = None,
    channel: Channel = None,
    jurisdiction: Jurisdiction = None,
    drafts: Drafts = False,
    mask: Mask = None,
    conversation_key: ConversationKey = None,
    tokens: Tokens = None,
    oidc: Issuer = "",
    audience: Audience = "",
    roles_claim: RolesClaim = "realm_access.roles",
    tenant_claim: TenantClaim = "",
    name_claim: NameClaim = "sub",
    customer_key: CustomerKeys = None,
    host_name: HostNames = None,
    origin: Origins = None,
    within: Within = 10.0,
    threshold: Threshold = 0.3,
    concurrency: Concurrency = 16,
    waiting: Waiting = 256,
    rate: Rate = 0.0,
    port_file: PortFile = None,
    parent: Parent = None,
    watch: WatchFiles = True,
    warm: Warm = True,
    page: Page = True,
    edit: Edit = False,
    verbose: Verbose = False,
) -> None:
    """Serve packs over HTTP: POST /v1/turns, OpenAI's chat completions, a page to see it think."""
    _check(engine, vllm_url)
    from constrained.serve.settings import Handovers, Limits, ServerSettings, Signing

    issuer = _issuer(oidc, audience, roles_claim=roles_claim, tenant_claim=tenant_claim, name_claim=name_claim)
    settings = ServerSettings(
        host=host,
        port=port,
        origins=_origins(origin or []),
        **_who_may_ask(tokens, data, host, issuer, customer_key or [], host_name or []),
        **_what_is_kept(data, database, log, seal, retain, conversation_key),
        signing=Signing(key=str(sign or ""), command=signer, sinks=tuple(sink or ()), every=sign_every, seconds=sign_seconds),
        handovers=Handovers(webhook=_webhook(webhook, webhook_secret), secret=str(webhook_secret or "")),
        within=within,
        threshold=threshold,
        channel=channel,
        jurisdiction=jurisdiction,
        drafts=drafts,
        mask=mask,
        has_page=page,
        is_editing=edit,
        limits=Limits(n_running=concurrency, n_waiting=waiting, turns_per_s=rate),
    )
    load = partial(_load_engines, model or [], rules, vllm_url, served_as, fitted or [], adapter or [])
    _log(is_verbose=verbose)
    _run(settings, tuple(names), load, is_made=tokens is None, port_file=port_file, parent=parent, is_watching=watch, is_warm=warm)


def _who_may_ask(
    tokens: Path | None, data: Path, host: str, issuer: Oidc | None, customer_keys: list[str], host_names: list[str]
) -> dict[str, Any]:
    known = _tokens(tokens, data, host, has_issuer=issuer is not None)
    own, hosts = str(data / "customers.pem"), frozenset(host_names)
    return {"tokens": known, "oidc": issuer, "customer_key": own, "host_keys": _host_keys(customer_keys, known), "hosts": hosts}


def _origins(given: list[str]) -> tuple[str, ...]:
    """Raises ConstrainedError for what is no origin as a browser writes it: any page, a path, an upper-case letter."""
    wrong = next((one for one in given if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", one)), None)
    if wrong is not None:
        raise ConstrainedError(f"--origin {wrong} is not the origin of a page", hint="https://game.example, without a path")
    return tuple(given)


def _what_is_kept(
    data: Path, database: str | None, log: str | None, seal: Path | None, retain: Path | None, key: Path | None
) -> dict[str, str]:
    """Where it is kept, for how long, and under which keys."""
    places = {"database": database or f"sqlite:///{data / 'conversations.db'}", "log": log or str(data / "turns.jsonl")}
    return places | {"seal": str(seal or ""), "retain": str(retain or ""), "conversation_key": str(key or "")}


def _webhook(url: str, secret: Path | None) -> str:
    if bool(url) != (secret is not None):
        raise ConstrainedError("--webhook and --webhook-secret go together", hint="--webhook https://... --webhook-secret FILE")
    if url and not url.startswith(("https://", "http://")):
        raise ConstrainedError(f"--webhook {url} is no URL", hint="https://HOST/PATH")
    return url


def _log(*, is_verbose: bool) -> None:
    from constrained.serve.telemetry import log_as_json

    log_as_json(level=logging.INFO if is_verbose else logging.WARNING)


def _run(
    settings: ServerSettings, names: tuple[str, ...], load: Callable[[Packs], tuple[ByName, ByName]], *, is_made: bool, **process: Any
) -> None:
    """Serves packs until a signal. A port that is taken is told before models are loaded. ``is_made``: the token is this server's own."""
    from constrained.serve.app import create_app
    from constrained.serve.packs import Packs
    from constrained.serve.server import listen, run

    bound, packs = listen(settings), Packs.named(names, signed=not settings.drafts)
    engines, own = load(packs)
    app = create_app(settings, packs, engines, own=own)
    token = next(iter(settings.tokens), "")
    shown = token if is_made else ""  # what a file holds has no place in a log of the service
    run(app, settings, bound, token=token, **process, ready=lambda url: _print_address(url, shown, settings))


def _check(engine: str, urls: list[str] | None) -> None:
    """Raises ConstrainedError where a package is missing, or the engine and its servers do not go together."""
    try:
        import websockets  # noqa: F401  # uvicorn asks for it once it runs

        import constrained.serve.app
        import constrained.serve.server  # noqa: F401  # only to see whether all that they import is there
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("constrained"):
            raise
        raise ConstrainedError(
            f"serving needs a package that is not installed: {error.name}", hint="pip install 'constrained[serve]'"
        ) from error
    if engine not in ("transformers", "vllm"):
        raise ConstrainedError(f"--engine {engine} is not known", hint="use transformers or vllm; --rules asks no model")
    if (engine == "vllm") != bool(urls):
        raise ConstrainedError("--engine vllm and --vllm-url go together", hint="--engine vllm --vllm-url http://127.0.0.1:8000")


def _issuer(issuer: str, audience: str, **claims: str) -> Oidc | None:
    """Raises ConstrainedError for an issuer without an audience, or one that others could answer for."""
    from constrained.serve.access.oidc import check_address
    from constrained.serve.settings import Oidc

    if bool(issuer) != bool(audience):
        raise ConstrainedError("--oidc and --audience go together", hint="--oidc https://login.example/realms/desk --audience constrained")
    if not issuer:
        return None
    check_address(issuer)
    return Oidc(issuer=issuer, audience=audience, **claims)


def _host_keys(given: list[str], tokens: dict[str, TokenGrant]) -> dict[str, str]:
    """File -> tenant; the tenant of the first token where none is named."""
    from constrained.serve.settings import LOCAL

    first = next((grant.tenant for grant in tokens.values()), LOCAL)
    pairs = [one.rpartition("=")[::2] for one in given]
    return {file: tenant or first for tenant, file in pairs}


def _tokens(file: Path | None, data: Path, host: str, *, has_issuer: bool) -> dict[str, TokenGrant]:
    """Token -> grant. On loopback one is made and kept in ``data``; where others reach the server the operator gives them."""
    from constrained.serve.access.tokens import TokenGrant, read_tokens
    from constrained.serve.settings import LOCAL, is_loopback, read_or_make_token

    try:
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file is not None:
            return read_tokens(file)
        if not is_loopback(host):
            if has_issuer:
                return {}
            hint = "give --tokens FILE with lines TENANT TOKEN, or --oidc; and put TLS in front of the server"
            raise ConstrainedError(f"{host} can be reached by others, and no tokens are given", hint=hint)
        return {read_or_make_token(data): TokenGrant(tenant=LOCAL)}
    except OSError as error:
        raise ConstrainedError(
            f"{error.filename or data} cannot be used: {error.strerror}", hint="check the path and its permissions"
        ) from error


def _load_engines(
    models: list[str], rules: bool, urls: list[str] | None, served_as: str | None, fitted: list[Path], adapters: list[Path], packs: Packs
) -> tuple[ByName, ByName]:
    """Engines by name, and by pack those that learned its catalog."""
    engines: ByName = {}
    models = models or [model_or_default(None, learned=urls or fitted or adapters)]
    if not rules:
        engines = {name: load_vllm(name, urls, served_as=served_as) if urls else load_engine(name) for name in models}
    return engines, _load_own(models[0], engines, fitted, adapters, packs)


def _load_own(model: str, engines: ByName, fitted: list[Path], adapters: list[Path], packs: Packs) -> ByName:
    """Pack -> the first model, choosing by what it learned of this pack's catalog; an adapter has a copy of the network.

    Raises CalibrationError or AdapterError for what was learned by another model.
    """
    first: Any = engines.get(model)
    if (fitted or adapters) and not hasattr(first, "with_fitted"):
        raise ConstrainedError("--fitted and --adapter need a model in this process", hint="leave out --rules, --engine and --vllm-url")
    made: list[tuple[Path, Any]] = [(folder, first.with_fitted(folder)) for folder in fitted]
    made += [(folder, load_engine(model, folder)) for folder in adapters]
    found: ByName = {}
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


def _print_address(url: str, token: str, settings: ServerSettings) -> None:
    line(f"listening on {url}")
    if settings.has_page:
        line(f"the page: {url}/#token={token}" if token else f"the page: {url}/, and {url}/desk for people; they ask for a token")
    if settings.has_page and settings.is_editing:
        line(f"the writer's page: {url}/write#token={token}" if token else f"the writer's page: {url}/write")
    if token:
        note(f"token: {token}")
    sys.stdout.flush()
