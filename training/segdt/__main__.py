"""`python -m training.segdt`."""

from training.segdt.commands import app

if __name__ == "__main__":
    app(prog_name="python -m training.segdt")
