"""The Kubernetes manifests as documents: base and components as they are, overlays where a kubectl renders them."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from uniassist.release.env.services import order_of
from uniassist.settings.known_services import PROVIDER, SERVICES

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "ops/deploy/kubernetes"
OVERLAYS = ("staging", "prod")
COMPONENT = "app.kubernetes.io/component"
# Of ours, those that are released beside the runbook's four; and all, in the order of a rollout. A new one has to
# have its place in every example.
OPTIONAL = tuple(each.name for each in SERVICES if not each.is_of_every_release)
ROLLOUT = order_of(name.removeprefix(PROVIDER) for name in OPTIONAL)
Document = dict[str, Any]


@cache
def base() -> tuple[Document, ...]:
    """With the component of each optional service, as an overlay that lists them has it, before patches."""
    return tuple(found for path in files() for found in parsed(path.read_text("utf-8")))


def files() -> list[Path]:
    folders = [FOLDER / "base", *(FOLDER / "components" / service for service in OPTIONAL)]
    return [
        folder / name
        for folder in folders
        for name in yaml.safe_load((folder / "kustomization.yaml").read_text("utf-8"))["resources"]
    ]


@cache
def overlay(name: str) -> tuple[Document, ...]:
    """As `kubectl kustomize` renders it."""
    command = ["kubectl", "kustomize", str(FOLDER / "overlays" / name)]
    return tuple(parsed(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout))


def has_kubectl() -> bool:
    return shutil.which("kubectl") is not None


def parsed(text: str) -> list[Document]:
    return [document for document in yaml.safe_load_all(text) if document]


def of_kind(documents: tuple[Document, ...], kind: str) -> dict[str, Document]:
    """By component; where one has several, the one that is named after it."""
    found: dict[str, Document] = {}
    for document in documents:
        component = document["metadata"]["labels"][COMPONENT]
        if document["kind"] == kind and (
            component not in found or document["metadata"]["name"] == f"uniassist-{component}"
        ):
            found[component] = document
    return found
