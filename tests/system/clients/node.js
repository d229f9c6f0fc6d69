// Copyright: Contributors to the wormhole.docker project
// GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Node.js: the options that every library for Docker hands over to it.

'use strict';

const fs = require('fs');
const https = require('https');

const [, endpoint, certificates] = process.argv.slice(2);
const read = (name) => fs.readFileSync(`${certificates}/${name}.pem`);

const fail = (error) => {
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
};

https
  .get(
    `https://${endpoint}/version`,
    { ca: read('ca'), cert: read('cert'), key: read('key') },
    (answer) => answer.on('error', fail).pipe(process.stdout),
  )
  .on('error', fail);
