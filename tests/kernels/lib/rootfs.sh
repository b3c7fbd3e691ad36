#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the path of the guests' root filesystem, made first where there is none: one ext4 image of
# Debian bookworm for all kernels, because the programs are built on bookworm and linked to its
# libraries. A machine never writes to it (qemu's snapshot=on), so it is kept until guest/packages
# or this file changes.

set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

SUITE=bookworm
IMAGE_SIZE=1G

image=$CACHE/root-$(content_key "$RIG/guest/packages" "${BASH_SOURCE[0]}").ext4
log=$CACHE/rootfs.log
if [[ -e $image ]]; then
	printf '%s\n' "$image"
	exit
fi

say "making the guests' root filesystem"
work=$(mktemp -d "$CACHE/work.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
trap 'tail -n 20 "$log" >&2; say "kernels: no root filesystem; the whole log is $log"' ERR

root=$work/root
packages=$(sed -e 's/#.*//' "$RIG/guest/packages" | xargs | tr ' ' ,)
mirror=$(debian_mirror "$SUITE")
security=$(debian_mirror "$SUITE-security")
nice mmdebstrap --mode=root --variant=minbase --include="$packages" \
	--aptopt='Acquire::Check-Valid-Until "false"' \
	--aptopt='APT::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
	--dpkgopt='path-exclude=/usr/share/locale/*' \
	"$SUITE" "$root" \
	"deb [signed-by=$RELEASE_KEYS] $mirror $SUITE main" \
	"deb [signed-by=$RELEASE_KEYS] $security $SUITE-security main" >"$log" 2>&1
for user in sockwarden sockwarden-privd; do
	chroot "$root" useradd --system --user-group --no-create-home --home-dir / \
		--shell /usr/sbin/nologin "$user" >>"$log" 2>&1
done
printf '127.0.0.1 localhost\n::1 localhost\n' >"$root/etc/hosts"
printf 'guest\n' >"$root/etc/hostname"
mkdir -p "$root/lib/modules"
mke2fs -q -t ext4 -O ^has_journal -L root -d "$root" "$work/image" "$IMAGE_SIZE" >>"$log" 2>&1
mv "$work/image" "$image"
find "$CACHE" -maxdepth 1 -name 'root-*.ext4' ! -name "${image##*/}" -delete
printf '%s\n' "$image"
