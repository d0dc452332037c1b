"""The request that made a twin, as a command for a POSIX shell."""

from shlex import quote

from dtwinseger.client import API_KEY_VARIABLE
from gateway.build import StoredRequest

IMAGE_FILE = "image.png"  # the reader puts the own file here; the gateway does not keep names


def curl_command(base_url: str, request: StoredRequest, *, with_key: bool) -> str:
    """`curl` with the query and the options that differ from the defaults, each quoted for the shell.

    `with_key` adds the key in the caller's environment. `--form-string`, since `-F` would read a value that begins
    with @ or < from a file.
    """
    parts = [f"curl {quote(base_url.rstrip('/') + '/segment')}", f"-F image=@{IMAGE_FILE}"]
    if with_key:
        parts.append(f'-H "Authorization: Bearer ${API_KEY_VARIABLE}"')
    parts.append(f"--form-string {quote(f'query={request.query}')}")
    options = request.options.model_dump_json(exclude_defaults=True, exclude={"mask_format"})
    if options != "{}":
        parts.append(f"--form-string {quote(f'options={options}')}")
    return " \\\n  ".join(parts)
