#!/bin/sh
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Issue a certificate of certificates.sh again with openssl, for the same key, with other dates or names.
# Usage: reissue.sh DIRECTORY PROFILE SUBDIRECTORY START END [SERVER_NAMES]    START and END in the format of date(1)

set -eu
umask 077
cd "$1"
: >index.txt

cat openssl.cnf - >reissue.cnf <<END
[ca]
default_ca = ours
[ours]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
unique_subject = no
policy = any
[any]
commonName = supplied
END
[ -z "${6:-}" ] || sed -i "s/^subjectAltName = .*/subjectAltName = $6/" reissue.cnf

moment() {
    date --utc --date="$1" +%Y%m%d%H%M%SZ
}

openssl req -new -config reissue.cnf -subj "/CN=$3" -key "$3/key.pem" -out request.pem
openssl ca -batch -notext -config reissue.cnf -cert ours/cert.pem -keyfile ours/key.pem -extensions "$2" \
    -startdate "$(moment "$4")" -enddate "$(moment "$5")" -in request.pem -out issued.pem
mv issued.pem "$3/cert.pem"
