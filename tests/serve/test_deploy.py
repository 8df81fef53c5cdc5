"""The files under deploy/: they parse, fit together, and give our command options that it has."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from constrained.cli.main import app
from constrained.serve.access.guard import FREE_PATHS

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
PARTS = [one for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")) for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))]
DEPLOYMENTS = {one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in PARTS if one["kind"] == "Deployment"}


def known_options():
    serve = get_command(app).commands["serve"]
    return {name for parameter in serve.params for name in (*parameter.opts, *parameter.secondary_opts)}


COMMANDS = [COMPOSE["services"]["server-1"]["command"], DEPLOYMENTS["constrained"]["containers"][0]["args"]]


@pytest.mark.parametrize("command", COMMANDS, ids=["compose", "kubernetes"])
def test_our_command_has_the_options(command):
    assert command[0] == "serve"
    assert {one.partition("=")[0] for one in command if one.startswith("--")} <= known_options()
    assert not [one for one in command if "=" in one and one.endswith("=")]


def test_every_part_of_kubernetes_is_one():
    assert {(one["kind"], one["metadata"]["name"]) for one in PARTS} == {
        ("Deployment", "constrained"), ("Service", "constrained"), ("PodDisruptionBudget", "constrained"),
        ("Deployment", "vllm"), ("Service", "vllm"), ("NetworkPolicy", "vllm"),
    }  # fmt: skip
    assert all(one["apiVersion"] for one in PARTS)
    for one in PARTS:
        if one["kind"] == "Deployment":
            spec = one["spec"]
            assert spec["selector"]["matchLabels"] == spec["template"]["metadata"]["labels"]
        if one["kind"] == "Service":
            assert one["spec"]["selector"]["app"] in DEPLOYMENTS


def test_volumes_and_ports_that_are_named_are_there():
    for spec in DEPLOYMENTS.values():
        for container in spec["containers"]:
            assert {one["name"] for one in container.get("volumeMounts", [])} <= {one["name"] for one in spec.get("volumes", [])}
            ports = {one["name"] for one in container["ports"]}
            for probe in ("readinessProbe", "livenessProbe"):
                if probe in container:
                    assert container[probe]["httpGet"]["port"] in ports


def test_probes_need_no_token_and_call_a_name_that_is_served():
    container = DEPLOYMENTS["constrained"]["containers"][0]
    for probe in ("readinessProbe", "livenessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["path"] in FREE_PATHS
        assert f"--host-name={asked['httpHeaders'][0]['value']}" in container["args"]


def test_what_compose_names_is_there():
    services = COMPOSE["services"]
    for one in services.values():
        assert set(one.get("depends_on", {})) <= set(services)
        assert set(one.get("secrets", [])) <= set(COMPOSE["secrets"])
    assert "vllm" in services
    assert "--vllm-url=http://vllm:8000" in services["server-1"]["command"]
