#!/bin/sh
# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# The Docker command line, which is written in Go.

DOCKER_HOST=tcp://$2 DOCKER_CERT_PATH=$3 DOCKER_TLS_VERIFY=1 exec docker version --format '{{json .Server}}'
