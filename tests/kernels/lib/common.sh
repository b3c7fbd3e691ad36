# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2034 # used by those who source this
#
# What every part of the kernel rig needs, besides what tests/lib/debian.sh has: its folders, and the
# host's packages.

RIG=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
SOURCE_TREE=$(cd "$RIG/../.." && pwd)
SPEAKER=kernels
# shellcheck source=tests/lib/debian.sh
. "$SOURCE_TREE/tests/lib/debian.sh"
CACHE=$CACHE_BASE/kernels

# host_install: the programs that the rig needs on the host, installed by apt where missing.
host_install() {
	local -a missing=()
	local need program package
	for need in qemu-system-x86_64:qemu-system-x86 mmdebstrap:mmdebstrap busybox:busybox-static \
		mke2fs:e2fsprogs cpio:cpio zstd:zstd xz:xz-utils depmod:kmod python3:python3 flock:util-linux; do
		program=${need%%:*}
		package=${need#*:}
		command -v "$program" >/dev/null || missing+=("$package")
	done
	[[ -e $RELEASE_KEYS ]] || missing+=(debian-archive-keyring)
	((${#missing[@]})) || return 0
	say "installing ${missing[*]}"
	apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 ||
		die "cannot install ${missing[*]}; run apt-get update and try again"
}

# kernel_series: the names of all series of kernels.conf, oldest first.
kernel_series() {
	awk '!/^#/ && NF { print $1 }' "$RIG/kernels.conf"
}

# kernel_field SERIES COLUMN: empty where there is no such series.
kernel_field() {
	awk -v series="$1" -v column="$2" '$1 == series { print $column }' "$RIG/kernels.conf"
}
