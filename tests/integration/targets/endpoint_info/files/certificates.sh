#!/bin/sh
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Create two authorities and their certificates with openssl, independently of the code under test.
# Usage: certificates.sh DIRECTORY SERVER_NAMES

set -eu
umask 077
mkdir -p "$1"
cd "$1"

cat >openssl.cnf <<END
[req]
distinguished_name = name
[name]
[authority]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = $2
[client]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
END

make() {
    openssl req -x509 -config openssl.cnf -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "$@"
}

authority() {
    mkdir -p "$1"
    make -subj "/CN=$1 CA" -extensions authority -keyout "$1/key.pem" -out "$1/cert.pem"
}

# issue AUTHORITY PROFILE DIRECTORY
issue() {
    mkdir -p "$3"
    make -subj "/CN=$3" -extensions "$2" -CA "$1/cert.pem" -CAkey "$1/key.pem" -keyout "$3/key.pem" -out "$3/cert.pem"
    cp ours/cert.pem "$3/ca.pem"
}

authority ours
authority foreign
issue ours server server
issue ours client client
# A client that trusts the server and is not trusted by it, and the other way round.
issue foreign client untrusted
issue ours client distrusting
cp foreign/cert.pem distrusting/ca.pem
