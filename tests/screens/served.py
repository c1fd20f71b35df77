"""A daemon that serves a policy in a folder of its own."""

import os
import subprocess


class Served:
    def __init__(self, binary, folder, policy):
        surroundings = {**os.environ, "STATE_DIRECTORY": str(folder), "TZ": "UTC"}
        command = [binary, "run", "--as-root", "-c", policy]
        self.process = subprocess.Popen(command, env=surroundings, stderr=subprocess.PIPE, text=True)
        if not any("milter at" in line for line in iter(self.process.stderr.readline, "")):
            self.stop()
            raise AssertionError("the daemon did not start")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stderr.close()
