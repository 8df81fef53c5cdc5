"""Loading a model: what is right is loaded, everything else is a typed error that says what to do."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
import transformers

from constrained.engines.transformers import TransformersEngine
from constrained.errors import ConstrainedError, EngineError, ModelNotFoundError
from tests.engines.asked import scores
from tests.engines.decoding import tiny


@pytest.fixture(scope="module")
def good(tmp_path_factory, network):
    """A folder with a model as transformers saves it."""
    folder = tmp_path_factory.mktemp("models") / "good"
    saved(folder, network)
    return folder


@pytest.fixture(autouse=True)
def _no_network(monkeypatch, tmp_path):
    """No hub, and no model of this machine's user."""
    monkeypatch.setenv("CONSTRAINED_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


def saved(folder, network):
    network.save_pretrained(folder)
    tiny.bpe().save_pretrained(folder)
    return folder


@pytest.fixture
def copy(good, tmp_path):
    """The good folder, to be broken."""
    return shutil.copytree(good, tmp_path / "broken")


def test_a_saved_model_scores_like_the_one_in_memory(good, network):
    engine, around = TransformersEngine(good, dtype="float32"), TransformersEngine.around(network, tiny.bpe())
    assert scores(engine) == scores(around)
    assert engine.identity["weights"] == around.identity["weights"]
    assert engine.identity["tokenizer"] == around.identity["tokenizer"]
    assert engine.identity["model"] == str(good)


@pytest.mark.parametrize(("dtype", "told"), [("float32", "float32"), ("bfloat16", "bfloat16")])
def test_the_dtype_asked_for_is_the_one_loaded(good, dtype, told):
    engine = TransformersEngine(str(good), dtype=dtype, device="cpu")
    assert engine.identity["dtype"] == told
    assert engine.reader.model.dtype == getattr(torch, told)


def test_a_dtype_of_its_own_choice_is_one_that_scoring_supports(good):
    assert TransformersEngine(good).identity["dtype"] in ("float32", "bfloat16")


def test_tied_weights_are_no_missing_ones(tmp_path):
    folder = saved(tmp_path / "tied", tiny.network(tie_word_embeddings=True))
    assert TransformersEngine(folder).identity["scoring"] == "tree"


# -- a model that is not there ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["smollm2-135m", "HuggingFaceTB/SmolLM2-135M-Instruct", "nobody/nothing", "nonesuch", "", "no/such/folder/here", "absent.gguf"]
)
def test_a_missing_model_says_which_command_gets_it(name):
    with pytest.raises(ModelNotFoundError) as caught:
        TransformersEngine(name)
    assert caught.value.model == name
    assert caught.value.hint.startswith("constrained model get smollm2-135m")


def test_the_hub_is_asked_once_and_not_for_a_minute(monkeypatch):
    asked = []
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *args, **options: asked.append(args) or 1 / 0)
    with pytest.raises(ModelNotFoundError):
        TransformersEngine("nobody/nothing")
    assert asked == [("nobody/nothing",)]
    with pytest.raises(ModelNotFoundError):
        TransformersEngine("smollm2-135m")
    assert len(asked) == 1, "an alias of ours is no repository of the hub"


# -- a model that cannot be used --------------------------------------------------------------------------


def setting(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")

    return change


def content(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def without(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


BREAKS = {
    "no config": without("config.json"),
    "no tokenizer": without("tokenizer.json", "tokenizer_config.json"),
    "no weights": without("model.safetensors"),
    "nothing at all": without("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"),
    "config of half a line": content("config.json", b'{"model_type":'),
    "config that is a list": content("config.json", b"[]"),
    "tokenizer of nothing": content("tokenizer.json", b"{}"),
    "weights of nothing": content("model.safetensors", b""),
    "weights of garbage": content("model.safetensors", b"\xff" * 500),
    "weights cut off": cut,
    "unknown kind": setting(model_type="nonesuch"),
    "text for a number": setting(hidden_size="many"),
    "heads that do not fit": setting(num_attention_heads=5),
    "another width": setting(hidden_size=64),
    "more layers than weights": setting(num_hidden_layers=3),
    "another kind of model": setting(model_type="t5"),
}


@pytest.mark.parametrize("break_it", BREAKS.values(), ids=BREAKS)
def test_a_broken_folder_is_an_engine_error(copy, break_it):
    break_it(copy)
    with pytest.raises(EngineError, match="could not be loaded") as caught:
        TransformersEngine(copy)
    assert type(caught.value) is EngineError
    assert str(copy) in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message


@pytest.mark.parametrize("name", ["model.bin", "model.gguf"])
def test_a_file_that_is_no_model_is_an_engine_error(tmp_path, name):
    (tmp_path / name).write_bytes(b"GGUF and so on")
    with pytest.raises(EngineError, match="could not be loaded"):
        TransformersEngine(tmp_path / name)


@pytest.mark.parametrize(
    "make", [lambda: tiny.network("bert"), lambda: bert_of(transformers.BertForMaskedLM), lambda: bert_of(transformers.BertModel)]
)
def test_an_encoder_is_an_engine_error(tmp_path, make):
    with pytest.raises(EngineError):
        TransformersEngine(saved(tmp_path / "encoder", make()))


def bert_of(kind):
    """Random weights of one seed: how much a random encoder's tokens see of later ones is a matter of chance."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return kind(transformers.BertConfig(**tiny.FAMILIES["bert"][1]))


def test_a_model_that_reads_and_writes_is_an_engine_error(tmp_path):
    settings = {"vocab_size": 400, "d_model": 16, "d_ff": 16, "num_layers": 1, "num_heads": 2, "d_kv": 8}
    with pytest.raises(EngineError, match="could not be loaded"):
        TransformersEngine(saved(tmp_path / "t5", transformers.T5ForConditionalGeneration(transformers.T5Config(**settings))))


@pytest.mark.parametrize("dtype", ["float16", "int8", "auto", "", "torch.float32"])
def test_a_dtype_that_scoring_does_not_support_is_an_engine_error(good, dtype):
    with pytest.raises(EngineError, match="dtype") as caught:
        TransformersEngine(good, dtype=dtype)
    assert "float32" in caught.value.hint


@pytest.mark.parametrize("device", ["nonesuch", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_an_engine_error(good, device):
    with pytest.raises(EngineError):
        TransformersEngine(good, device=device)


def test_weights_that_are_no_numbers_are_an_engine_error(tmp_path):
    network = tiny.network()
    with torch.no_grad():
        network.model.norm.weight[0] = float("nan")
    with pytest.raises(EngineError, match="not finite"):
        TransformersEngine(saved(tmp_path / "nan", network))


@pytest.mark.parametrize("model", [3, None, b"x", ["a"]])
def test_what_is_no_name_is_a_typed_error(model):
    with pytest.raises(ConstrainedError):
        TransformersEngine(model)
