# Copyright: Contributors to the wormhole.docker project
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Option ``certificates`` of two modules; its arguments are in _glue/certificates.py."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  certificates:
    description: Certificates of a host. M(wormhole.docker.tls_certificates) requires them with
      C(state=present), and does not change certificates that are not listed.
      M(wormhole.docker.certificate_signature) requires them to sign requests of
      M(wormhole.docker.tls_certificates), and ignores the options that concern files.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the certificate in results and reasons. Unique in the task.
        type: str
        required: true
      profile:
        description: Purpose of the certificate. V(server) sets the extended key usage
          C(serverAuth), V(client) sets C(clientAuth). A certificate has only one of them.
        type: str
        choices: [server, client]
        required: true
      state:
        description: Whether the certificate exists. V(absent) removes the three files of a client
          certificate, and their directory if it is empty. It fails if the directory holds a server
          certificate.
        type: str
        choices: [present, absent]
        default: present
      directory:
        description:
          - Absolute path of the certificate's directory on the host. It holds C(ca.pem),
            C(cert.pem) and C(key.pem), as the Docker CLI and SDKs expect in E(DOCKER_CERT_PATH).
            Two certificates cannot share a directory.
          - Missing parent directories are created. Other files in the directory are not changed.
        type: str
        required: true
      common_name:
        description: Common name of the subject, at most 64 characters. By default
          O(certificates[].name). Authorization plugins of the engine identify a client by it.
        type: str
      subject_alternative_names:
        description:
          - Addresses and names that clients dial. A server certificate needs at least one.
          - Each element is a string such as V(IP:172.17.0.1), V(IP:fd00::1),
            V(DNS:host.docker.internal) or V(DNS:*.ci.example.com), or a dictionary. In a
            dictionary, C(name) is that string, and C(origin) is quoted in reasons, for example
            V(gateway of network ci). With C(urgent=false), the engine need not be restarted to
            serve this name, see RV(wormhole.docker.tls_certificates#module:restart_required).
          - The order of the elements, upper and lower case, and the notation of IPv6 addresses do
            not matter.
        type: list
        elements: raw
        default: []
      owner:
        description:
          - Owner of C(key.pem), by name or ID. An ID need not exist on the host. Set this option to
            the user that reads the key in the container. By default the user that runs the module,
            which is root with C(become).
          - The directory and the other files belong to the user that runs the module. They belong
            to this owner only if O(certificates[].directory_mode) does not let others list and
            enter the directory, or O(certificates[].certificate_mode) does not let others read the
            files.
        type: str
      group:
        description: Group of the directory and its files, by name or number. By default the owner's
          primary group, or the owner's number if no user of the host has that number.
        type: str
      directory_mode:
        description: Mode of the directory, as four octal digits in quotes.
        type: str
        default: "0755"
      key_mode:
        description: Mode of C(key.pem), as four octal digits in quotes. It must not give others any
          access, or the group more than read access.
        type: str
        default: "0400"
      certificate_mode:
        description: Mode of C(cert.pem) and C(ca.pem), as four octal digits in quotes.
        type: str
        default: "0444"
      key_type:
        description: Type of the private key. Changing it issues a new certificate. Generating an
          RSA key takes seconds.
        type: str
        choices: [ecdsa-p256, ecdsa-p384, rsa-3072, rsa-4096, ed25519]
        default: ecdsa-p256
      validity_days:
        description: Validity in days from the time of issue. It ends earlier if the authority
          expires earlier. It begins one hour before the time of issue, for hosts whose clocks are
          slow. Changing this option alone does not issue a new certificate.
        type: int
        default: 365
      renew_before_days:
        description: Renewal window, in days before the certificate expires. A run in this window
          issues a new certificate. By default a third of O(certificates[].validity_days).
        type: int
"""
