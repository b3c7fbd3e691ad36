#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# An interactive console of one guest: shell.sh SERIES [--build DIR]. Leave with ctrl-d, or kill the
# machine with ctrl-a x.

set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$RIG/lib/machine.sh"

series=${1:-}
build=$SOURCE_TREE/build
[[ -n $(kernel_field "$series" 1) ]] || die "usage: shell.sh SERIES [--build DIR]; series: $(kernel_series | paste -sd' ')"
[[ ${2:-} == --build ]] && build=${3:?}
[[ $(id -u) == 0 ]] || die "must run as root"
[[ -d $build ]] || build=

mkdir -p "$CACHE"
host_install
root=$("$RIG/lib/rootfs.sh") || exit 1
folder=$("$RIG/lib/kernel.sh" "$series") || exit 1
work=$(mktemp -d)
trap 'rm -rf -- "$work"' EXIT
payload_make "$build" "$work/payload" shell
truncate -s 32M "$work/results"
(machine_qemu "$series" "$folder" "$root" "$work/payload" "$work/results" "" mon:stdio)
