"""`python -m tests.manifests`: the files of ops/deploy against the schemas of docker compose and of Kubernetes.

The schemas come with two packages that nothing else needs (requirements/manifests.txt); kubectl renders overlays.
What we ask of the files ourselves is in tests/unit/ops, and needs neither.
"""

from __future__ import annotations

import json
import re
import sys

import compose_spec
import kubernetes_validate
import yaml

from tests.unit.ops import manifests

# The oldest that has all that is used (`preStop.sleep`), and the newest that is known here.
_VERSIONS = ("1.30", "1.37")


def main() -> int:
    if not manifests.has_kubectl():
        print("manifests: kubectl isn't installed, and nothing else renders overlays")
        return 1
    _check_compose()
    print("compose.yaml: ok")
    for name in manifests.OVERLAYS:
        documents = manifests.overlay(name)
        for version in _VERSIONS:
            for document in documents:
                kubernetes_validate.validate(document, version, strict=True)
        print(f"kubernetes, {name}: {len(documents)} objects, ok for {' and '.join(_VERSIONS)}")
    return 0


def _check_compose() -> None:
    text = (manifests.ROOT / "ops/deploy/compose/compose.yaml").read_text("utf-8")
    # As docker compose does it before it looks at the schema.
    filled = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", re.sub(r"\$\{\w+:\?[^}]*\}", "given", text))
    compose_spec.PyCompose.from_json(json.dumps(yaml.safe_load(filled))).validate()


if __name__ == "__main__":
    sys.exit(main())
