"""Many hosts with parallel-ssh: an archive where one is named, then a command.

Its native client leaves the verification of host keys to its caller, so that is done here, between the key exchange and
the login.
"""

import sys
from base64 import b64decode

from gevent import joinall
from pssh.clients import ParallelSSHClient
from pssh.clients.native import parallel
from pssh.clients.native.single import SSHClient

hosts, fan_out, user, port, key, known_hosts, archive, command = sys.argv[1:]


def known():
    """Host keys by the name that known_hosts gives a host on a port of its own."""
    with open(known_hosts) as lines:
        return {name: b64decode(value) for name, _, value in map(str.split, lines)}


KEYS = known()


class VerifyingClient(SSHClient):
    def auth(self):
        shown, _ = self.session.hostkey()
        if shown != KEYS[f"[{self.host}]:{self.port}"]:
            raise RuntimeError(f"{self.host} shows another host key")
        return super().auth()


parallel.SSHClient = VerifyingClient
with open(hosts) as listed:
    client = ParallelSSHClient(
        listed.read().split(),
        user=user,
        port=int(port),
        pkey=key,
        pool_size=int(fan_out),
        allow_agent=False,
        identity_auth=False,
    )
if archive:
    joinall(client.copy_file(archive, "archive.tar"), raise_error=True)
output = client.run_command(command)
client.join(output)
for host in output:
    print("\n".join(host.stdout))
    if host.exit_code != 0:
        sys.exit(f"{host.host}: exit {host.exit_code}")
