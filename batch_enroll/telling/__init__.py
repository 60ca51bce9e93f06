"""What a run tells those who do not watch it: a status file, a metrics file, notifications, a heartbeat.

In: the run's events and how it ended. Out: files for programs, messages for people. Never: personal data, a secret, a
change of the run or of its exit code: what cannot be told is said in one line and the run goes on.
"""
