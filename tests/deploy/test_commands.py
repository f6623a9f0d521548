"""The parser that the deployment tests rest on: it would be no test if it took anything."""

from __future__ import annotations

import pytest

from tests.deploy.commands import environment_fields, parse


def test_a_command_and_its_options() -> None:
    assert parse(["worker", "ocr"]) == (
        "worker",
        {"stage": ["ocr"], "instance": None, "metrics_port": None, "data_dir": None},
    )
    name, options = parse(["engines", "build", "--provider=tensorrt", "--model=a", "--no-share"])
    assert (name, options["provider"], options["share"]) == ("engines build", "tensorrt", False)
    assert list(options["model"]) == ["a"]


@pytest.mark.parametrize(
    "wrong",
    [
        ["work", "ocr"],
        ["worker"],
        ["worker", "ocr", "--nothing"],
        ["engines", "bild"],
        ["engines", "build", "--provider=tpu"],
        ["topics", "create", "--partitions", "many"],
    ],
)
def test_what_there_is_not(wrong: list[str]) -> None:
    with pytest.raises(Exception) as told:
        parse(wrong)
    assert "click" in type(told.value).__module__


def test_the_variables_of_settings() -> None:
    fields = environment_fields()
    assert {"DENSEFUSION_KAFKA__SECURITY__PASSWORD_FILE", "DENSEFUSION_DATA_DIR"} <= fields
    assert "DENSEFUSION_KAFKA__SECURITY" not in fields
