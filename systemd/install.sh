#!/usr/bin/env bash
# Install Sereno onto this machine, or into an empty root: what `make install ROLE=camera|door [DESTDIR=]` calls.
#
#   ROLE=camera systemd/install.sh               onto this machine; needs root
#   ROLE=door systemd/install.sh                 the same for a door unit; needs its face models (docs/models.md)
#   ROLE=camera DESTDIR=/mnt systemd/install.sh  into a root that is not running: no user is made, nothing is started
#
# Installing again upgrades: the program is built beside the old one and takes its place at the end; configuration
# and data stay. PYTHON names another interpreter than /usr/bin/python3.
set -euo pipefail
umask 022
source_dir=$(cd "$(dirname "$0")/.." && pwd)
role=${ROLE:-}
destdir=${DESTDIR:-}
destdir=${destdir%/}
prefix=/opt/sereno
home=$destdir$prefix
units=$destdir/usr/local/lib/systemd/system

say() { echo "install: $*"; }
refuse() { echo "install: $*" >&2; exit 2; }

# A door works with networks of others, which no checkout carries. Without one for liveness it lets nobody in.
face_models=(yunet blazeface minifasnet-v2 minifasnet-v1se face-mesh)
find_face_models() {
  local bundles=$source_dir/.cache/bundles
  [ -d "$bundles/yunet" ] || [ -d "$bundles/blazeface" ] || refuse "no face detector in $bundles: \`make models\` fetches one"
  [ -d "$bundles/minifasnet-v2" ] && [ -d "$bundles/minifasnet-v1se" ] || say "warning: no liveness networks in $bundles, and" \
    "without them this door denies everyone: make them on a workstation (\`make export MODEL=minifasnet\`) and copy the folder here"
}

check_request() {
  case $role in
    camera) ;;
    door) find_face_models ;;
    "") refuse "say which unit: make install ROLE=camera, or ROLE=door" ;;
    *) refuse "ROLE=$role: wanted camera or door" ;;
  esac
  [ -z "$destdir" ] || [ "${destdir#/}" != "$destdir" ] || refuse "DESTDIR=$destdir: wanted a path that begins with /"
}

check_machine() {
  [ "$(getconf LONG_BIT)" = 64 ] || refuse "this is a 32-bit system, for which LiteRT and ONNX Runtime do not exist: install the 64-bit Raspberry Pi OS"
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) refuse "$(uname -m): there are packages for aarch64 (a Pi 3 or newer) and x86_64 only" ;;
  esac
  [ -n "$destdir" ] || [ "$(id -u)" = 0 ] || refuse "needs root: sudo make install ROLE=$role"
}

find_python() {
  python=${PYTHON:-python3}
  [ "$python" != python3 ] || [ ! -x /usr/bin/python3 ] || python=/usr/bin/python3
  command -v "$python" > /dev/null || refuse "there is no Python: apt install python3 python3-venv"
  "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
    || refuse "$("$python" --version): wanted Python 3.11 to 3.13"
  "$python" -c 'import ensurepip, venv' 2> /dev/null || refuse "Python cannot make environments: apt install python3-venv"
  case $("$python" -c 'import os, sys; print(os.path.realpath(getattr(sys, "_base_executable", sys.executable)))') in
    /home/* | /root/*) refuse "$python lies in a home folder, where the service cannot reach it: name another by PYTHON=" ;;
  esac
}

# picamera2 comes from the Pi's apt, and needs to be seen from within the environment.
is_pi() { grep -qs 'Raspberry Pi' /proc/device-tree/model; }

build_environment() {
  local new=$home/venv.new flags=()
  ! is_pi || flags=(--system-site-packages)
  rm -rf "$new"
  "$python" -m venv --without-pip "${flags[@]}" "$new"
  "$python" -m venv "$workshop/pip"
  say "installing the locked packages (some minutes on a Pi)"
  # All of them into the environment, also where apt has one of the same version: apt's simplejpeg is built for NumPy 1.
  "$workshop/pip/bin/python" -m pip --python "$new/bin/python" install --quiet --disable-pip-version-check \
    --ignore-installed --no-compile --no-deps --only-binary :all: --require-hashes --requirement "$source_dir/requirements/pi.txt"
  site=$("$new/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  # The program lies beside the environment, so that models/ is found next to it.
  echo "$prefix" > "$site/sereno.pth"
  printf '#!%s/venv/bin/python3\nimport sys\n\nfrom device.__main__ import main\n\nsys.exit(main())\n' "$prefix" > "$new/bin/sereno"
  chmod 755 "$new/bin/sereno"
  # Scripts name the place where the environment will lie.
  "$python" - "$new" "$prefix/venv" << 'END'
import pathlib, sys

built, final = (name.encode() for name in sys.argv[1:])
for path in [*pathlib.Path(sys.argv[1], "bin").iterdir(), pathlib.Path(sys.argv[1], "pyvenv.cfg")]:
    if path.is_file() and not path.is_symlink() and built in (text := path.read_bytes()):
        path.write_bytes(text.replace(built, final))
END
}

copy_program() {
  local part
  rm -rf "$home"/{device,models,docs,config}.new
  for part in device models docs config; do
    mkdir -p "$home/$part.new"
    [ ! -d "$source_dir/$part" ] || cp -R "$source_dir/$part/." "$home/$part.new/"
  done
  cp "$source_dir/LICENSE" "$home/"
  find "$home/device.new" -name __pycache__ -prune -exec rm -rf {} +
  # The search for bundles looks here after models/.
  mkdir -p "$home/.cache/bundles"
  for part in "${face_models[@]}"; do
    [ ! -d "$source_dir/.cache/bundles/$part" ] || { rm -rf "$home/.cache/bundles/$part" && cp -R "$source_dir/.cache/bundles/$part" "$home/.cache/bundles/"; }
  done
  chmod -R u=rwX,go=rX "$home"/{device,models,docs,config}.new "$home/.cache"
  # The bytecode names the final place, which the service may not write. Other people's packages may hold files that
  # are no valid Python; ours may not.
  "$python" -m compileall -q -s "$home/device.new" -p "$prefix/device" "$home/device.new" \
    || refuse "this checkout does not compile; nothing was changed"
  "$python" -m compileall -q -f -j 0 -s "$home/venv.new" -p "$prefix/venv" "$home/venv.new/lib" || true
  [ -n "$(ls -A "$home/models.new")" ] || say "warning: this checkout has no models/; the service needs one (see docs/models.md)"
}

take_over() {
  local part
  for part in venv device models docs config; do
    rm -rf "$home/$part.old"
    [ ! -e "$home/$part" ] || mv "$home/$part" "$home/$part.old"
    mv "$home/$part.new" "$home/$part"
  done
  rm -rf "$home"/*.old
  mkdir -p "$destdir/usr/local/bin"
  ln -sfn "$prefix/venv/bin/sereno" "$destdir/usr/local/bin/sereno"
}

install_config() {
  local template=$source_dir/config/$role.yaml target=$destdir/etc/sereno/$role.yaml
  install -d -m 755 "$destdir/etc/sereno"
  install -d -m 700 "$destdir/etc/sereno/credentials"
  if [ ! -e "$target" ]; then
    install -m 640 "$template" "$target"
    say "wrote /etc/sereno/$role.yaml: the camera and the broker are set there"
  elif ! cmp -s "$template" "$target"; then
    install -m 640 "$template" "$target.new"
    say "kept your /etc/sereno/$role.yaml; this version's template is beside it as $role.yaml.new"
  fi
}

systemd_version() {
  local library
  library=$(find "$destdir/usr/lib/systemd" "$destdir/usr/lib"/*/systemd -maxdepth 1 -name 'libsystemd-shared-*.so' 2> /dev/null | head -n 1 || true)
  sed -E 's/.*shared-([0-9]+).*/\1/' <<< "${library:-shared-0}"
}

install_units() {
  install -D -m 644 "$source_dir/systemd/sereno@.service" "$units/sereno@.service"
  install -D -m 644 "$source_dir/systemd/sereno.sysusers" "$destdir/usr/local/lib/sysusers.d/sereno.conf"
  install -D -m 644 "$source_dir/systemd/sereno.tmpfiles" "$destdir/usr/local/lib/tmpfiles.d/sereno.conf"
  if [ "$(systemd_version)" -ge 254 ]; then
    install -D -m 644 "$source_dir/systemd/backoff.conf" "$units/sereno@.service.d/backoff.conf"
  fi
  install -d "$destdir/etc/systemd/system/multi-user.target.wants"
  ln -sfn "/usr/local/lib/systemd/system/sereno@.service" \
    "$destdir/etc/systemd/system/multi-user.target.wants/sereno@$role.service"
}

join_groups() {
  local group
  for group in gpio; do
    ! getent group "$group" > /dev/null || usermod --append --groups "$group" sereno
  done
}

# Printed to the terminal itself: the output may go to a log.
first_password() {
  local command=(runuser -u sereno -- "$prefix/venv/bin/sereno" users first --config "/etc/sereno/$role.yaml")
  if { : > /dev/tty; } 2> /dev/null; then
    "${command[@]}" > /dev/tty
  else
    say "no terminal: the page stays closed until \`sudo sereno users passwd --config /etc/sereno/$role.yaml\`"
  fi
}

start_service() {
  systemd-sysusers sereno.conf
  join_groups
  systemd-tmpfiles --create sereno.conf
  first_password
  if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl restart "sereno@$role.service" || say "it did not start: journalctl -u sereno@$role"
    say "running: systemctl status sereno@$role"
  else
    say "systemd is not running here: the service starts with the machine"
  fi
}

check_request
check_machine
find_python
workshop=$(mktemp -d)
trap 'rm -rf "$workshop"' EXIT
mkdir -p "$home"
build_environment
copy_program
take_over
install_config
install_units
if [ -z "$destdir" ]; then
  start_service
else
  say "installed into $destdir; at its first start systemd makes the user, and the page stays closed until \`sudo sereno users passwd --config /etc/sereno/$role.yaml\`"
fi
