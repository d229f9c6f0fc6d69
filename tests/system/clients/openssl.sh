#!/bin/sh
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# OpenSSL's own client, with its strictest checks.

case $1 in
*:* | *.*.*.*) named=-verify_ip ;;
*) named=-verify_hostname ;;
esac
printf 'GET /version HTTP/1.0\r\nHost: %s\r\n\r\n' "$2" |
    exec timeout 20 openssl s_client -connect "$2" -quiet \
        -CAfile "$3/ca.pem" -cert "$3/cert.pem" -key "$3/key.pem" \
        -x509_strict -purpose sslserver "$named" "$1" -verify_return_error
