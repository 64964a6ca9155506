import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import tfopt
from tfopt.errors import ConversionError
from tfopt.export.converter.process import ConverterProcess


def _pid():
    return ConverterProcess._shared.pid


def test_one_child_serves_all_conversions(trained):
    tfopt.to_tflite(trained)
    first = _pid()
    tfopt.to_tflite(trained)
    assert _pid() == first


def test_a_child_that_died_between_conversions_is_replaced(trained, files):
    tfopt.to_tflite(trained)
    first = _pid()
    os.kill(first, signal.SIGKILL)
    ConverterProcess._shared._child.wait()
    ConverterProcess.stop()  # has nothing left to do, and says nothing
    assert bytes(tfopt.to_tflite(trained)) == bytes(files["float32"])
    assert _pid() != first


def test_a_crash_in_the_converter_is_an_error_and_the_next_conversion_works(trained, files):
    tfopt.to_tflite(trained)
    # A stopped child holds the request for as long as it takes to kill it.
    os.kill(_pid(), signal.SIGSTOP)
    asked = threading.Event()
    ask, pid = ConverterProcess._ask, _pid()

    def crash():
        asked.wait()
        os.kill(pid, signal.SIGSEGV)
        os.kill(pid, signal.SIGCONT)

    killer = threading.Thread(target=crash)
    killer.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConverterProcess, "_ask", lambda self, line: (asked.set(), ask(self, line))[1])
        with pytest.raises(
            ConversionError,
            match=r"'trained' as float32.*crashed \(SIGSEGV\) in a subprocess.*scheme='dynamic'",
        ):
            tfopt.to_tflite(trained)
    killer.join()
    assert bytes(tfopt.to_tflite(trained)) == bytes(files["float32"])


def test_the_child_ends_with_its_parent():
    code = (
        "import time; from tfopt.export.converter.process import ConverterProcess as C; "
        "c = C(); print(c.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        parent.kill()
    while _runs(child):
        time.sleep(0.05)


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False
