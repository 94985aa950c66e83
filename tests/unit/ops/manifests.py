"""The Kubernetes manifests as documents: the base as it is, the overlays where a kubectl renders them."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "ops/deploy/kubernetes"
OVERLAYS = ("staging", "prod")
COMPONENT = "app.kubernetes.io/component"
Document = dict[str, Any]


@cache
def base() -> tuple[Document, ...]:
    listed = yaml.safe_load((FOLDER / "base/kustomization.yaml").read_text("utf-8"))["resources"]
    return tuple(found for name in listed for found in parsed((FOLDER / "base" / name).read_text("utf-8")))


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
    """By component."""
    found = [document for document in documents if document["kind"] == kind]
    return {document["metadata"]["labels"][COMPONENT]: document for document in found}
