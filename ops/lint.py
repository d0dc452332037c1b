"""Are the manifests valid? Strictly, against Kubernetes' schemas. Run: `make lint-k8s`, which brings what this needs.

The schemas are those that the package kubernetes-validate carries. It has none of custom resources: theirs are in
ops/schemas. The manifests as rendered are left in a folder, for the policy scan that follows.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

from ops.manifests import ROOT, Manifest, RenderError, rendered, renderer

VERSIONS = ("1.33", "1.37")  # the oldest that all we use is in, and the newest that there are schemas of
CUSTOM = ("keda.sh/", "monitoring.coreos.com/")


def faults(manifest: Manifest) -> Iterator[str]:
    """What is wrong with a manifest, in words."""
    if manifest["apiVersion"].startswith(CUSTOM):
        schema = json.loads((ROOT / "ops/schemas" / f"{manifest['kind'].lower()}.json").read_text())
        for error in jsonschema.Draft202012Validator(schema).iter_errors(manifest):
            yield f"{'.'.join(map(str, error.absolute_path))}: {error.message}"
        return
    for version in VERSIONS:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"Kubernetes {version}: {'.'.join(map(str, error.path))}: {error.message}"


def main(folder: Path) -> int:
    """Write each overlay into `folder`, and its faults on stderr; the number of them."""
    command = renderer()
    if command is None:
        sys.exit("error: neither kubectl nor kustomize is here; https://kubernetes.io/docs/tasks/tools/ has both")
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    try:
        overlays = rendered(command)
    except RenderError as error:
        sys.exit(f"error: {error}")
    for overlay, manifests in overlays.items():
        (folder / f"{overlay}.yaml").write_text(yaml.safe_dump_all(manifests, sort_keys=False))
        found = [f"{m['kind']}/{m['metadata']['name']}: {fault}" for m in manifests for fault in faults(m)]
        for fault in found:
            print(f"error: {overlay}: {fault}", file=sys.stderr)
        count += len(found)
        print(f"{overlay}: {len(manifests)} manifests, {len(found)} faults")
    return count


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])) > 0)
