#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# An interactive console of one guest, or the output of one command in it:
#
#   shell.sh SERIES [--build DIR] [COMMAND...]
#
# Leave the console with ctrl-d, or kill the machine with ctrl-a x.

set -uo pipefail
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
. "$RIG/lib/machine.sh"

series=${1:-}
shift
[[ -n $(kernel_field "$series" 1) ]] ||
	die "usage: shell.sh SERIES [--build DIR] [COMMAND...]; series: $(kernel_series | paste -sd' ')"
build=$(default_build)
if [[ ${1:-} == --build ]]; then
	build=${2:?--build needs a folder}
	shift 2
fi
job=(shell)
(($#)) && job=(command "$*")
[[ $(id -u) == 0 ]] || die "must run as root"

mkdir -p "$CACHE" || exit 1
host_install
root=$("$RIG/lib/rootfs.sh") || exit 1
folder=$("$RIG/lib/kernel.sh" "$series") || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf -- "$work"' EXIT
payload_make "$build" "$work/payload" "${job[@]}"
truncate -s "$RESULTS_SIZE" "$work/results"
(machine_qemu "$series" "$folder" "$root" "$work/payload" "$work/results" mon:stdio)
