"""The health check of every image: `python3 healthy.py PORT/PATH` exits 0 where that answers 200 on this machine."""

import sys
import urllib.error
import urllib.request

try:
    urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}", timeout=4).close()
except urllib.error.HTTPError as error:
    sys.exit(f"{error.code} {error.read(500).decode(errors='replace')}")  # what is missing, for `docker inspect`
except OSError as error:
    sys.exit(str(error))
