"""Reads a Rasa project: domain, flows, forms, rules, examples, stories and end-to-end tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from constrained.cli.importing.draft import Candidate, Draft, Reply, sayable
from constrained.cli.importing.rasa_flows import Flows
from constrained.cli.importing.rasa_project import Entry, Project, read_project
from constrained.cli.importing.rasa_responses import Responses

FALLBACKS = ("utter_default", "utter_fallback", "utter_please_rephrase", "utter_ask_rephrase", "utter_out_of_scope", "utter_rephrase")


def import_rasa(source: Path, draft: Draft) -> None:
    """Fills the draft."""
    project = read_project(source, draft)
    _Importer(project).run()


class _Importer:
    """Takes the parts of a project in their order: responses, flows, what begins them, rules, dialogues."""

    def __init__(self, project: Project) -> None:
        self._project, self._draft = project, project.draft
        self._responses = Responses(project)
        self._flows = Flows(project, self._responses)
        self._began: dict[str, list[str]] = {}  # flow -> messages that begin it
        self._offered: dict[str, Reply] = {}

    def run(self) -> None:
        self._forms()
        self._flows.write()
        for name, entry in self._project.flows.items():
            if name in self._flows.first:
                self._begin(name, entry)
        for entry in (*self._project.rules, *self._project.stories):
            self._rule(entry)
        self._offers()
        for entry in (*self._project.stories, *self._project.tests):
            self._dialogue(entry)
        self._account()

    def _forms(self) -> None:
        """A form is a flow that collects its slots."""
        for name, entry in self._project.forms.items():
            data = entry.data if isinstance(entry.data, dict) else {}
            required = data.get("required_slots", data)
            steps = [{"collect": slot} for slot in (required if isinstance(required, list | dict) else []) if slot != "ignored_intents"]
            if not steps:
                entry.item.note("it requires no slots")
                continue
            self._flows.names[name] = self._flows.functions.of(name)
            self._flows.write_flow(name, entry, steps, ("required_slots",))
            entry.item.note("its validation is code of the host: write it as branches")

    def _begin(self, name: str, entry: Entry) -> None:
        """What the user says for a flow to begin: examples of the intents that trigger it, else its description."""
        if "if" in entry.data:
            self._draft.item(
                "guard", entry.data["if"], entry.item.file, entry.line("if"), "write it as an if before start() of the procedure"
            )
            if str(entry.data["if"]).strip().lower() == "false":
                return
        triggers = entry.data.get("nlu_trigger")
        intents = [one.get("intent") if isinstance(one, dict) else one for one in (triggers if isinstance(triggers, list) else [])]
        intents = [one.get("name") if isinstance(one, dict) else one for one in intents]
        messages = [text for intent in [*intents, name] for text in self._examples(str(intent), f"begins {self._flows.names[name]}")]
        told = [sayable(str(entry.data.get(key) or "")) for key in ("description", "name")]
        self._began[name] = messages or [text for text in told if text] or [name.replace("_", " ")]

    def _examples(self, intent: str, became: str) -> list[str]:
        found = self._project.examples_of(intent)
        for _, item in found:
            item.carry("an example")
        if intent in self._project.intents:
            self._project.intents[intent].carry(became)
        return [text for text, _ in found]

    def _rule(self, entry: Entry) -> None:
        """What a rule or a story answers to an intent may be said; more than one answer is for a procedure."""
        steps = _steps(entry)
        is_rule = entry in self._project.rules
        said = False
        for number, step in enumerate(steps):
            intents = (
                [step["intent"]]
                if isinstance(step.get("intent"), str)
                else [one.get("intent") for one in _list(step.get("or")) if isinstance(one, dict)]
            )
            action = str(steps[number + 1].get("action", "")) if number + 1 < len(steps) else ""
            for reply in self._responses.of_action(action) if intents else ():
                self._offered[reply.id] = reply
                own = next((name for name, one in self._responses.names().items() if one is reply), "")
                for intent in intents:
                    detail = f"{intent}/{own.partition('/')[2]}" if "/" in own else str(intent)
                    reply.add_examples(self._draft.locale, self._examples(detail, f"examples of {reply.id}"))
                said = True
            if intents and action in self._project.forms and action in self._flows.first:
                begins = [text for intent in intents for text in self._examples(str(intent), f"begins {self._flows.names[action]}")]
                self._began.setdefault(action, []).extend(begins or [action.replace("_", " ")])
                said = True
        if not is_rule:
            return
        if said:
            entry.item.carry("an offer")
            if len(steps) > 2 or entry.data.get("condition"):
                entry.item.note("its condition, or what follows the first answer, is not carried")
        else:
            entry.item.note("it answers no intent with a response: actions, forms and loops of rules are not carried")

    def _offers(self) -> None:
        draft = self._draft
        self._flows.begin(self._began)
        by_choice = dict(self._began)
        for name, messages in self._began.items():
            first = self._flows.first[name]
            shared = any(first & self._flows.first[other] for other in self._began if other != name)
            if len(first) == 1 and not shared and not first & self._offered.keys():
                reply = draft.replies[next(iter(first))]  # its examples begin the flow
                reply.add_examples(draft.locale, messages)
                draft.offers.append(f"yield start({self._flows.names[name]})")
                del by_choice[name]
        if by_choice:
            wanted = draft.fields.new("wanted")
            values = {self._flows.names[name]: list(dict.fromkeys(messages)) for name, messages in by_choice.items()}
            draft.heard[wanted] = (
                f"{wanted}: Literal[{', '.join(map(repr, values))}] | None = choice('What does the user want?', **{values!r})"
            )
            for name in by_choice:
                draft.offers += [f"if heard.{wanted} == {self._flows.names[name]!r}:", f"    yield start({self._flows.names[name]})"]
            self._wanted = wanted
        self._by_choice = by_choice
        named = [one for one in FALLBACKS if one in self._responses.names() and not self._responses.names()[one].slots]
        draft.fallback = self._responses.names()[named[0]].id if named else ""
        for reply in self._offered.values():
            if reply.id != draft.fallback:
                draft.offers.append(f"yield say({reply.id!r}{self._responses.arguments(reply, {})})")
                reply.used = True
        if not draft.offers and draft.replies:
            for reply in draft.replies.values():
                draft.offers.append(f"yield say({reply.id!r}{self._responses.arguments(reply, {})})")
                reply.used = True

    # -- dialogues ---------------------------------------------------------------------------------

    def _dialogue(self, entry: Entry) -> None:
        turns: list[dict[str, object]] = []
        for step in _steps(entry):
            says = self._says(step)
            if says is not None:
                turns.append({"says": says, "heard": {}, "expects": ""})
            uttered = self._uttered(step)
            if uttered is not None and not turns:
                entry.item.note("the bot speaks before the user does")
                return
            if uttered == "":
                entry.item.note("the bot says words that no response of the domain has")
                return
            if uttered and not turns[-1]["expects"]:
                turns[-1]["expects"] = uttered
            for name, value in _slots_set(step):
                self._hear(turns, name, value)
        if turns and not turns[-1]["expects"]:
            turns.pop()
            entry.item.note("it ends with a message that nothing is said to; that one is left out")
        if not turns or not all(turn["expects"] for turn in turns):
            entry.item.note("a message has no answer in words that the domain has")
            return
        expected = turns[0]["expects"]
        begun = [name for name in self._by_choice if expected in self._flows.first.get(name, ())]
        if begun and expected not in self._offered:
            turns[0]["heard"] = {self._wanted: self._flows.names[begun[0]], **dict(turns[0]["heard"])}  # type: ignore[call-overload]  # a mapping by its making
        self._draft.candidates.append(Candidate(entry.item, [{key: value for key, value in turn.items() if value} for turn in turns]))

    def _says(self, step: dict[str, Any]) -> str | None:
        if isinstance(step.get("user"), str):
            return " ".join(step["user"].split()) or "..."
        if isinstance(step.get("intent"), str):
            found = self._project.examples_of(step["intent"])
            return found[0][0] if found else step["intent"].replace("_", " ")
        return None

    def _uttered(self, step: dict[str, Any]) -> str | None:
        """The id of what the bot says in a step; empty for words that the catalog has not, None where it says nothing."""
        names = [step.get("utter"), step.get("action")]
        for one in _list(step.get("assertions")):
            uttered = one.get("bot_uttered") if isinstance(one, dict) else None
            names.append(uttered.get("utter_name") if isinstance(uttered, dict) else None)
        for name in names:
            if isinstance(name, str) and (replies := self._responses.of_action(name)):
                return replies[0].id
        if isinstance(step.get("bot"), str):
            reply = self._responses.of_text(step["bot"])
            return reply.id if reply else ""
        return None

    def _hear(self, turns: list[dict[str, object]], name: str, value: Any) -> None:
        field = self._draft.fields.of(name)
        slot = self._project.slots.get(name)
        if turns and slot is not None and slot.kind != "bool" and field in self._draft.heard and value is not None:
            turns[-1]["heard"] = {**dict(turns[-1]["heard"]), field: value}  # type: ignore[call-overload]  # a mapping by its making

    def _account(self) -> None:
        """A reason for what nothing used."""
        for reason, items in (
            ("no flow, rule or story that was carried answers it with a response", self._project.intents.values()),
            ("no flow that was carried runs it", self._project.actions.values()),
            ("no response or flow that was carried uses it", [slot.item for slot in self._project.slots.values()]),
            ("its intent is not carried", [item for found in self._project.examples.values() for _, item in found]),
        ):
            for item in items:
                if not item.became:
                    item.note(reason)


def _steps(entry: Entry) -> list[dict[str, Any]]:
    return [one for one in _list(entry.data.get("steps")) if isinstance(one, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _slots_set(step: dict[str, Any]) -> list[tuple[str, Any]]:
    given = [step.get("slot_was_set")] + [one.get("slot_was_set") for one in _list(step.get("assertions")) if isinstance(one, dict)]
    found: list[tuple[str, Any]] = []
    for one in [part for each in given for part in (each if isinstance(each, list) else [each])]:
        if isinstance(one, dict) and set(one) == {"name", "value"}:
            found.append((str(one["name"]), one["value"]))
        elif isinstance(one, dict):
            found += [(str(key), value) for key, value in one.items()]
    return found
