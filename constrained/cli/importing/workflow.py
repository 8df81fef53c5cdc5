"""A workflow of agents as a tree of nodes, whatever language it was written in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Run:
    """An agent is run. ``agent`` is its variable; ``result`` the variable that holds what it gives."""

    agent: str
    result: str
    line: int


@dataclass(frozen=True, slots=True)
class Condition:
    """What a branch or a loop depends on.

    Attributes:
        value: for ``result.field == "value"`` the text, with ``subject`` the left side; empty otherwise.
        approval: the message of a user approval; None where it is none. An empty one is not known.
    """

    text: str
    line: int
    subject: str = ""
    value: str = ""
    approval: str | None = None


@dataclass(frozen=True, slots=True)
class Branch:
    """If, else if and else."""

    cases: Sequence[tuple[Condition, list[Node]]]
    otherwise: list[Node]
    line: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A while node."""

    condition: Condition
    body: list[Node]
    line: int


@dataclass(frozen=True, slots=True)
class End:
    """The workflow ends; ``text`` is what it says then, where that is written out."""

    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Other:
    """What no pack can hold."""

    kind: str
    text: str
    line: int
    reason: str


Node: TypeAlias = Run | Branch | Loop | End | Other


@dataclass(frozen=True, slots=True)
class Agent:
    """A definition ``agent = Agent(name=..., ...)``. ``parts``: (kind, name, line) of what else it is made of."""

    variable: str
    name: str
    file: str
    line: int
    parts: tuple[tuple[str, str, int], ...] = ()


@dataclass(slots=True)
class Workflow:
    """One file of code: its agents, its other definitions, and the nodes of ``runWorkflow`` (None where it has none)."""

    file: str
    agents: dict[str, Agent] = field(default_factory=dict)
    others: list[Other] = field(default_factory=list)
    nodes: list[Node] | None = None
    line: int = 0


REASONS = {
    "guardrail": "what is understood is closed questions, and nothing unapproved is said: a protected trigger or a rule may take its place",
    "tool": "write it as an effect of the host, with what it requires",
    "state": "State is changed by effects alone: write one",
    "output": "an output of a schema: choices stand in Heard or in a step",
    "loop": "only a while loop over a condition is read",
    "call": "code of the host: write it as an effect, or as fields of State",
    "instructions": "a prompt: nothing is generated here; write the approved text of its response",
    "agent's tool": "what an agent may call: write it as an effect of a step",
    "handoff": "an agent hands over to another one: write a branch, or start() of a procedure",
    "agent's output": "its schema: choices stand in the steps, other fields in Heard",
    "agent's guardrail": "a rule, a protected trigger or nothing takes its place: only approved text is said",
}
PARTS = {
    "instructions": "instructions", "tools": "agent's tool", "handoffs": "handoff", "outputType": "agent's output",
    "output_type": "agent's output", "inputGuardrails": "agent's guardrail", "outputGuardrails": "agent's guardrail",
    "input_guardrails": "agent's guardrail", "output_guardrails": "agent's guardrail",
}  # fmt: skip
ENTRIES = ("runWorkflow", "run_workflow")
APPROVALS = ("approvalRequest", "approval_request")
TOOLS = (
    "tool", "webSearchTool", "fileSearchTool", "hostedMcpTool", "codeInterpreterTool",
    "WebSearchTool", "FileSearchTool", "HostedMCPTool", "CodeInterpreterTool",
)  # fmt: skip  # as both SDKs name them
