"""Effects: what the host does once an option is committed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from constrained.errors import EffectError, PolicyError

Risk = Literal["low", "high"]


@dataclass(frozen=True, slots=True)
class EffectKind:
    """A host action that options can name: made by ``@effect``.

    Attributes:
        run: ``(state, *args) -> state``: carries the effect out and returns the state after it.
        requires: ``(state, *args) -> bool``: the precondition, checked when the option is allowed and
            again when the effect runs; None when there is none.
        risk: what it costs to run it by mistake. ``high`` effects are chosen by a clear message only; see ``logic.acts``.
        handover: the conversation waits for a person once it was chosen.
    """

    name: str
    run: Callable[..., Any]
    requires: Callable[..., bool] | None = None
    doc: str = field(default="", compare=False)
    risk: Risk = "high"
    handover: bool = False

    def call(self, *args: Any, **kwargs: Any) -> Effect:
        return Effect(self, args, kwargs)

    def __call__(self, state: Any, *args: Any, **kwargs: Any) -> Any:
        """Runs the effect on ``state`` after checking its precondition; returns the state after it."""
        return self.call(*args, **kwargs).apply(state)


@dataclass(frozen=True, slots=True)
class Effect:
    """One call of an effect with its arguments, not yet run: ``pay(50)``."""

    kind: EffectKind
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.kind.name

    def holds(self, state: Any) -> bool:
        """Whether the precondition holds in ``state``."""
        return self.kind.requires is None or bool(self.kind.requires(state, *self.args, **self.kwargs))

    def apply(self, state: Any) -> Any:
        """The state after the effect. Raises EffectError when the precondition does not hold."""
        if not self.holds(state):
            raise EffectError(f"the precondition of {self} does not hold", effect=str(self), hint="the state changed; take the turn again")
        return self.carry_out(state)

    def carry_out(self, state: Any) -> Any:
        """The state after the effect, whose precondition was checked. Raises EffectError when it returns something else."""
        after = self.kind.run(state, *self.args, **self.kwargs)
        if not isinstance(after, type(state)):
            raise EffectError(
                f"{self} returned {None if after is None else type(after).__name__}, not a {type(state).__name__}",
                effect=str(self),
                hint="an effect returns the state after it: return state.replace(...), or state",
            )
        return after

    def __str__(self) -> str:
        values = [_short(value) for value in self.args] + [f"{name}={_short(value)}" for name, value in self.kwargs.items()]
        return f"{self.name}({', '.join(values)})"


HANDING_OVER = "hand_over"  # an effect of this name hands a conversation over unless it says otherwise


def effect(
    run: Callable[..., Any] | None = None,
    *,
    requires: Callable[..., bool] | None = None,
    risk: Risk = "high",
    handover: bool | None = None,
) -> Any:
    """Makes a host action out of a function ``(state, *args) -> state``.

        @effect(requires=lambda state, amount: state.gold >= amount)
        def pay(state: Tavern, amount: int) -> Tavern:
            return state.replace(gold=state.gold - amount)

    A function that changes the outside world (files a dispute, rings a bell) does so and returns the state.

    Args:
        risk: what a mistake costs. ``low`` for what is undone with a word (a topic is opened, a price is named); ``high``, the
            default, for money, bookings, consent: a model chooses these only where the message asks for them clearly.
        handover: the conversation then waits for a person, in the server's queue. None: true of an effect named ``hand_over``.

    Raises PolicyError for what is not a plain function, and for another risk.
    """
    if risk not in get_args(Risk):
        raise PolicyError(f"the risk {risk!r} is not known", hint='@effect(risk="low") or @effect(risk="high")')
    if run is None:
        return functools.partial(effect, requires=requires, risk=risk, handover=handover)
    for name, function in (("an effect", run), ("requires", requires)):
        if function is not None and (not callable(function) or inspect.iscoroutinefunction(function) or not hasattr(run, "__name__")):
            raise PolicyError(f"{name} is a plain function, not {_short(function)}", hint="@effect above def name(state, ...):")
    is_handover = run.__name__ == HANDING_OVER if handover is None else handover
    return EffectKind(run.__name__, run, requires, run.__doc__ or "", risk, is_handover)


def first_failing(effects: Iterable[Effect], state: Any) -> Effect | None:
    """The first effect whose precondition already fails in ``state``; None when all hold."""
    return next((effect for effect in effects if not effect.holds(state)), None)


def risk_of(effects: Iterable[Effect]) -> Risk | None:
    """``high`` where one of the effects is; None where there is no effect."""
    risks = {effect.kind.risk for effect in effects}
    return "high" if "high" in risks else "low" if risks else None


def _short(value: Any) -> str:
    return getattr(value, "name", None) or repr(value)
