#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# Prints the folder of one series' kernel, made first where there is none: vmlinuz, an initramfs that
# can mount the root filesystem, a disk with all modules (unpacked, because a guest takes seconds for
# what the host does in none), and the release's name.
#
# All come from Debian's packages by apt with sources, lists and state of the rig's own, so the
# host's apt stays as it was; Release signatures are checked against debian-archive-keyring.

set -Eeuo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# Which package is the newest of a series is asked again after so many days, or with REFRESH=1.
FRESH_DAYS=7

# What a guest needs before its root filesystem is there.
EARLY_MODULES="virtio_pci virtio_blk virtio_rng ext4"

series=$1
known=$CACHE/series/$series
log=$CACHE/kernel-$series.log
apt=$CACHE/apt/$series
recipe=$(content_key "${BASH_SOURCE[0]}" "$RIG/guest/initramfs-init")

# apt_setup: sources and configuration for the rig's own apt. Of the host's configuration
# only how to reach the network is taken over.
apt_setup() {
	local suite suites mirror
	mkdir -p "$apt"/{lists/partial,archives/partial,parts}
	: >"$apt/status"
	: >"$apt/sources.list"
	IFS=, read -ra suites <<<"$(kernel_field "$series" 2)"
	for suite in "${suites[@]}"; do
		mirror=$(debian_mirror "$suite")
		echo "deb [arch=amd64 signed-by=$RELEASE_KEYS] $mirror $suite main" >>"$apt/sources.list"
	done
	{
		apt-config dump | grep -E '^Acquire::(https?|Retries|ForceIPv4)\b' || true
		cat <<-EOF
			Dir::State "$apt";
			Dir::State::status "$apt/status";
			Dir::Cache "$apt";
			Dir::Etc::sourcelist "$apt/sources.list";
			Dir::Etc::sourceparts "$apt/parts";
			Dir::Etc::preferencesparts "$apt/parts";
			Dir::Etc::parts "$apt/parts";
			Dir::Etc::main "$apt/none";
			Acquire::Check-Valid-Until "false";
			Acquire::Languages "none";
			APT::Architecture "amd64";
			APT::Sandbox::User "root";
		EOF
	} >"$apt/apt.conf"
}

# layout WORK RELEASE: WORK/tree (unpacked packages) to WORK/out.
layout() {
	local tree=$1/tree out=$1/out release=$2 modules=$1/modules image
	# bookworm and before keep modules in /lib, later suites in /usr/lib with the image beside them.
	mkdir -p "$modules/lib/modules"
	image=$(find "$tree" -name "vmlinuz-$release" -o -path "*/$release/vmlinuz" | head -n 1)
	cp "$image" "$out/vmlinuz"
	mv "$(find "$tree" -type d -path "*/lib/modules/$release")" "$modules/lib/modules/"
	find "$modules" -name '*.ko.xz' -exec xz -d {} +
	find "$modules" -name '*.ko.zst' -exec zstd -q -d --rm {} +
	rm -f "$modules/lib/modules/$release"/{vmlinuz,build,source}
	depmod -b "$modules" "$release"
	initramfs "$modules" "$release" "$1/initramfs" "$out/initramfs"
	mke2fs -q -t ext4 -O ^has_journal -m 0 -L modules -d "$modules/lib/modules" "$out/modules.ext4" 400M
	printf '%s\n' "$release" >"$out/release"
}

# initramfs MODULES RELEASE TREE ARCHIVE: busybox, the early modules in the order in which
# they must be loaded, and guest/initramfs-init.
initramfs() {
	local modules=$1 release=$2 tree=$3 archive=$4 name kind path
	mkdir -p "$tree"/{bin,dev,proc,sys,root,modules}
	cp "$(command -v busybox)" "$tree/bin/busybox"
	install -m 755 "$RIG/guest/initramfs-init" "$tree/init"
	: >"$tree/modules/order"
	for name in $EARLY_MODULES; do
		modprobe -d "$modules" -S "$release" --show-depends "$name" | while read -r kind path _; do
			[[ $kind == insmod ]] || continue
			grep -qx "${path##*/}" "$tree/modules/order" && continue
			cp "$path" "$tree/modules/"
			printf '%s\n' "${path##*/}" >>"$tree/modules/order"
		done
	done
	# not compressed: unpacking is slow in a guest, and it is small
	(cd "$tree" && find . | cpio --quiet -o -H newc -R 0:0 >"$archive")
}

# make: resolve, download, unpack, lay out.
make() {
	local image release version name work deb
	local -a packages
	mkdir -p "$CACHE/series"
	apt_setup
	export APT_CONFIG=$apt/apt.conf
	nice apt-get -q update
	image=$(apt-cache pkgnames linux- | grep -Ex "$(kernel_field "$series" 3)" | sort -V | tail -n 1)
	release=${image#linux-image-}
	# newer suites split an image into several packages, named by the same release
	mapfile -t packages < <(apt-cache depends "$image" | awk -v release="-$release" \
		'$1 == "Depends:" && index($2, "linux-") == 1 && index($2, release) { print $2 }')
	packages+=("$image")
	version=$(apt-cache policy "$image" | awk '$1 == "Candidate:" { print $2 }')
	name=linux-$release-$version-$recipe
	if [[ ! -e $CACHE/$name/release ]]; then
		work=$(mktemp -d "$CACHE/work.XXXXXX")
		# shellcheck disable=SC2064 # the value of now
		trap "rm -rf -- '$work'" EXIT
		(cd "$work" && apt-get -q download "${packages[@]}")
		for deb in "$work"/*.deb; do
			dpkg-deb -x "$deb" "$work/tree"
		done
		mkdir "$work/out"
		layout "$work" "$release"
		rm -rf -- "${CACHE:?}/$name"
		mv "$work/out" "$CACHE/$name"
	fi
	printf '%s\n' "$name" >"$known"
}

# sweep: folders that no series names any more.
sweep() {
	local folder
	for folder in "$CACHE"/linux-*; do
		grep -qx "${folder##*/}" "$CACHE"/series/* || rm -rf -- "$folder"
	done
}

if [[ -n ${REFRESH:-} || ! -e $known || -n $(find "$known" -mtime +"$FRESH_DAYS") ||
	$(cat "$known") != *-$recipe ]]; then
	say "fetching the kernel of series $series"
	trap 'tail -n 20 "$log" >&2; say "kernels: no kernel of series $series; the whole log is $log"' ERR
	make >"$log" 2>&1
	sweep
fi
printf '%s\n' "$CACHE/$(cat "$known")"
