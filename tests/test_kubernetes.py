"""The manifests in deploy/kubernetes: what Kubernetes' own schemas, and our settings, say of them."""

import tomllib
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from clickwarden.settings import PREFIX, Settings

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "deploy" / "kubernetes"
KUSTOMIZATION = YAML(typ="safe").load(FOLDER / "kustomization.yaml")
MANIFESTS: list[dict[str, Any]] = [
    manifest for name in KUSTOMIZATION["resources"] for manifest in YAML(typ="safe").load_all(FOLDER / name)
]
BY_KIND = {manifest["kind"]: manifest for manifest in MANIFESTS}
WORKER = BY_KIND["StatefulSet"]["spec"]["template"]["spec"]["containers"][0]


def test_every_file_is_applied() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml"}
    (settings,) = KUSTOMIZATION["configMapGenerator"]
    assert files == {*KUSTOMIZATION["resources"], *settings["envs"]}


@pytest.mark.parametrize("version", ["1.30", "1.33", "1.37"])
@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda manifest: manifest["kind"])
def test_kubernetes_takes_it_with_no_field_that_it_does_not_know(
    manifest: dict[str, Any], version: str
) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_is_none_is_found() -> None:
    wrong = {**BY_KIND["PodDisruptionBudget"], "spec": {"maxUnavailible": 1}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.33", strict=True)


def test_what_is_set_are_settings() -> None:
    lines = (FOLDER / "settings.env").read_text().splitlines()
    names = [each["name"] for each in WORKER["env"]] + [line.partition("=")[0] for line in lines]
    assert {name.removeprefix(PREFIX).lower() for name in names} <= Settings.model_fields.keys()
    assert all(name.startswith(PREFIX) for name in names)


def test_all_of_them_select_the_workers() -> None:
    labels = BY_KIND["StatefulSet"]["spec"]["template"]["metadata"]["labels"]
    services = [manifest["spec"]["selector"] for manifest in MANIFESTS if manifest["kind"] == "Service"]
    others = [
        BY_KIND["StatefulSet"]["spec"]["selector"]["matchLabels"],
        BY_KIND["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        BY_KIND["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in [*services, *others])
    assert BY_KIND["StatefulSet"]["spec"]["serviceName"] in {
        manifest["metadata"]["name"] for manifest in MANIFESTS if manifest["kind"] == "Service"
    }


def test_the_image_is_of_this_release() -> None:
    release = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (image,) = KUSTOMIZATION["images"]
    assert (image["name"], image["newTag"]) == (WORKER["image"], release)
