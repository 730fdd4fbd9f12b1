"""A run's folder: what it remembers, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from device.errors import ConfigError, InputError
from training.environment import command_line, environment
from training.runs import Run, asked, effective, fresh_folder, open_run, read_config


@dataclass(frozen=True)
class Schedule:
    """As families keep their settings."""

    epochs: int = 3
    rate: float = 1e-5


CONFIG = {"family": "cnn", "data": Path("/photos"), "seed": 7, "schedule": Schedule(), "sizes": (150, 96)}


def test_ok__config_is_readable_and_comes_back_the_same(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", CONFIG, resume=False)
    assert run.config == {
        "family": "cnn",
        "data": "/photos",
        "seed": 7,
        "schedule": {"epochs": 3, "rate": 1e-5},
        "sizes": [150, 96],
    }
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text()) == run.config
    assert Run(tmp_path / "run", CONFIG, resume=True).config == run.config
    assert Run(tmp_path / "run", {}, resume=True).config == run.config


def test_ok__environment_tells_what_it_ran_on(tmp_path: Path) -> None:
    Run(tmp_path / "run", CONFIG, resume=False)
    Run(tmp_path / "run", {}, resume=True)
    facts = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert facts["seed"] == 7
    assert facts["packages"]["numpy"] == np.__version__
    assert facts["command"] == command_line()
    assert facts["processors"] >= 1
    assert facts["processor"]
    assert len(facts["earlier"]) == 1
    assert "earlier" not in facts["earlier"][0]
    assert set(environment()) == set(facts) - {"earlier"}


def test_ok__log_goes_on_where_it_ended(tmp_path: Path) -> None:
    Run(tmp_path / "run", CONFIG, resume=False).log.info("epoch %d", 1)
    Run(tmp_path / "run", {}, resume=True).log.info("epoch %d", 2)
    lines = (tmp_path / "run" / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["epoch 1", "epoch 2"]


def test_ok__json_takes_what_numpy_says(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", CONFIG, resume=False)
    file = run.write_json("deep/figures.json", {"top1": np.float32(0.5), "matrix": np.eye(2, dtype=int), 3: Schedule()})
    expected = {"top1": 0.5, "matrix": [[1, 0], [0, 1]], "3": {"epochs": 3, "rate": 1e-5}}
    assert json.loads(file.read_text()) == expected
    assert file == tmp_path / "run" / "deep" / "figures.json"


def test_ok__fresh_folders_do_not_meet() -> None:
    folder = fresh_folder("cnn")
    assert folder.parent.name == "runs"
    assert folder.name.startswith("cnn-2")


def test_fail__folder_that_holds_a_run(tmp_path: Path) -> None:
    Run(tmp_path / "run", CONFIG, resume=False)
    with pytest.raises(ConfigError, match=r"run holds a run already: go on with it by --resume, or name another"):
        Run(tmp_path / "run", CONFIG, resume=False)


def test_fail__resuming_nothing(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run holds no run: there is no config.yaml in it"):
        Run(tmp_path / "run", {}, resume=True)
    assert not (tmp_path / "run").exists()


def test_fail__resumed_with_another_config(tmp_path: Path) -> None:
    Run(tmp_path / "run", CONFIG, resume=False)
    for changed, sentence in (
        ({"seed": 8}, "begun with seed 7, and 8 was given: leave it out to go on, or begin a new run by --out"),
        ({"schedule": {"rate": 0.1}}, "begun with schedule.rate 1e-05, and 0.1 was given"),
        ({"sizes": [150]}, r"begun with sizes \[150, 96\], and \[150\] was given"),
        ({"mixup": True}, "begun without mixup, and true was given"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            Run(tmp_path / "run", changed, resume=True)


def test_fail__resumed_on_other_photos(tmp_path: Path) -> None:
    Run(tmp_path / "run", CONFIG, resume=False).same("dataset", "ab12")
    run = Run(tmp_path / "run", {}, resume=True)
    run.same("dataset", "ab12")
    with pytest.raises(ConfigError, match=r"begun with dataset ab12, and it is cd34 now: put back what it was"):
        run.same("dataset", "cd34")


def test_ok__a_refused_run_leaves_nothing_and_can_be_begun_again(tmp_path: Path) -> None:
    run = Run(tmp_path / "run", CONFIG, resume=False)
    run.same("dataset", "ab12")
    run.log.info("looking")
    with pytest.raises(InputError, match="no photos"), run.refusable():
        raise InputError("no photos")
    assert not (tmp_path / "run").exists()
    Run(tmp_path / "run", CONFIG, resume=False)


def test_ok__a_refusal_touches_nothing_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError), Run(tmp_path / "run", CONFIG, resume=False).refusable():
        raise ConfigError("no")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["notes.txt"]


def test_ok__what_was_learnt_or_interrupted_or_gone_on_with_stays(tmp_path: Path) -> None:
    learnt = Run(tmp_path / "learnt", CONFIG, resume=False)
    learnt.write_bytes("checkpoint.pt", b"weights")
    with pytest.raises(InputError), learnt.refusable():
        raise InputError("the disk is full")
    assert (tmp_path / "learnt" / "config.yaml").exists()
    stopped = Run(tmp_path / "stopped", CONFIG, resume=False)
    with pytest.raises(KeyboardInterrupt), stopped.refusable():
        raise KeyboardInterrupt
    resumed = Run(tmp_path / "stopped", {}, resume=True)
    with pytest.raises(ConfigError), resumed.refusable():
        raise ConfigError("other photos")
    assert (tmp_path / "stopped" / "config.yaml").exists()


def test_fail__config_that_somebody_broke(tmp_path: Path) -> None:
    Run(tmp_path / "run", CONFIG, resume=False)
    (tmp_path / "run" / "config.yaml").write_text("a: [1\n")
    with pytest.raises(InputError, match=r"cannot read .*config.yaml: .*expected"):
        read_config(tmp_path / "run")
    (tmp_path / "run" / "config.yaml").write_text("nothing\n")
    with pytest.raises(InputError, match="no mapping of settings"):
        read_config(tmp_path / "run")


def test_fail__folder_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot make the run's folder .*file/run: Not a directory"):
        Run(tmp_path / "file" / "run", CONFIG, resume=False)


@click.command("cnn")
@click.option("--data", type=click.Path(path_type=Path))
@click.option("--epochs", default=30)
@click.option("--mixup/--no-mixup", default=True)
@click.option("--out", type=click.Path(path_type=Path))
@click.option("--resume", type=click.Path(path_type=Path))
@click.pass_context
def train(context: click.Context, **flags: object) -> None:
    """As families read their flags."""
    del flags
    config = effective(context)
    run = open_run(context)
    assert run.config == config
    click.echo(json.dumps({"path": str(run.path), "asked": list(asked(context)), "again": run.again, **config}))


def invoke(*flags: str) -> dict[str, Any]:
    """What the command says; a refusal is raised."""
    result = CliRunner().invoke(train, list(flags))
    if result.exception is not None:
        raise result.exception
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_ok__resume_alone_takes_the_runs_own_flags(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    begun = invoke("--data", "photos", "--epochs", "5", "--no-mixup", "--out", str(folder))
    assert begun["data"] == str(Path.cwd() / "photos")
    assert begun["again"] == f"python -m training cnn --resume {folder}"
    resumed = invoke("--resume", str(folder))
    assert resumed["asked"] == ["family"]
    assert (resumed["epochs"], resumed["mixup"], resumed["data"]) == (5, False, begun["data"])
    typed = invoke("--resume", str(folder), "--epochs", "5", "--data", "photos")
    assert set(typed["asked"]) == {"family", "data", "epochs"}


def test_fail__resume_with_a_flag_that_contradicts(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    invoke("--epochs", "5", "--out", str(folder))
    with pytest.raises(ConfigError, match="begun with epochs 5, and 30 was given"):
        invoke("--resume", str(folder), "--epochs", "30")
    with pytest.raises(ConfigError, match=r"goes on in its own folder: leave --out .*other out"):
        invoke("--resume", str(folder), "--out", str(tmp_path / "other"))


def test_fail__resume_of_another_familys_run(tmp_path: Path) -> None:
    Run(tmp_path / "run", {"family": "arcface"}, resume=False)
    with pytest.raises(ConfigError, match=r"run of `arcface`: go on with it by `python -m training arcface --resume"):
        invoke("--resume", str(tmp_path / "run"))
