"""Start the mock server with `python -m batch_enroll.sandbox`."""

import argparse
import sys

from batch_enroll.sandbox.command_line import add_arguments, execute

if __name__ == "__main__":
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m batch_enroll.sandbox", formatter_class=formatter)
    add_arguments(parser)
    sys.exit(execute(parser.parse_args()))
