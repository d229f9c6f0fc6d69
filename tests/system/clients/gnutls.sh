#!/bin/sh
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# GnuTLS's own client. At the end of its input it would hang up before the answer is there: the pipe has no end.

pipe=$(mktemp -u)
mkfifo "$pipe"
exec 3<>"$pipe"
rm "$pipe"
printf 'GET /version HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" >&3
exec timeout 20 gnutls-cli --port "${2##*:}" --logfile=/dev/stderr \
    --x509cafile "$3/ca.pem" --x509certfile "$3/cert.pem" --x509keyfile "$3/key.pem" "$1" <&3
