"""pyinfra's part of push-run: an archive, then a command."""

from pyinfra import host
from pyinfra.operations import files, server

files.put(src=host.data.archive, dest="archive.tar", force=True)
server.shell(commands=[host.data.command])
