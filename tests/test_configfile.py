"""Configuration files: what is read, and how each kind of fault is told."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from device.config import Config
from device.configfile import load, resolve_source, show, storage_path
from device.configtypes import closest, did_you_mean
from device.errors import ConfigError

HEAD = "device: {role: camera}\n"


def write(folder: Path, text: str) -> Path:
    path = folder / "camera.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def faults(folder: Path, text: str, **kwargs: object) -> list[str]:
    """What `load` says about a file, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), **kwargs)  # type: ignore[arg-type]
    return str(caught.value).replace(f"{folder}/", "").split("\n")


def test_ok__the_least_configuration_has_a_default_for_everything(tmp_path: Path) -> None:
    config = load(write(tmp_path, HEAD))
    assert config.cameras[0].source == "demo"
    assert list(config.cameras[0].objects) == ["person"]
    assert config.web.host == "127.0.0.1"


def test_ok__objects_as_list_as_mapping_and_with_empty_filters(tmp_path: Path) -> None:
    text = (
        HEAD + "cameras:\n - {id: a, objects: [person, car]}\n - {id: b, objects: {person: {min_score: 0.6}, car: }}\n"
    )
    first, second = load(write(tmp_path, text)).cameras
    assert list(first.objects) == ["person", "car"]
    assert second.objects["person"].min_score == 0.6
    assert second.objects["car"].min_score == 0.5


def test_ok__plain_words_are_yaml_1_2(tmp_path: Path) -> None:
    text = "device: {role: camera, id: on, name: 'No'}\nweb: {enabled: off, port: 0x50}\nmqtt: {protocol: 5}\n"
    config = load(write(tmp_path, text))
    assert (config.device.id, config.device.name) == ("on", "No")
    assert config.web.enabled is False
    assert config.web.port == 80
    assert config.mqtt.protocol == "5"


def test_ok__anchors_and_merges(tmp_path: Path) -> None:
    text = HEAD + "cameras:\n - &base {id: a, fps: 5, width: 320}\n - {<<: *base, id: b, fps: 7}\n"
    second = load(write(tmp_path, text)).cameras[1]
    assert (second.id, second.fps, second.width) == ("b", 7, 320)


def test_ok__a_file_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load(path).device.role == "camera"


def test_ok__overrides_stand_above_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD + "cameras: [{source: a.mp4, fps: 3}]\n")
    camera = load(path, {"cameras.0.source": "b.mp4", "cameras.0.pace": None}).cameras[0]
    assert (camera.source, camera.pace, camera.fps) == ("b.mp4", "real", 3)


@pytest.mark.parametrize("cameras", ["", "cameras:\n", "cameras: []\n"])
def test_ok__overrides_make_the_first_camera(tmp_path: Path, cameras: str) -> None:
    assert load(write(tmp_path, HEAD + cameras), {"cameras.0.source": "b.mp4"}).cameras[0].source == "b.mp4"


def test_fail__an_override_is_blamed_on_the_command_line(tmp_path: Path) -> None:
    path = write(tmp_path, HEAD)
    with pytest.raises(ConfigError) as caught:
        load(path, {"cameras.0.pace": "slow"})
    assert str(caught.value) == "command line: cameras[0].pace: wanted `real` or `fast`, got 'slow' on the command line"


def test_fail__unknown_key_with_did_you_mean(tmp_path: Path) -> None:
    text = HEAD + "cameras:\n  - id: front\n    fsp: 10\n"
    assert faults(tmp_path, text) == ["camera.yaml:4: cameras[0].fsp: unknown key; did you mean `fps`?"]


def test_fail__unknown_key_that_belongs_elsewhere(tmp_path: Path) -> None:
    assert faults(tmp_path, HEAD + "threads: 2\n") == ["camera.yaml:2: threads: unknown key; it belongs under `model`"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("web: {port: abc}", "camera.yaml:2: web.port: wanted a whole number from 1 to 65535, got 'abc'"),
        ("web: {port: 70000}", "camera.yaml:2: web.port: wanted a whole number from 1 to 65535, got 70000"),
        ("web: {port: 80.5}", "camera.yaml:2: web.port: wanted a whole number from 1 to 65535, got 80.5"),
        ("web: {port: true}", "camera.yaml:2: web.port: wanted a whole number from 1 to 65535, got a truth value"),
        ("web: {port: }", "camera.yaml:2: web.port: wanted a whole number from 1 to 65535, got nothing"),
        ("web: {port: [80]}", "camera.yaml:2: web.port: wanted a whole number from 1 to 65535, got a list"),
        ("web: {enabled: maybe}", "camera.yaml:2: web.enabled: wanted `true` or `false`, got 'maybe'"),
        ("web: 8080", "camera.yaml:2: web: wanted a mapping (`key: value`), got 8080"),
        ("web: {host: 12}", "camera.yaml:2: web.host: wanted text, got 12: put it in quotes"),
        ("cameras: {}", "camera.yaml:2: cameras: wanted a list of 1 to 16, got a mapping"),
        ("cameras: []", "camera.yaml:2: cameras: wanted a list of 1 to 16, got 0"),
        (
            "cameras: [{pace: fsat}]",
            "camera.yaml:2: cameras[0].pace: wanted `real` or `fast`, got 'fsat'; did you mean `fast`?",
        ),
        ("cameras: [{fps: .nan}]", "camera.yaml:2: cameras[0].fps: wanted a number from 0.1 to 120, got nan"),
        ("cameras: [{}, {}]", "camera.yaml:1: two cameras have the id 'front'; each needs its own"),
        (
            "cameras: [{objects: [[person]]}]",
            "camera.yaml:2: cameras[0].objects: wanted a list of words or a mapping (`key: value`), got a list",
        ),
    ],
)
def test_fail__wrong_values_name_line_key_given_and_wanted(tmp_path: Path, text: str, fault: str) -> None:
    assert faults(tmp_path, HEAD + text + "\n") == [fault]


def test_fail__missing_role(tmp_path: Path) -> None:
    assert faults(tmp_path, "device:\n  id: a\n") == [
        "camera.yaml:2: device.role: is missing; wanted `camera` or `door`"
    ]


@pytest.mark.parametrize("corner", ["[1.2, 0.5]", "[-0.1, 0.5]", "[1.2, 3]"])
def test_fail__polygon_outside_the_picture(tmp_path: Path, corner: str) -> None:
    text = (
        HEAD + "cameras:\n  - zones:\n      walk:\n        polygon:\n"
        f"          - [0, 0]\n          - {corner}\n          - [1, 1]\n"
    )
    (fault,) = faults(tmp_path, text)
    place = "camera.yaml:7: cameras[0].zones.walk.polygon[1]: "
    assert fault.startswith(f"{place}point {corner} lies outside the picture: both numbers go from 0 to 1")


def test_fail__polygon_in_pixels_gets_a_hint(tmp_path: Path) -> None:
    (first, *_) = faults(tmp_path, HEAD + "cameras: [{masks: [[[0, 0], [640, 0], [640, 480]]]}]\n")
    assert first.endswith("divide pixels by the picture's width and height")


def test_fail__polygon_of_two_points(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, HEAD + "cameras: [{zones: {walk: {polygon: [[0, 0], [1, 1]]}}}]\n")
    assert fault == "camera.yaml:2: cameras[0].zones.walk.polygon: wanted a polygon: 3 to 64 points [x, y], got 2"


def test_fail__bad_zone_name_is_told_once(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, HEAD + "cameras: [{zones: {My Walk: {polygon: [[0, 0], [1, 1], [0, 1]]}}}]\n")
    assert "wanted a zone's name" in fault
    assert "`My Walk`" in fault


def test_fail__all_faults_of_a_file_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    text = (
        "device: {role: camra}\nweb: {prot: 80}\nmqtt: {port: 1, port: 2}\nmodel: {threads: 99, path: '${NOT_SET}'}\n"
    )
    lines = [line.split(": ")[0] for line in faults(tmp_path, text, environment={})]
    assert lines == ["camera.yaml:1", "camera.yaml:2", "camera.yaml:3", "camera.yaml:4", "camera.yaml:4"]


def test_fail__key_given_twice(tmp_path: Path) -> None:
    assert faults(tmp_path, HEAD + "web: {}\nweb: {}\n") == ["camera.yaml:3: web: given twice, first in line 2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("device: {role: camera\nweb: {}\n", "camera.yaml:2: column 4: not valid YAML"),
        ("device:\n\trole: camera\n", "indent with spaces, not tabs"),
        ("device: {role: camera}\nmqtt: {username: ${USER}}\n", "inside `{…}` and `[…]` a `${NAME}` needs quotes"),
        ("- device\n", "is not a mapping of keys"),
        ("just text\n", "is not a mapping of keys"),
        ("", "camera.yaml: the configuration is empty"),
        ("# nothing\n", "the configuration is empty"),
        ("a: &a [*a]\n", "repeats itself without end"),
        ("[" * 5000, "is nested too deeply"),
        ("device: !!python/object/apply:os.system [ls]\n", "only the tags `!file` and `!credential` exist"),
        ("? [a]\n: b\n", "a key must be a word"),
        ("device: {role: camera}\n---\nweb: {}\n", "but found another document"),
    ],
)
def test_fail__what_is_not_a_configuration(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in "\n".join(faults(tmp_path, text))


def test_fail__aliases_that_multiply(tmp_path: Path) -> None:
    text = "a0: &a0 [x, x, x, x, x, x, x, x]\n"
    text += "".join(f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 8)}]\n" for n in range(9))
    assert any("repeats itself without end" in fault for fault in faults(tmp_path, text))


def test_fail__files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\x7fELF\x02\x01\x01\xff\xfe" * 20)
    (tmp_path / "nul.yaml").write_bytes(b"device: {role: camera}\0")
    (tmp_path / "huge.yaml").write_bytes(b"#" * 1_100_000)
    for name, expected in {
        "none.yaml": "there is no such configuration file",
        ".": "is a folder",
        "binary.yaml": "is not UTF-8 text",
        "nul.yaml": "is binary",
        "huge.yaml": "is larger than 1 MB",
        "binary.yaml/x": "cannot read the configuration: Not a directory",
    }.items():
        with pytest.raises(ConfigError, match=expected):
            load(tmp_path / name)


def test_ok__environment_and_files_give_secrets(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("hunter2\n")
    text = HEAD + "mqtt:\n  username: u-${WHO}\n  password: !file secret.txt\n  port: ${PORT}\nweb: {host: '$${X}'}\n"
    config = load(write(tmp_path, text), environment={"WHO": "me", "PORT": "1884"})
    assert config.mqtt.username == "u-me"
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "hunter2"
    assert config.mqtt.port == 1884
    assert config.web.host == "${X}"


def test_ok__a_secret_of_digits_from_the_environment_is_text(tmp_path: Path) -> None:
    config = load(write(tmp_path, HEAD + "mqtt:\n  password: ${PIN}\n"), environment={"PIN": "0123"})
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "0123"


@pytest.mark.parametrize("file_name", ["mqtt-password", "sereno_mqtt-password"])
def test_ok__credentials_of_systemd(tmp_path: Path, file_name: str) -> None:
    (tmp_path / file_name).write_text("hunter2")
    text = HEAD + "mqtt: {password: !credential mqtt-password}\n"
    config = load(write(tmp_path, text), environment={"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert config.mqtt.password is not None
    assert config.mqtt.password.get_secret_value() == "hunter2"


def test_ok__commands_that_need_no_secrets_read_none(tmp_path: Path) -> None:
    text = HEAD + "mqtt: {password: !file not-there}\n"
    assert load(write(tmp_path, text), secrets=False).mqtt.password is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("!file not-there", "No such file or directory"),
        ("!file ''", "`!file` wants a file's path"),
        ("!credential ../x", "`!credential` wants the name of a file"),
        ("!credential gone", "No such file or directory"),
        ("${NOT_SET}", "the environment variable NOT_SET is not set"),
        ("${not a name}", "wants the name of an environment variable"),
    ],
)
def test_fail__secrets_that_are_not_there(tmp_path: Path, value: str, expected: str) -> None:
    (fault,) = faults(
        tmp_path, HEAD + f"mqtt:\n  password: {value}\n", environment={"CREDENTIALS_DIRECTORY": "/nowhere"}
    )
    assert fault.startswith("camera.yaml:3: mqtt.password: ")
    assert expected in fault


@pytest.mark.parametrize(
    "text",
    [
        "mqtt: {password: 987654321}",
        "mqtt: {password: [s3cr3t]}",
        "mqtt: {password: {s3cr3t: 1}}",
        "mqtt: {password: *s3cr3t}",
        "mqtt: {password: !s3cr3t}",
        "mqtt: {password: !s3!cr3t x}",
        "mqtt: {password: 's3cr3t}",
        'mqtt: {password: "s3cr3t\\q"}',
        "mqtt: {password: %s3cr3t}",
        "mqtt: {password: s3cr3t: x}",
        "mqtt: {port: '${SECRET}'}",
        "mqtt: {port: !file secret.txt}",
        "cameras: [{source: 'rtsp://u:s3cr3t@host/x', pace: 'rtsp://u:s3cr3t@host/x'}]",
    ],
)
def test_fail__no_secret_in_any_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.txt").write_text("s3cr3t")
    told = "\n".join(faults(tmp_path, HEAD + text + "\n", environment={"SECRET": "s3cr3t"}))
    assert "s3" not in told
    assert "987654321" not in told


def test_ok__show_masks_secrets_and_can_be_read_again(tmp_path: Path) -> None:
    source = "rtsp://viewer:s3cr3t@192.0.2.10/x?token=s3cr3t&size=2"
    text = HEAD + f"cameras: [{{source: '{source}'}}]\nmqtt: {{password: s3cr3t}}\nstorage: {{path: state}}\n"
    shown = show(load(write(tmp_path, text)))
    assert "s3cr3t" not in shown
    again = yaml.safe_load(shown)
    assert again["cameras"][0]["source"] == "rtsp://viewer:********@192.0.2.10/x?token=********&size=2"
    assert again["mqtt"]["password"] == "********"
    assert Config.model_validate(again).cameras[0].width == 640


def test_ok__sources_are_relative_to_the_file() -> None:
    base = Path("/etc/sereno")
    kept = ["demo", "picamera2", "rtsp://u@h/x", "/dev/video0"]
    assert [resolve_source(source, base) for source in kept] == kept
    assert resolve_source("clips/a.mp4", base) == "/etc/sereno/clips/a.mp4"
    assert resolve_source("./demo", base) == "/etc/sereno/demo"
    assert resolve_source("file:///a%20b.mp4", base) == "/a b.mp4"
    assert resolve_source("0", base) == "/dev/video0"


@pytest.mark.parametrize("source", ["", "  "])
def test_fail__an_empty_source_is_refused(source: str) -> None:
    with pytest.raises(ConfigError, match="`source` is empty; it must name a camera, a stream, a file or a folder"):
        resolve_source(source, Path("/etc/sereno"))


def test_ok__state_goes_where_the_setting_or_systemd_or_the_person_wants_it(tmp_path: Path) -> None:
    import os

    plain = load(write(tmp_path, HEAD))
    given = load(write(tmp_path, HEAD + "storage: {path: state}\n"))
    assert storage_path(given, tmp_path, {"STATE_DIRECTORY": "/var/lib/x"}) == tmp_path / "state"
    assert storage_path(plain, tmp_path, {"STATE_DIRECTORY": "/var/lib/x:/var/lib/y"}) == Path("/var/lib/x")
    assert storage_path(plain, tmp_path, {"SYSTEMD_EXEC_PID": str(os.getpid())}) == Path("/var/lib/sereno")
    assert storage_path(plain, tmp_path, {"SYSTEMD_EXEC_PID": "1", "XDG_STATE_HOME": "/s"}) == Path("/s/sereno")
    assert storage_path(plain, tmp_path, {}) == Path.home() / ".local/state/sereno"


def test_ok__did_you_mean() -> None:
    assert closest("preson", ["person", "car"]) == "person"
    assert closest("Person", ["person", "car"]) == "person"
    assert closest("zebra", ["person", "car"]) is None
    assert did_you_mean("preson", ["person"]) == "; did you mean `person`?"
    assert did_you_mean("zebra", ["person"]) == ""


_yaml_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["device", "role", "cameras", "zones", "polygon", "masks", "objects", "mqtt", "tls", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(value=_yaml_values)
def test_ok__any_yaml_is_a_config_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("any") / "c.yaml"
    path.write_text(yaml.safe_dump(value, allow_unicode=True), encoding="utf-8")
    try:
        load(path, {"cameras.0.fps": 3})
    except ConfigError as error:
        told = str(error)
        assert str(path) in told


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet="ab:- \n\t[]{}&*!|>'\"%@`#,?<$1.\x85\u2028", max_size=40))
def test_ok__any_text_is_a_config_or_a_config_error(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("any") / "c.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        load(path)
