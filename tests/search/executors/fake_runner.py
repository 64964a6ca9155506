"""Stands for a recipe in a process of its own, without TensorFlow; what happens is the name of the file."""

import errno
import os
import signal
import subprocess
import sys
import time


class FakeRunner:
    """Measures nothing: the name of the second file says how the measurement goes."""

    def __init__(self, ratio=1.0):
        self.ratio, self.calls = ratio, 0

    def measure_latency(self, first, second):
        self.calls += 1
        print("measuring", second.name, flush=True)
        match second.name.split("-"):
            case ["signal", number]:
                os.kill(os.getpid(), int(number))
            case ["exit", code]:
                os._exit(int(code))
            case ["segfault"]:
                import ctypes

                ctypes.string_at(0)
            case ["error"]:
                raise ValueError("It would not.\nAt all.")
            case ["disk"]:
                raise OSError(errno.ENOSPC, "No space left on device")
            case ["sleep"]:
                second.write_text(str(os.getpid()))
                time.sleep(600)
            case ["grandchild"]:
                child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
                second.write_text(str(child.pid))
                child.wait()
            case ["environment"]:
                second.write_text(os.environ["OMP_NUM_THREADS"])
            case ["ignore"]:
                os.kill(os.getpid(), signal.SIGINT)
        return self.ratio * self.calls
