#!/bin/sh
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# curl, which here is built with OpenSSL.

exec curl --silent --show-error --max-time 20 --cacert "$3/ca.pem" --cert "$3/cert.pem" --key "$3/key.pem" \
    "https://$2/version"
