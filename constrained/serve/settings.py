"""How a server is set up: limits, tokens, where conversations are kept."""

from __future__ import annotations

import secrets
from ipaddress import ip_address
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from constrained._durable_files import replace_file
from constrained.serve.access.tokens import Grant

LOCAL = "local"  # the tenant of a server with one token
LOOPBACK = frozenset({"localhost", "testserver"})


class Limits(BaseModel):
    """What is refused, so that one caller cannot take the server from the others.

    Attributes:
        body_bytes: of a request (413 above). body_s: seconds in which it must arrive (408 after).
        n_running: turns taken at once. n_waiting: turns that may wait for that (503 above).
        n_in_conversation: turns of one conversation that run or wait (429 above).
        turns_per_s: of one tenant, with ``burst`` at once (429 above); 0: as many as there are.
        n_conversations: that one tenant may have (429 above).
        n_listeners: open event streams. n_events: that a slow one may be behind before it is closed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    body_bytes: int = Field(2_097_152, ge=1)
    body_s: float = Field(10.0, gt=0)
    n_running: int = Field(16, ge=1)
    n_waiting: int = Field(256, ge=0)
    n_in_conversation: int = Field(8, ge=1)
    turns_per_s: float = Field(0.0, ge=0)
    burst: int = Field(50, ge=1)
    n_conversations: int = Field(100_000, ge=1)
    n_listeners: int = Field(64, ge=0)
    n_events: int = Field(256, ge=1)


class Signing(BaseModel):
    """How a server signs its log.

    Attributes:
        key: a file with the private key; with ``command``, one with its public key. Empty: the log is not signed.
        command: signs with the key, see ``CommandSigner``. sinks: folders and URLs that get every checkpoint too.
        every: records that are signed at once at most. seconds: after which what has come is signed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str = ""
    command: str = ""
    sinks: tuple[str, ...] = ()
    every: int = Field(1_000, ge=1)
    seconds: float = Field(60.0, gt=0)


class Handovers(BaseModel):
    """How conversations wait for a person.

    Attributes:
        webhook: a URL that is told of every change; empty: nobody is. secret: a file with the secret that signs it.
        lease_s: a claim lasts this long after its holder last claimed or answered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    webhook: str = ""
    secret: str = ""
    lease_s: float = Field(900.0, gt=0)


class Oidc(BaseModel):
    """Whose tokens are accepted beside those of the server, see ``access.oidc``.

    Attributes:
        issuer: its URL, as its tokens name it in ``iss``. audience: what they must name in ``aud``.
        roles_claim: the path to the roles, such as ``resource_access.CLIENT.roles``.
        tenant_claim: names the tenant; empty: all are of the operator's. name_claim: names who it is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str = Field(min_length=1)
    audience: str = Field(min_length=1)
    roles_claim: str = "realm_access.roles"
    tenant_claim: str = ""
    name_claim: str = "sub"


class ServerSettings(BaseModel):
    """One server.

    Attributes:
        host, port: where it listens; port 0 takes a free one.
        tokens: token -> what it is for; a tenant alone stands for a token of its channel. hosts: further names under which it may
            be called (the Host header). origins: of pages elsewhere whose scripts may call, as a browser names them.
        oidc: an issuer of tokens; None: there is none.
        customer_key: file with the private key that signs customers' tokens, made when it is missing; empty: one of this process only.
        host_keys: file of a public key -> the tenant whose host signs customers' tokens with it.
        database: SQLAlchemy URL of the conversations; in memory when empty.
        log: where records go (see ``Dialogue``); in memory when empty.
        seal: folder with the keys of people: records are sealed under them (``SealedLog``); empty: they are not.
        retain: file of rules of retention, which the server follows at its start and daily; needs ``seal``. Empty: all is kept.
        signing: who signs the log, and where its checkpoints are put as well; without a key nobody does.
        handovers: the queue of conversations that wait for a person.
        within: seconds for a turn whose request names none; threshold: see ``Dialogue``.
        channel, jurisdiction: where conversations take place, for requests that do not say; drafts: see ``Dialogue``.
        mask: whether what may not be logged is masked, see ``Dialogue``; by default in packs that require approvals. Where one does,
            what is kept of conversations is encrypted. conversation_key: the file of that key; see ``storage.at_rest.make_cipher``.
        operator: the tenant whose tokens are the operator's where they name no roles; empty: the one of the first token.
        drain_s: time for the turns that run when the server is told to stop.
        has_page: whether ``GET /`` shows the page.
        is_editing: for development: the writer's page, which adds examples to catalogs that require no approvals.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(8420, ge=0, le=65_535)
    tokens: dict[str, Grant] = {}
    hosts: frozenset[str] = frozenset()
    origins: tuple[str, ...] = ()
    oidc: Oidc | None = None
    customer_key: str = ""
    host_keys: dict[str, str] = {}
    database: str = ""
    log: str = ""
    seal: str = ""
    retain: str = ""
    signing: Signing = Signing()
    handovers: Handovers = Handovers()
    within: float = Field(10.0, ge=0, le=600)
    threshold: float = Field(0.3, ge=0, le=1)
    channel: str | None = None
    jurisdiction: str | None = None
    drafts: bool = False
    mask: bool | None = None
    conversation_key: str = ""
    operator: str = ""
    drain_s: float = Field(15.0, ge=0)
    has_page: bool = True
    is_editing: bool = False
    limits: Limits = Limits()

    @property
    def operator_tenant(self) -> str:
        return self.operator or next((one.tenant for one in self.tokens.values()), LOCAL)

    def is_operator(self, tenant: str) -> bool:
        return tenant == self.operator_tenant


def log_name(tenant: str, conversation: str) -> str:
    """What the log calls a tenant's conversation."""
    return conversation if tenant == LOCAL else f"{tenant}:{conversation}"


def new_token() -> str:
    return secrets.token_urlsafe(24)


def read_or_make_token(folder: Path) -> str:
    """The token of a data folder, made on first use and readable by its owner only: a restarted server keeps its clients."""
    path = folder / "token"
    if not path.is_file():
        replace_file(path, f"{new_token()}\n".encode())
    return path.read_text(encoding="utf-8").strip()


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host in LOOPBACK
