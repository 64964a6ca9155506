"""Stands for a recipe in a process of its own, without TensorFlow."""

import errno
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace


class FakeRunner:
    """Measures nothing: the name of the second file says how the measurement goes.

    A trial writes a file `began-<process>` in the folder of runs, and waits for the file `go` there.
    """

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

    def foresee(self, hp, limited):
        from tfopt.search.foresight import Foresight

        return Foresight(least={"bytes": 8} if "bytes" in limited else {})

    def run_trial(self, hp, runs):
        from tfopt.run.run_folder import write_record
        from tfopt.run.run_record import SCHEMA, RunRecord

        width = hp.Int("width", 1, 64, default=16)
        runs.mkdir(parents=True, exist_ok=True)
        (runs / f"began-{os.getpid()}").write_text(str(os.getppid()))
        while not (runs / "go").exists():
            time.sleep(0.05)
        path = runs / str(width)
        path.mkdir(exist_ok=True)
        (path / "model.tflite").write_bytes(bytes(width))
        stage = {"name": "export_tflite", "status": "complete", "file": "model.tflite", "bytes": width}
        stages = [{**stage, "validation": {"accuracy": width / 64}}]
        write_record(path, RunRecord.from_json({"schema": SCHEMA, "status": "complete", "stages": stages}))
        return SimpleNamespace(path=path)

    def declare(self):
        import keras_tuner

        hp = keras_tuner.HyperParameters()
        hp.Int("width", 1, 64, default=16)
        return hp
