"""`sereno users` and `sereno token`: who may see the page and call the API."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from device.web.users import UserStore

config_option = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    help="The configuration whose storage is meant; without it, the default storage.",
)


def open_users(config_path: Path | None) -> UserStore:
    """The users of a configuration's storage folder, or of the default one. Raises InputError, ConfigError."""
    from device import configfile
    from device.publish.lock import cannot_write
    from device.web.users import UserStore

    folder = configfile.storage_of(config_path)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    return UserStore(folder / "users.db")


@contextmanager
def recorded(config_path: Path | None, act: str, user: str, **more: Any) -> Iterator[None]:
    """Write to a door's access log what is about to be done to its users and, where that fails, that it failed.

    Raises:
        InputError: the log cannot be written; then nothing is done.
    """
    from device import configfile
    from device.access.audit import recorded as recorded_in
    from device.commands.galleryfile import append, is_door

    storage = configfile.storage_of(config_path)
    named_door = config_path is not None and configfile.load(config_path, secrets=False).device.role == "door"
    if not named_door and not is_door(storage):
        yield
        return
    # A name that cannot be one is refused only after this.
    shown = user.encode(errors="replace").decode()[:64]
    with recorded_in(partial(append, storage), act, "", user=shown, **more):
        yield


@click.group()
def users() -> None:
    """Who may see the page. There is no default password: the page stays closed until a user has one."""


def _ask_password(from_stdin: bool) -> str:
    """A password from the first line of standard input, or asked twice on the terminal without showing it."""
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    answer: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return answer


stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, for scripts."
)


@users.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="May also add and forget the people of a door. The first user always may.")
@config_option
@stdin_option
def add(name: str, admin: bool, config_path: Path | None, password_stdin: bool) -> None:
    """Add a user and set the password."""
    store = open_users(config_path)
    password = _ask_password(password_stdin)
    with recorded(config_path, "users.add", name, admin=admin):
        store.add(name, password, admin=admin)
    click.echo(f"{name} can log in{' as an administrator' if store.is_admin(name) else ''}.")


@users.command()
@click.argument("name")
@click.argument("role", type=click.Choice(["admin", "viewer"]))
@config_option
def role(name: str, role: str, config_path: Path | None) -> None:
    """Make NAME an `admin`, who may add and forget the people of a door, or a `viewer`."""
    store = open_users(config_path)
    with recorded(config_path, "users.role", name, role=role):
        store.set_role(name, role)
    click.echo(f"{name} is {'an administrator' if role == 'admin' else 'a viewer'}.")


@users.command()
@click.argument("name", default="admin")
@config_option
@stdin_option
def passwd(name: str, config_path: Path | None, password_stdin: bool) -> None:
    """Set a password; makes the user where there is none of that NAME (default: admin). Open sessions end."""
    store = open_users(config_path)
    password = _ask_password(password_stdin)
    with recorded(config_path, "users.passwd", name):
        if store.exists(name):
            store.set_password(name, password)
        else:
            store.add(name, password)
    click.echo(f"{name} has a new password.")


@users.command("list")
@config_option
def list_users(config_path: Path | None) -> None:
    """List the users."""
    for user in open_users(config_path).list():
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(user.changed))
        click.echo(f"{user.name}  {user.role}  password of {since}")


@users.command()
@click.argument("name")
@config_option
def remove(name: str, config_path: Path | None) -> None:
    """Remove a user. Open sessions end."""
    store = open_users(config_path)
    with recorded(config_path, "users.remove", name):
        store.remove(name)
    click.echo(f"{name} is gone.")


@users.command()
@config_option
def first(config_path: Path | None) -> None:
    """Make the first user with a random password and print it, once; says so where users exist."""
    from device.web.users import FIRST

    store = open_users(config_path)
    if not store.empty():
        click.echo("There are users already; `sereno users passwd` sets a new password.")
        return
    with recorded(config_path, "users.add", FIRST, admin=True):
        made = store.first_password()
    if made is not None:
        click.echo(f"user {made[0]}, password {made[1]}: write it down, it is not shown again.")


@click.group()
def token() -> None:
    """Keys for programs that use the API, sent as `Authorization: Bearer …`."""


@token.command("add")
@click.argument("name")
@config_option
def add_token(name: str, config_path: Path | None) -> None:
    """Make a key and print it, once."""
    store = open_users(config_path)
    with recorded(config_path, "token.add", name):
        token = store.add_token(name)
    click.echo(token)


@token.command("list")
@config_option
def list_tokens(config_path: Path | None) -> None:
    """List the keys' names."""
    for known in open_users(config_path).list_tokens():
        click.echo(f"{known.name}  of {time.strftime('%Y-%m-%d %H:%M', time.localtime(known.created))}")


@token.command("revoke")
@click.argument("name")
@config_option
def revoke_token(name: str, config_path: Path | None) -> None:
    """Make a key useless."""
    store = open_users(config_path)
    with recorded(config_path, "token.revoke", name):
        store.revoke_token(name)
    click.echo(f"{name} is revoked.")
