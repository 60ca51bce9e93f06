"""`batch-enroll sandbox`: serves the local stand-in of the platform."""

from batch_enroll.sandbox.command import add_arguments, execute

__all__ = ["add_arguments", "execute"]
