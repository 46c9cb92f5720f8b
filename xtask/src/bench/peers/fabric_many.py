"""Many hosts with fabric and a pool of threads, one connection each: an archive where one is named, then a command."""

import sys
from concurrent.futures import ThreadPoolExecutor

import paramiko
from fabric import Config, Connection

hosts, fan_out, user, port, key, known_hosts, archive, command = sys.argv[1:]


def work(host):
    connection = Connection(
        host,
        user=user,
        port=int(port),
        config=Config(overrides={"load_ssh_configs": False}),
        connect_kwargs={"key_filename": key, "allow_agent": False, "look_for_keys": False},
    )
    connection.client.load_host_keys(known_hosts)
    connection.client.set_missing_host_key_policy(paramiko.RejectPolicy())
    with connection:
        if archive:
            connection.put(archive, "archive.tar")
        return connection.run(command, hide=True, in_stream=False).stdout


with open(hosts) as listed, ThreadPoolExecutor(int(fan_out)) as pool:
    for output in pool.map(work, listed.read().split()):
        print(output, end="")
