"""Runs as root on the machine that `boot.py` boots: the service's life, a line `DRILL name ok|FAIL …` for each step."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

UNIT = "sereno@camera.service"
CONFIG = Path("/etc/sereno/camera.yaml")
CREDENTIAL = Path("/etc/sereno/credentials/mqtt-password")
MEMORY_MAX_MB = 0.6 * 512
failures = 0


def systemctl(*arguments: str) -> str:
    """What systemctl prints."""
    return subprocess.run(["systemctl", *arguments], text=True, capture_output=True, check=False).stdout.strip()


def shown(name: str) -> str:
    """A property of the unit."""
    return systemctl("show", "--value", f"--property={name}", UNIT)


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Until it holds, or for so long."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.25)
    return True


def tell(name: str, good: bool, detail: object = "") -> None:
    """One line for `boot.py`."""
    global failures
    failures += not good
    print(f"DRILL {name} {'ok' if good else 'FAIL'} {detail}".rstrip(), flush=True)


def healthy() -> bool:
    """The page answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{os.environ['WEB_PORT']}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def process_status() -> dict[str, str]:
    """/proc/PID/status of the daemon."""
    text = Path(f"/proc/{shown('MainPID')}/status").read_text()
    return {key: value.strip() for key, value in re.findall(r"(?m)^(\w+):(.*)$", text)}


def active() -> bool:
    """Started and said READY=1."""
    return shown("ActiveState") == "active"


def drill_start() -> None:
    tell("starts", wait_for(active, 90), f"{shown('ActiveState')}, {shown('StatusText')}")
    tell("page-answers", wait_for(healthy, 20))


def drill_process() -> None:
    time.sleep(20)
    status = process_status()
    memory_mb = int(status["VmHWM"].split()[0]) / 1024
    tell("own-user", status["Uid"].split()[0] != "0", f"uid {status['Uid'].split()[0]}")
    tell("no-capabilities", all(int(status[name], 16) == 0 for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")))
    tell("no-new-privileges", status["NoNewPrivs"] == "1")
    tell("system-call-filter", status["Seccomp"] == "2", f"{status['Seccomp_filters']} filters")
    own_mb = int(status["RssAnon"].split()[0]) / 1024
    # The rest are pages of programs and libraries; how many of them the kernel maps at once varies with its page cache.
    tell("memory", memory_mb < MEMORY_MAX_MB, f"{memory_mb:.0f} MB at most, {own_mb:.0f} MB of it not of files")
    tell("alive-past-start", active() and shown("NRestarts") == "0")
    state = Path("/var/lib/sereno")
    tell(
        "state-folder",
        state.owner() == "sereno" and any(state.iterdir()),
        ", ".join(sorted(path.name for path in state.iterdir())),
    )


def drill_kill() -> None:
    before = shown("MainPID")
    os.kill(int(before), 9)
    tell("restarts-after-kill", wait_for(lambda: active() and shown("MainPID") not in ("0", before), 60))


def drill_hang() -> None:
    before = shown("MainPID")
    started = time.monotonic()
    os.kill(int(before), 19)
    came_back = wait_for(lambda: active() and shown("MainPID") not in ("0", before), 120)
    tell("watchdog-ends-a-hang", came_back, f"back after {time.monotonic() - started:.0f} s")


def drill_stop() -> None:
    wait_for(healthy, 30)
    started = time.monotonic()
    systemctl("stop", UNIT)
    detail = f"{shown('Result')}, exit {shown('ExecMainStatus')}, {time.monotonic() - started:.1f} s"
    tell("stops-cleanly", shown("Result") == "success" and shown("ExecMainStatus") == "0", detail)


def drill_wrong_config() -> None:
    good = CONFIG.read_text()
    CONFIG.write_text(good + "\nmqqt: {}\n")
    systemctl("start", UNIT)
    wait_for(lambda: shown("ActiveState") == "failed", 30)
    time.sleep(8)
    tell("a-wrong-config-is-not-retried", (shown("ActiveState"), shown("ExecMainStatus")) == ("failed", "2"))
    journal = subprocess.run(
        ["journalctl", "-u", UNIT, "-o", "cat"], text=True, capture_output=True, check=False
    ).stdout
    tell("it-says-why", "mqqt: unknown key; did you mean `mqtt`?" in journal)
    tell("nothing-was-refused", not re.search(r"(?i)operation not permitted|permission denied|traceback", journal))
    secret = CREDENTIAL.read_text().strip()
    tell("the-secret-is-in-no-log", secret not in journal)
    CONFIG.write_text(good)
    systemctl("reset-failed", UNIT)


def drill_without_credentials() -> None:
    secret = CREDENTIAL.read_text()
    CREDENTIAL.unlink()
    good = CONFIG.read_text()
    CONFIG.write_text(good.replace("password: !credential mqtt-password", ""))
    systemctl("start", UNIT)
    tell("an-empty-credentials-folder-is-fine", wait_for(active, 60), shown("Result"))
    systemctl("stop", UNIT)
    CONFIG.write_text(good)
    CREDENTIAL.write_text(secret)


def drill_password() -> None:
    command = ["/usr/local/bin/sereno", "users", "add", "ana", "--password-stdin", "--config", str(CONFIG)]
    done = subprocess.run(command, input="a long enough word\n", text=True, capture_output=True, check=False)
    files = [path for path in Path("/var/lib/sereno").rglob("*") if path.owner() != "sereno"]
    tell("root-can-add-a-user-for-the-service", done.returncode == 0 and not files, done.stderr.strip() or files)


def drill_probe() -> None:
    Path("/etc/sereno/probe.yaml").touch()
    systemctl("start", "sereno@probe.service")
    journal = subprocess.run(
        ["journalctl", "-u", "sereno@probe", "-o", "cat"], text=True, capture_output=True, check=False
    )
    print(*[line for line in journal.stdout.splitlines() if line.startswith("PROBE")], sep="\n", flush=True)


def main() -> None:
    """The whole life of the service."""
    for step in (drill_start, drill_process, drill_password, drill_kill, drill_hang, drill_stop, drill_wrong_config,
                 drill_without_credentials, drill_probe):  # fmt: skip
        step()
    systemctl("--no-block", "exit", str(min(failures, 100)))
    sys.exit(0)


if __name__ == "__main__":
    main()
