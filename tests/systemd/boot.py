"""Boots a Debian with systemd, installs Sereno in it, and puts the service through its life.

    python -m tests.systemd.boot [--suite trixie]

Needs root, debootstrap, systemd-nspawn and mosquitto. The container has its own cgroup tree (v2) and may load BPF
programs, so that DeviceAllow= and IPAddressDeny= are in force, too. A real MQTT broker with a password listens outside.
What it cannot show: memory limits (where the machine's memory controller belongs to another hierarchy), cameras, GPIO.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device.capture.footage import demo_clip
from tests.debian import CACHE, PYTHONS, ROOT, copy_checkout, mirror, place_model
from tests.mosquitto import free_port
from tests.wheelhouse import fill

HERE = Path(__file__).parent
PACKAGES = "ca-certificates,python3,python3-venv,systemd,systemd-sysv,dbus"
PASSWORD = "correct horse 73"
ALLOWED = {"write-state", "read-credential", "dev-null", "lan", "loopback", "netlink", "uid"}
"""What the service must be able to do; whatever else the probe tries must be refused."""
CONFIG = """\
device: {{id: drill, role: camera}}
cameras:
  - id: street
    source: /opt/clip.mp4
    loop: true
    objects: [person, bicycle, car]
model: {{path: {model}, threads: 1}}
mqtt:
  port: {mqtt_port}
  username: drill
  password: !credential mqtt-password
web: {{port: {web_port}}}
storage: {{path: /var/lib/sereno}}
"""


def base_root(suite: str) -> Path:
    """A Debian with systemd and Python, made once."""
    folder = CACHE / "systemd-root" / suite
    if not (folder / ".complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        print(f"making a {suite} (a minute or two)", flush=True)
        subprocess.run(["debootstrap", "--variant=minbase", f"--include={PACKAGES}", suite, folder, mirror()],
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
        (folder / ".complete").touch()
    return folder


def install(machine: Path, suite: str, revision: str) -> None:
    """`systemd/install.sh` in the root itself, as on a Pi: it makes the user, and has no network."""
    wheels = CACHE / "wheels" / f"{platform.machine()}-{PYTHONS[suite]}"
    fill(wheels, ROOT / "requirements/pi.txt", PYTHONS[suite], platform.machine())
    copy_checkout(machine / "src", revision)
    (machine / "wheels").mkdir()
    shutil.copytree(wheels, machine / "wheels", dirs_exist_ok=True)
    env = {"ROLE": "camera", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
           "LANG": "C.UTF-8", "HOME": "/root"}  # fmt: skip
    subprocess.run(["mount", "-t", "proc", "proc", machine / "proc"], check=True)
    try:
        subprocess.run(["chroot", machine, "/src/systemd/install.sh"], env=env, check=True)
    finally:
        subprocess.run(["umount", machine / "proc"], check=True)
    shutil.rmtree(machine / "wheels")


def prepare(machine: Path, clip: Path, mqtt_port: int, web_port: int) -> None:
    """Configuration, secret, footage, and the units that run the drill."""
    config = CONFIG.format(model=place_model(machine / "opt/sereno/models"), mqtt_port=mqtt_port, web_port=web_port)
    (machine / "etc/sereno/camera.yaml").write_text(config, encoding="utf-8")
    (machine / "etc/sereno/credentials/mqtt-password").write_text(PASSWORD + "\n", encoding="utf-8")
    (machine / "home/somebody").mkdir()
    subprocess.run(["chroot", machine, "install", "-d", "-o", "sereno", "/opt/owned-by-sereno"], check=True)
    shutil.copy(clip, machine / "opt/clip.mp4")
    for script in ("drill.py", "probe.py"):
        shutil.copy(HERE / script, machine / "opt" / script)
    units = machine / "etc/systemd/system"
    (units / "drill.service").write_text(
        "[Unit]\nWants=sereno@camera.service\nAfter=basic.target\n[Service]\nType=exec\n"
        f"Environment=WEB_PORT={web_port}\nExecStart=/usr/bin/python3 /opt/drill.py\nStandardOutput=journal+console\n"
        "StandardError=journal+console\n",
        encoding="utf-8",
    )
    (units / "sereno@probe.service.d").mkdir()
    (units / "sereno@probe.service.d/probe.conf").write_text(
        "[Service]\nType=oneshot\nRestart=no\nWatchdogSec=0\nExecStart=\nExecStart=/usr/bin/python3 /opt/probe.py\n"
    )


@contextmanager
def broker(folder: Path, port: int) -> Iterator[None]:
    """A real Mosquitto that wants a password."""
    passwords = folder / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "drill", PASSWORD], check=True, capture_output=True)
    passwords.chmod(0o644)
    folder.chmod(0o755)
    settings = folder / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\n")
    process = subprocess.Popen(["mosquitto", "-c", settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            if process.poll() is not None:
                sys.exit("mosquitto did not start")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


@contextmanager
def subscriber(port: int, into: Path) -> Iterator[None]:
    """Writes down every message as JSON."""
    login = ["-h", "127.0.0.1", "-p", str(port), "-u", "drill", "-P", PASSWORD]
    with into.open("w") as out:
        process = subprocess.Popen(["mosquitto_sub", *login, "-t", "sereno/#", "-F", "%j"], stdout=out)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def boot(machine: Path, seconds: int, console: Path) -> int:
    """Start the machine, its console into a file, and wait for its end; its exit status."""
    command = ["systemd-nspawn", "--register=no", "--keep-unit", f"--directory={machine}", "--boot", "--quiet"]
    command += [
        "--capability=CAP_BPF,CAP_NET_ADMIN,CAP_PERFMON",
        "--system-call-filter=bpf",
        "systemd.unit=drill.service",
    ]
    env = {**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"}
    with console.open("wb") as out:
        process = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            print(f"the machine did not end within {seconds} s", flush=True)
            return 1
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(60)


def judge(console: str, messages: Path) -> list[str]:
    """Print what was found; the names of what failed."""
    failed = []
    for name, verdict, detail in re.findall(r"DRILL (\S+) (ok|FAIL)(.*)", console):
        print(f"{verdict:4}  {name}{' (' + detail.strip() + ')' if detail.strip() else ''}")
        failed += [name] if verdict == "FAIL" else []
    probes = re.findall(r"PROBE (\S+) (\w+)(.*)", console)
    for name, answer, detail in probes:
        good = (answer == "yes") == (name in ALLOWED)
        print(f"{'ok' if good else 'FAIL':4}  sandbox: {name} {answer}{detail}")
        failed += [] if good else [f"sandbox: {name}"]
    topics = [json.loads(line) for line in messages.read_text(encoding="utf-8", errors="replace").splitlines()]
    events = [json.loads(message["payload"])["type"] for message in topics if message["topic"].endswith("/events")]
    print(f"MQTT: {len(topics)} messages; events: {events.count('new')} new, {events.count('end')} end")
    failed += [] if "new" in events and "end" in events else ["events by MQTT"]
    return failed if probes else [*failed, "the probe did not run"]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--suite", choices=sorted(PYTHONS), default="bookworm")
    parser.add_argument("--revision", default="", help="a git revision to install; the working tree without it")
    parser.add_argument("--console", type=Path, help="keep the machine's console in this file")
    given = parser.parse_args()
    missing = [
        name for name in ("debootstrap", "systemd-nspawn", "mosquitto", "mosquitto_sub") if not shutil.which(name)
    ]
    if os.geteuid() != 0 or missing:
        sys.exit("needs root, and: apt install debootstrap systemd-container mosquitto mosquitto-clients")
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="machine-") as folder:
        machine = Path(folder) / "root"
        subprocess.run(["cp", "-a", base_root(given.suite), machine], check=True)
        install(machine, given.suite, given.revision)
        mqtt_port, web_port = free_port(), free_port()
        prepare(machine, demo_clip(CACHE / "footage"), mqtt_port, web_port)
        messages = Path(folder) / "messages"
        console = given.console or Path(folder) / "console"
        with broker(Path(folder), mqtt_port), subscriber(mqtt_port, messages):
            status = boot(machine, 600, console)
        failed = judge(console.read_text(encoding="utf-8", errors="replace").replace("\r", ""), messages)
    if failed or status:
        sys.exit(f"failed: {', '.join(failed) or f'the machine ended with {status}'}")


if __name__ == "__main__":
    main()
