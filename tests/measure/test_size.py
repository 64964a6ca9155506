import gzip
import subprocess
import sys

from tfopt import measure


def test_bytes_raw_and_compressed():
    content = bytes(1000) + b"weights"
    assert measure.raw_bytes(content) == 1007
    assert measure.compressed_bytes(content) == len(gzip.compress(content, 9, mtime=0)) < 50


def test_the_size_of_a_file_needs_neither_keras_nor_tensorflow():
    code = (
        "import sys, tfopt; tfopt.measure.compressed_bytes(b''); "
        "sys.exit(bool({'keras', 'tensorflow'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_functions_are_functions_in_whatever_order_their_modules_are_imported():
    code = "import tfopt.measure.latency, tfopt.measure as m; assert callable(m.latency) and callable(m.macs)"
    subprocess.run([sys.executable, "-c", code], check=True)
