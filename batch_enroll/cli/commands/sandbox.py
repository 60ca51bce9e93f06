"""`batch-enroll sandbox`: serve the local mock server of the platform."""

from batch_enroll.sandbox.command_line import add_arguments, execute

__all__ = ["add_arguments", "execute"]
