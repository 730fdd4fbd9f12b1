"""Runs in the service's own sandbox and tells what it may and may not do: one `PROBE name yes|no|why` a line."""

import ctypes
import mmap
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)


def attempt(name: str, action: Callable[[], object]) -> None:
    """Try it and say how it went."""
    try:
        outcome = action()
        print(f"PROBE {name} {'no' if outcome is False else 'yes'}", flush=True)
    except OSError as error:
        print(f"PROBE {name} no ({os.strerror(error.errno or 0)})", flush=True)


def call(function: str, *arguments: int) -> bool:
    """A C function that answers -1 when it fails."""
    return getattr(LIBC, function)(*map(ctypes.c_long, arguments)) != -1


def writable_and_executable() -> object:
    """Memory that may be written and then run, as code injected into a process needs it."""
    return mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)


def send_to(address: str) -> object:
    """One datagram, which needs nobody to listen."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        return sender.sendto(b"x", (address, 9))


def main() -> None:
    """All attempts."""
    state = os.environ["STATE_DIRECTORY"]
    attempt("write-state", lambda: os.close(os.open(f"{state}/probe", os.O_CREAT | os.O_WRONLY, 0o600)))
    attempt("write-program", lambda: os.open("/opt/sereno/probe", os.O_CREAT | os.O_WRONLY))
    attempt("write-etc", lambda: os.open("/etc/sereno/probe", os.O_CREAT | os.O_WRONLY))
    attempt("write-etc-as-owner", lambda: os.open("/opt/owned-by-sereno/probe", os.O_CREAT | os.O_WRONLY))
    attempt("read-credential", lambda: Path(os.environ["CREDENTIALS_DIRECTORY"], "sereno_mqtt-password").read_text())
    attempt("read-credential-source", lambda: list(Path("/etc/sereno/credentials").iterdir()))
    attempt("see-home", lambda: any(Path("/home").iterdir()))
    attempt("see-other-processes", lambda: Path("/proc/1").is_dir())
    attempt("dev-null", lambda: os.open("/dev/null", os.O_RDWR))
    attempt("dev-tun", lambda: os.open("/dev/net/tun", os.O_RDWR))
    attempt("lan", lambda: send_to("192.168.0.1"))
    attempt("loopback", lambda: send_to("127.0.0.1"))
    attempt("internet", lambda: send_to("192.0.2.1"))
    attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15))
    attempt("packet-socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM))
    attempt("write-execute", writable_and_executable)
    attempt("user-namespace", lambda: call("unshare", 0x10000000))
    attempt("personality", lambda: call("personality", 0x0040000))
    attempt("realtime", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)))
    attempt("set-hostname", lambda: call("sethostname", 0, 0))
    attempt("ptrace", lambda: call("ptrace", 0, 0, 0, 0))
    attempt("setuid-bit", lambda: Path(state, "probe").chmod(0o4700))
    print(f"PROBE uid {'root' if os.getuid() == 0 else 'yes'}", flush=True)
    sys.exit(0)


if __name__ == "__main__":
    main()
