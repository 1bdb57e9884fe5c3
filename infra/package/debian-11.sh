#!/usr/bin/env bash
# Starts the packed handler in a Debian 11 (glibc 2.31) and sees it name its missing settings: proof
# that the loader finds everything. Usage: infra/package/debian-11.sh [ZIP] [MIRROR]
# Needs root, debootstrap, python3, and a mirror that still has Debian 11: debootstrap's own unless
# one is given; status 75 says that one of them is missing. Everything is made in a temporary folder and removed.
set -euo pipefail
cd "$(dirname "$0")/../.."
zip=${1:-target/package/roombridge.zip}

for tool in debootstrap python3; do
  command -v "$tool" >/dev/null || { echo "$tool is needed (Debian: apt-get install $tool)" >&2; exit 75; }
done
[ "$(id -u)" -eq 0 ] || { echo 'only root can make a root folder and enter it: sudo' >&2; exit 75; }
[ -f "$zip" ] || { echo "there is no $zip: cargo pack" >&2; exit 2; }

work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
# The first stage unpacks the packages, the C library among them; setting them up is not needed.
if ! debootstrap --foreign --variant=minbase bullseye "$work/root" ${2:+"$2"} >"$work/log" 2>&1; then
  tail -n 5 "$work/log" >&2
  exit 75
fi

# The files get the modes that the zip gives them, and no others.
python3 - "$zip" "$work/root/srv" <<'PYTHON'
import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as package:
    for entry in package.infolist():
        path = os.path.join(sys.argv[2], entry.filename)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, entry.external_attr >> 16), "wb") as file:
            file.write(package.read(entry))
PYTHON

library=$(chroot "$work/root" /lib/x86_64-linux-gnu/libc.so.6 | head -n 1)
status=0
said=$(chroot "$work/root" /usr/bin/env -i -C /srv ./handler 2>&1) || status=$?
if [ "$status" -ne 1 ] || [[ $said != *ROOMBRIDGE_QUEUE_URL* ]]; then
  printf 'the handler does not start on %s: status %s\n%s\n' "$library" "$status" "$said" >&2
  exit 1
fi
printf 'Debian %s, %s\nThe handler starts, and names its missing settings.\n' \
  "$(cat "$work/root/etc/debian_version")" "$library"
