"""Where the stack's processes listen, and whether they can."""

import socket
from collections.abc import Mapping

STANDARD = {"engine": 8090, "perception": 8081, "semantics": 8082, "reasoner": 8083, "gateway": 8080}


class StackError(Exception):
    """The stack cannot run; the message tells why and what to do, in words for a person."""


def ports_from(settings: Mapping[str, str]) -> dict[str, int]:
    """Process -> port: the standard one, or what NAME_PORT says. Raises StackError where that is no port."""
    ports: dict[str, int] = {}
    for name, standard in STANDARD.items():
        given = settings.get(variable(name), str(standard))
        if not given.isdigit() or not 0 < int(given) < 65_536:
            raise StackError(f"{variable(name)} must be a port number, not {given!r}")
        ports[name] = int(given)
    return ports


def check_ports(ports: Mapping[str, int]) -> None:
    """Raise StackError where something listens on a port already."""
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as uvicorn does
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                remedy = f"end what listens there, or choose another with {variable(name)}=…"
                raise StackError(f"port {port} is taken, and {name} needs it: {remedy}") from error


def free_ports() -> dict[str, int]:
    """A free port for every process."""
    probes = {name: socket.create_server(("127.0.0.1", 0)) for name in STANDARD}
    try:
        return {name: probe.getsockname()[1] for name, probe in probes.items()}
    finally:
        for probe in probes.values():
            probe.close()


def variable(name: str) -> str:
    """The environment variable that holds the process's port."""
    return f"{name.upper()}_PORT"
