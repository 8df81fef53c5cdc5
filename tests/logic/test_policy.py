"""Policies are matched against their catalog and checked for purity when they are registered; each misfit names its line."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from constrained import Policy, policy, say
from constrained.analysis.check import load_anew
from constrained.catalog.load import catalog_from
from constrained.errors import PackError, PolicyError
from tests.logic.packs import HEADER, PLAIN, catalog_data, make, marked_lines, problems_of, write

GOOD = '''
@policy("shop")
def desk(state: Shop, heard: Heard):
    """Greets."""
    yield say("hello")
    yield say("price", price=PRICE)
    if heard.angry:
        yield say("bye")
'''


def desk(body: str, signature: str = "state: Shop, heard: Heard", reach: str = "") -> str:
    """A policy with that body, which reaches all three responses of PLAIN."""
    lines = "\n".join(f"    {line}" for line in body.strip("\n").splitlines())
    return (
        f"\n{reach}\n\n@policy('shop')\ndef desk({signature}):\n    yield say('hello')\n    yield say('bye')\n"
        f"    yield say('price', price=PRICE)\n{lines}\n"
    )


BAD = {
    "unknown id": (desk("yield say('helo')  # <-"), "the catalog 'shop' has no response 'helo'", "did you mean 'hello'?"),
    "unknown id, nothing near": (desk("yield say('zzz')  # <-"), "has no response 'zzz'", "add it to"),
    "unknown id in an else": (desk("yield say('hello' if heard.angry else 'by')  # <-"), "has no response 'by'", "did you mean 'bye'?"),
    "missing slot": (desk("yield say('price')  # <-"), "'price' needs the slot 'price'", 'say("price", price=...)'),
    "unknown slot": (desk("yield say('hello', name=3)  # <-"), "'hello' has no slot 'name'", "its slots: none"),
    "misspelt slot": (desk("yield say('price', price=1, prize=1)  # <-"), "'price' has no slot 'prize'", "did you mean 'price'?"),
    "slot of the wrong literal": (desk("yield say('price', price='fifty')  # <-"), "takes integer, not str 'fifty'", "declared in"),
    "slot of the wrong constant": (desk("yield say('price', price=IDS)  # <-"), "takes integer, not tuple", ""),
    "slot with a float": (desk("yield say('price', price=1.5)  # <-"), "takes integer, not float 1.5", ""),
    "slot with a bool": (desk("yield say('price', price=True)  # <-"), "takes integer, not bool True", ""),
    "slot with None": (desk("yield say('price', price=None)  # <-"), "takes integer, not None", ""),
    "slot from a field": (desk("yield say('price', price=state.name)  # <-"), "takes integer, not str (state.name)", ""),
    "slot from a bool field": (desk("yield say('price', price=state.opened)  # <-"), "takes integer, not bool (state.opened)", ""),
    "slot from what was heard": (desk("yield say('price', price=heard.angry)  # <-"), "takes integer, not bool (heard.angry)", ""),
    "slot from a loop over a field": (
        desk("for item in state.belt:\n    yield say('price', price=item)  # <-"), "takes integer, not Item (item)", "",
    ),
    "slot from an f-string": (desk("yield say('price', price=f'{PRICE}')  # <-"), "takes integer, not str", ""),
    "slot from str()": (desk("yield say('price', price=str(PRICE))  # <-"), "takes integer, not str", ""),
    "slots from **": (desk("yield say('price', **{'price': 1})  # <-"), "come from **, so they cannot be checked", "write slot=value"),
    "no id": (desk("yield say()  # <-"), "say() takes one response id", ""),
    "two ids": (desk("yield say('hello', 'bye')  # <-"), "say() takes one response id", ""),
    "id from the state": (desk("yield say(state.name)  # <-"), "the file does not tell which response this is", "use literals"),
    "id from a parameter": (
        desk("yield from helper('hello')", reach="def helper(name):\n    yield say(name)  # <-"), "does not tell", "use literals",
    ),
    "id from an f-string": (desk("yield say(f'{state.name}')  # <-"), "the file does not tell", "use literals"),
    "id that is no text": (desk("yield say(PRICE)  # <-"), "the file does not tell", "use literals"),
    "offer not yielded": (desk("say('hello')  # <-"), "say() is made but never yielded", "yield say(...)"),
    "after on say": (desk("yield say('hello').after()  # <-"), ".after() on say(): only an obligation has a place", "must"),
    "after on only": (desk("yield only('hello').once().after()  # <-"), ".after() on only()", "must"),
    "then on must": (desk("yield must('hello').then(pay, 3)  # <-"), "an obligation has no effects", ""),
    "then without an effect": (desk("yield say('hello').then()  # <-"), ".then() names no effect", ""),
    "then with a function": (
        desk("yield say('hello').then(plain, 3)  # <-", reach="def plain(state):\n    return state"), "plain is not an effect", "@effect",
    ),
    "then with a later function": (
        desk("yield say('hello').then(plain, 3)  # <-") + "\n\ndef plain(state):\n    return state\n", "plain is not an effect", "@effect",
    ),
    "then with a call": (desk("yield say('hello').then(pay(state, 3))  # <-"), "pay(state, 3) is not an effect", "not its result"),
    "then with a lambda": (desk("yield say('hello').then(lambda state: state)  # <-"), "is not an effect", ""),
    "then with too few arguments": (desk("yield say('hello').then(pay)  # <-"), "pay(state, gold) cannot be called", "arguments"),
    "then with too many arguments": (desk("yield say('hello').then(pay, 1, 2)  # <-"), "too many positional arguments", "arguments"),
    "then with a wrong name": (desk("yield say('hello').then(pay, silver=2)  # <-"), "cannot be called", "arguments"),
    "then that the precondition cannot take": (
        desk("yield say('hello').then(ring, 2)  # <-", reach="@effect(requires=lambda state: True)\ndef ring(state, n):\n    return state"),
        "the precondition of ring(state) cannot be called", "arguments",
    ),
    "must of the fallback": (desk("yield must('pardon')  # <-"), "the fallback 'pardon' cannot be an obligation", ""),
    "write to the state": (desk("state.gold = 3  # <-"), "state.gold is written", "@effect"),
    "write to what was heard": (desk("heard.angry = True  # <-"), "heard.angry is written", "@effect"),
    "augmented write": (desk("state.gold += 3  # <-"), "state.gold is written", ""),
    "deletion": (desk("del state.gold  # <-"), "state.gold is written", ""),
    "global": (desk("global SEEN  # <-"), "global SEEN: a policy keeps nothing between turns", ""),
    "write to a module's table": (
        desk("SEEN['a'] = 1  # <-", reach="SEEN = {}"), "SEEN['a'] is written", "",
    ),
    "change of a module's list": (desk("SEEN.append(1)  # <-", reach="SEEN = []"), "SEEN.append() changes a value that outlives", ""),
    "open": (desk("open('x')  # <-"), "open() reads or writes files", ""),
    "print": (desk("print(state)  # <-"), "print() writes to the terminal", ""),
    "input": (desk("input()  # <-"), "input() waits", ""),
    "eval": (desk("eval('1')  # <-"), "eval() runs text as code", ""),
    "exec": (desk("exec('1')  # <-"), "exec() runs text as code", ""),
    "__import__": (desk("__import__('os')  # <-"), "__import__() imports", ""),
    "import": (desk("import os  # <-"), "an import inside a policy", "top of the file"),
    "from import": (desk("from os import path  # <-"), "an import inside a policy", ""),
    "random": (desk("if random.random() < 0.5:  # <-\n    yield say('hello')"), "random: the module random draws lots", ""),
    "time": (desk("if time.time() > 3:  # <-\n    yield say('hello')"), "time: the module time reads the clock", ""),
    "function of random": (
        desk("if choice_of((1, 2)) == 1:  # <-\n    yield say('hello')", reach="from random import choice as choice_of"), "draws lots", "",
    ),
    "now": (desk("if dt.datetime.now():  # <-\n    yield say('hello')"), "dt.datetime.now() reads the clock", "put the day into the State"),
    "utcnow": (desk("if dt.datetime.utcnow():  # <-\n    yield say('hello')"), "utcnow() reads the clock", ""),
    "today": (desk("if dt.date.today() > state.day:  # <-\n    yield say('hello')"), "dt.date.today() reads the clock", ""),
    "today of the class": (
        desk("if Day.today() > state.day:  # <-\n    yield say('hello')", reach="from datetime import date as Day"),
        "Day.today() reads", "",
    ),
    "effect run": (desk("state = pay(state, 3)  # <-"), "pay() runs an effect in the policy", ".then(pay, ...)"),
    "await": (
        "\n@policy('shop')\nasync def desk(state: Shop):  # <-\n    yield say('hello')\n    yield say('bye')\n"
        "    yield say('price', price=1)\n",
        "desk is async", "write def",
    ),
    "impure helper": (
        desk("yield from helper(state)", reach="def helper(state):\n    print(state)  # <-\n    yield say('hello')"), "print() writes", "",
    ),
    "impure helper of a helper": (
        desk(
            "if one(state):\n    yield say('hello')",
            reach="def one(state):\n    return two(state)\n\n\ndef two(state):\n    return time.time()  # <-",
        ),
        "reads the clock", "",
    ),
    "mutable default of a helper": (
        desk("yield from helper(state)", reach="def helper(state, seen=[]):  # <-\n    yield say('hello')"), "mutable default", "tuple",
    ),
    "helper of another module": (
        desk("yield from chain((say('hello'),), ())  # <-", reach="from itertools import chain"),
        "chain is not a function of this file", "",
    ),
    "not a generator": (
        "\n@policy('shop')\ndef desk(state: Shop, heard: Heard):  # <-\n    return say('hello'), say('bye'), say('price', price=PRICE)\n",
        "desk yields nothing: a policy is a generator", "yield",
    ),
    "yield in an inner function only": (
        "\n@policy('shop')\ndef desk(state: Shop):  # <-\n    def inner():\n        yield say('hello')\n        yield say('bye')\n"
        "        yield say('price', price=1)\n    return inner()\n",
        "desk yields nothing", "",
    ),
    "no annotation": (
        desk("yield say('hello')", "state").replace("def desk(state):", "def desk(state):  # <-"),
        "'state' is annotated with nothing", ""),
    "state is no State": (
        desk("", "state: int").replace("int):", "int):  # <-"),
        "the parameter 'state' is annotated with int, not with a State", ""),
    "heard is no Understanding": (
        desk("", "state: Shop, heard: Shop").replace("Shop):", "Shop):  # <-"),
        "'heard' is annotated with Shop, not with a Understanding", "",
    ),
    "too many parameters": (
        desk("", "state: Shop, heard: Heard, more: int").replace("int):", "int):  # <-"), "is not (state) or (state, heard)", "def name",
    ),
    "no parameter": (desk("", "").replace("desk():", "desk():  # <-"), "is not (state) or (state, heard)", ""),
    "star parameter": (desk("", "*state: Shop").replace("Shop):", "Shop):  # <-"), "is not (state) or (state, heard)", ""),
    "default of a parameter": (desk("", "state: Shop = Shop()").replace("Shop()):", "Shop()):  # <-"), "is not (state)", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_policy_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    body, message, hint = BAD[name]
    problems, path = problems_of(tmp_path, body)
    assert sorted({problem.line for problem in problems}) == marked_lines(path), problems
    assert all(problem.file == str(path) for problem in problems)
    assert message in problems[0].message
    assert hint in problems[0].hint


ENTITIES = {
    "no such field": ("str | None", "among='order', by='id'", "Shop2 has no field 'order'"),
    "no collection": ("str | None", "among='gold'", "Shop2.gold is no tuple or frozenset"),
    "no such attribute": ("str | None", "among='orders', by='name'", "Order has no 'name'"),
    "another type": ("int | None", "among='orders', by='id'", "it gives str, and the field holds int"),
    "the thing, not its id": ("str | None", "among='orders'", "it gives Order, and the field holds str"),
}


@pytest.mark.parametrize("name", ENTITIES)
def test_an_entity_that_the_state_does_not_hold_is_told(name: str, tmp_path: Path) -> None:
    annotation, arguments, message = ENTITIES[name]
    body = f"""
    class Order(State):
        id: str


    class Shop2(Shop):
        orders: tuple[Order, ...] = ()


    class Heard2(Understanding):
        order: {annotation} = entity("Which?", {arguments})


    @policy("shop")
    def desk(state: Shop2, heard: Heard2):  # <-
        yield say("hello")
    """
    (problem,), path = problems_of(tmp_path, body, hello="Hello.")
    assert problem.message == f"Heard2.order asks for an entity, but {message}"
    assert [problem.line] == marked_lines(path)


UNREACHED = {
    "never named": "yield say('hello')",
    "behind a return": "yield say('hello')\nreturn\nyield say('bye')",
    "behind returns on both sides": "if heard.angry:\n    return\nelse:\n    return\nyield say('bye')",
    "under if False": "yield say('hello')\nif False:\n    yield say('bye')",
    "under an else of if True": "if True:\n    yield say('hello')\nelse:\n    yield say('bye')",
    "in a function that nobody calls": "yield say('hello')",
    "dropped": "yield say('hello')\nsay('bye')",
}


@pytest.mark.parametrize("name", UNREACHED)
def test_a_response_that_no_yield_reaches_is_told(name: str, tmp_path: Path) -> None:
    lines = "\n".join(f"    {line}" for line in UNREACHED[name].splitlines())
    head = "\ndef nobody():\n    yield say('bye')\n\n\n@policy('shop')\ndef desk(state: Shop, heard: Heard):\n"
    body = f"{head}{lines}\n    yield say('hello')\n"
    problems, path = problems_of(tmp_path, body, hello="Hello.", bye="Goodbye.")
    found = [problem for problem in problems if "no yield can reach" in problem.message]
    (problem,) = found if name != "behind returns on both sides" else [one for one in found if "'bye'" in one.message]
    assert "no yield can reach the response 'bye'" in problem.message
    assert f"{path.parent.parent}/catalogs/shop.yaml:1" in problem.message
    assert problem.line == path.read_text().splitlines().index("def desk(state: Shop, heard: Heard):") + 1


def test_the_fallback_and_reserved_responses_need_no_yield(tmp_path: Path) -> None:
    later = {"text": "Later.", "tags": ["reserve"]}
    assert make(tmp_path, "\n@policy('shop')\ndef desk(state: Shop):\n    yield say('hello')\n", hello="Hello.", later=later)


ALLOWED = {
    "literals": "yield say('hello')\nyield say('bye')",
    "conditional": "yield say('hello' if heard.angry else 'bye')",
    "constant": "yield say(HELLO)\nyield say(BYE)",
    "loop over a constant": "for name in IDS:\n    yield say(name)",
    "loop over a literal": "for name in ('hello', 'bye'):\n    yield say(name).once()",
    "loop with unpacking": "for name, gold in TABLE:\n    if state.gold >= gold:\n        yield say(name)",
    "local name": "name = 'hello'\nif heard.angry:\n    name = 'bye'\nyield say(name)",
    "table": "yield say(BY_ITEM[Item.KEY])",
    "or": "yield say('hello' or 'bye')",
    "walrus": "if (name := 'hello' if heard.angry else 'bye'):\n    yield say(name)",
    "generator expression": "yield from (say(name) for name in IDS)",
    "tuple": "yield from (say('hello'), say('bye'))",
    "list then loop": "offers = [say('hello')]\noffers.append(say('bye'))\nyield from offers",
    "helper that returns": "yield one(state)\nyield say('bye')",
    "helper that yields": "yield from two(state)",
    "helper that yields, then a loop": "for offer in two(state):\n    yield offer",
    "late helper": "yield from later(state)",
    "match": "match state.gold:\n    case 0:\n        yield say('hello')\n    case _ if heard.angry:\n        yield say('bye')",
    "slots from branches": "yield say('hello')\nyield say('bye')\nprice = state.gold if state.gold else PRICE",
    "own containers": "seen = {}\nseen['a'] = 1\nnames = set()\nnames.add('a')\nyield say('hello')\nyield say('bye')",
    "date arithmetic": "if state.day + dt.timedelta(days=3) < dt.date(2026, 3, 9):\n    yield say('hello')\nyield say('bye')",
    "a local called today": "today = state.day\nif today.year:\n    yield say('hello')\nyield say('bye')",
}  # fmt: skip


@pytest.mark.parametrize("name", ALLOWED)
def test_ids_that_the_file_tells_are_taken(name: str, tmp_path: Path) -> None:
    lines = "\n".join(f"    {line}" for line in ALLOWED[name].splitlines())
    body = (
        "\nHELLO: str = 'hello'\nBYE = 'bye'\nTABLE = (('hello', 3), ('bye', 4))\nBY_ITEM = {Item.KEY: 'hello', Item.LAMP: 'bye'}\n\n\n"
        "def one(state):\n    return say('hello')\n\n\ndef two(state):\n    yield say('hello')\n    yield say('bye')\n\n\n"
        f"@policy('shop')\ndef desk(state: Shop, heard: Heard):\n{lines}\n\n\n"
        "def later(state):\n    yield say('hello')\n    yield say('bye')\n"
    )
    policy = make(tmp_path, body, hello="Hello.", bye="Goodbye.")
    assert policy(policy.state_type(gold=5), policy.heard_type(angry=True))  # type: ignore[misc]  # it hears something


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    problems, path = problems_of(tmp_path, desk("yield say('helo')  # <-\nprint(1)  # <-\nyield say('price')  # <-"))
    assert [problem.line for problem in problems] == marked_lines(path)


# -- what a policy is --------------------------------------------------------------------------------


def test_a_policy_knows_its_catalog_types_and_text(tmp_path: Path) -> None:
    policy = make(tmp_path, GOOD)
    text = Path(policy.file).read_text()
    assert (policy.name, policy.catalog.name) == ("shop", "shop")
    assert (policy.state_type.__name__, policy.heard_type.__name__) == ("Shop", "Heard")  # type: ignore[union-attr]
    assert policy.source == text
    assert policy.rules == GOOD.lstrip("\n")
    assert policy.hash == "sha256:" + hashlib.sha256(text.encode()).hexdigest()
    assert (policy.__name__, policy.__doc__) == ("desk", "Greets.")
    assert text.splitlines()[policy.line - 1] == '@policy("shop")'
    assert repr(policy) == f"<Policy 'shop' {policy.file}:{policy.line}>"


def test_the_hash_does_not_see_how_lines_end(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    first = load_anew(str(path), "desk").hash
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert load_anew(str(path), "desk").hash == first
    path.write_bytes(path.read_bytes() + b"# more\r\n")
    assert load_anew(str(path), "desk").hash != first


def test_a_policy_may_hear_nothing(tmp_path: Path) -> None:
    policy = make(tmp_path, "\n@policy('shop')\ndef desk(state: Shop):\n    yield say('hello')\n", hello="Hello.")
    assert policy.heard_type is None
    assert [offer.response_id for offer in policy(policy.state_type())] == ["hello"]


def test_annotations_may_be_written_as_text(tmp_path: Path) -> None:
    header = HEADER.replace('"""A desk of the tests."""\n', '"""A desk of the tests."""\nfrom __future__ import annotations\n')
    assert make(tmp_path, GOOD, header=header).state_type.__name__ == "Shop"


def test_names_may_be_imported_in_any_way(tmp_path: Path) -> None:
    body = """
    import constrained as c
    from constrained import say as tell


    @c.policy("shop")
    def desk(state: Shop):
        yield tell("hello")
        yield c.say("by")  # <-
    """
    problems, path = problems_of(tmp_path, body, hello="Hello.", bye="Bye.")
    assert [problem.line for problem in problems][-1:] == marked_lines(path)


# -- where the catalog is found ----------------------------------------------------------------------


def test_a_catalog_lies_beside_the_logic_folder_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    write(there, GOOD)
    monkeypatch.chdir(there)
    path = write(here, GOOD)
    assert load_anew(str(path), "desk").catalog.path.startswith(str(here))
    (here / "catalogs" / "shop.yaml").unlink()
    assert load_anew(str(path), "desk").catalog.path.startswith(str(there))
    (there / "catalogs" / "shop.yaml").unlink()
    with pytest.raises(PackError, match="there is no catalog 'shop'"):
        load_anew(str(path), "desk")


@pytest.mark.parametrize("given", ["'../catalogs/shop.yaml'", "PATH", "Path(PATH)"])
def test_a_catalog_may_be_a_path(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "catalogs" / "shop.yaml"
    body = GOOD.replace('policy("shop")', f"policy({given})")
    assert make(tmp_path, f"from pathlib import Path\nPATH = {str(path)!r}\n{body}").name == "shop"


@pytest.mark.parametrize("given", ["'words.yaml'", "Path('words.yaml')"])
def test_a_relative_path_is_looked_up_beside_the_logic_file_then_in_the_working_directory(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    there.mkdir()
    here.mkdir()
    path = write(here, "from pathlib import Path\n" + GOOD.replace('"shop"', given))
    beside = path.with_name("words.yaml")
    (here / "catalogs" / "shop.yaml").rename(beside)
    (there / "words.yaml").write_bytes(beside.read_bytes())
    monkeypatch.chdir(there)
    assert Path(load_anew(str(path), "desk").catalog.path).resolve() == beside
    beside.unlink()
    assert Path(load_anew(str(path), "desk").catalog.path).resolve() == there / "words.yaml"
    (there / "words.yaml").unlink()
    with pytest.raises(PackError, match=r"there is no catalog words\.yaml") as caught:
        load_anew(str(path), "desk")
    assert caught.value.searched == (path.parent, there)


PROCEDURE = """
@procedure({given})
async def desk(state: Shop):
    await tell("hello")
    await tell("price", price=PRICE)
    await tell("bye")
"""


@pytest.mark.parametrize(
    "given", ['"shop"', '"../catalogs/shop.yaml"', 'Catalog.load(Path(__file__).parents[1] / "catalogs" / "shop.yaml")']
)
@pytest.mark.parametrize("kind", ["policy", "procedure"])
def test_a_logic_file_finds_its_catalog_from_any_working_directory(given: str, kind: str, tmp_path: Path) -> None:
    body = GOOD.replace('"shop"', given) if kind == "policy" else PROCEDURE.format(given=given)
    imports = "from pathlib import Path\nfrom constrained import Catalog, procedure\nfrom constrained.steps import tell\n"
    path = write(tmp_path, f"{imports}{body}\nprint(desk.catalog.name, len(desk.catalog.responses))\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done = subprocess.run([sys.executable, path], cwd=elsewhere, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "shop 4\n"), done.stderr


def test_a_path_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"there is no catalog nowhere\.yaml"):
        make(tmp_path, GOOD.replace('"shop"', '"nowhere.yaml"'))


def test_a_catalog_may_be_a_value(tmp_path: Path) -> None:
    catalog = catalog_from(catalog_data(**PLAIN))
    body = "from tests.logic.test_policy import CATALOG\n" + GOOD.replace('"shop"', "CATALOG")
    globals()["CATALOG"] = catalog
    assert make(tmp_path, body).catalog is catalog


def test_what_is_decorated_must_be_a_function_in_a_file() -> None:
    with pytest.raises(PolicyError, match="takes a name, a path or a Catalog, not int"):
        policy(3)(test_what_is_decorated_must_be_a_function_in_a_file)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(PolicyError, match="decorates a function, not type"):
        policy("shop")(type)
    with pytest.raises(PolicyError, match="the source of the policy desk is not at hand"):
        exec("@policy('shop')\ndef desk(state):\n    yield say('hello')\n", {"policy": policy, "say": say})


# -- running -----------------------------------------------------------------------------------------

CRASHES = {
    "an exception": ("x = 1 // state.gold  # <-\nyield say('hello')", "ZeroDivisionError: integer division or modulo by zero"),
    "an exception in a helper": ("yield from broken(state)", "AttributeError: 'int' object has no attribute 'nothing'"),
    "something else than an offer": ("yield 3  # <-", "yielded int 3"),
    "something else from a helper": ("yield from odd()", "yielded str 'hello'"),
    "a tuple of offers": ("yield (say('hello'), say('hello'))  # <-", "yielded tuple"),
    "no end": ("while True:\n    yield say('hello')  # <-", "yields more than 100,000 offers"),
    "a computed effect": ("yield say('hello').then((lambda: 3)())", ".then(3) means nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", CRASHES)
def test_what_goes_wrong_at_run_time_names_its_line(name: str, tmp_path: Path) -> None:
    body, message = CRASHES[name]
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    helpers = "\ndef broken(state):\n    yield state.gold.nothing  # <broken\n\n\ndef odd():\n    yield 'hello'  # <odd\n\n\n"
    text = f"{helpers}\n@policy('shop')\ndef desk(state: Shop):\n{lines}\n    yield say('hello')\n"
    if name == "a computed effect":
        text = text.replace("(lambda: 3)()", "state.gold").replace(".then(state.gold)", ".then(state.gold)  # <-")
        message = ".then(0) means nothing"
    policy = make(tmp_path, text, hello="Hello.")
    with pytest.raises(PolicyError) as caught:
        policy(policy.state_type())
    assert message in str(caught.value)
    mark = {"an exception in a helper": "# <broken", "something else from a helper": "# <odd"}.get(name, "# <-")
    assert [problem.line for problem in caught.value.problems] == marked_lines(Path(policy.file), mark)
    assert {problem.file for problem in caught.value.problems} == {policy.file}


def test_heard_defaults_when_it_is_left_out(tmp_path: Path) -> None:
    policy = make(tmp_path, GOOD)
    state, heard = policy.state_type(), policy.heard_type
    assert heard is not None
    assert policy(state) == policy(state, heard())
    assert len(policy(state, heard(angry=True))) == 3


# -- specificity -------------------------------------------------------------------------------------


def test_specificity_counts_the_conditions_on_the_way(tmp_path: Path) -> None:
    body = """
    def helper(state, heard):
        yield say("bye")  # 2
        if heard.angry:
            yield say("bye").once()  # 3


    @policy("shop")
    def desk(state: Shop, heard: Heard):
        yield say("hello")  # 0
        if heard.angry and not (state.gold > 3 or state.opened):
            yield say("hello")  # 3
            yield from helper(state, heard)
        elif state.opened:
            yield say("hello")  # 4
        elif state.gold:
            yield say(  # 5
                "hello"  # 5
            )
        else:
            yield say("hello")  # 5
        for item in Item:
            if item in state.belt:
                yield say("hello")  # 1
        match state.gold:
            case 1 | 2 if heard.angry:
                yield say("hello")  # 2
            case _:
                yield say("hello")  # 1
        while state.gold and heard.angry:
            yield from helper(state, heard)
        if state.gold: yield say("hello")  # 1
        with_slots = say("price", price=3)  # 0
        yield with_slots
    """
    policy = make(tmp_path, body)
    expected = {
        number: int(line.rpartition("# ")[2])
        for number, line in enumerate(policy.source.splitlines(), 1)
        if line.rpartition("# ")[2].isdigit()
    }
    assert len(expected) == 13
    assert {line: policy.conditions_by_line.get(line, 0) for line in expected} == expected
    assert not {1, 10**6} & policy.conditions_by_line.keys()


def test_the_shipped_packs_are_policies() -> None:
    from constrained import list_packs, load_policy

    assert [isinstance(load_policy(name), Policy) for name in list_packs()] == [True] * len(list_packs())


def test_a_policy_cannot_be_changed(tmp_path):
    found = make(tmp_path, GOOD)
    assert found.procedures.definitions == {}
    attributes = [*vars(found), *(name for name in dir(Policy) if not name.startswith("__")), "new"]
    for name in attributes:
        before = getattr(found, name, None)
        with pytest.raises(AttributeError, match=f"a policy cannot be changed: {name}"):
            setattr(found, name, before)
        with pytest.raises(AttributeError, match=f"a policy cannot be changed: {name}"):
            delattr(found, name)
        assert getattr(found, name, None) == before
    for name, value in vars(found).items():
        assert name.startswith("__") or not isinstance(value, dict | list | set), name


def test_a_policy_equals_itself_alone(tmp_path):
    found = make(tmp_path, GOOD)
    twin = found.__replace__()
    assert found == found
    assert found != twin
    assert hash(found) == object.__hash__(found)
    assert len({found, twin}) == 2
    other = found.__replace__(name="other")
    assert (found.name, other.name) == ("shop", "other")
    with pytest.raises(AttributeError):
        other.name = "shop"
