import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import plugin_data_pb2

from tests.report.searches import NASTY, THREE, several
from tfopt.run.search_record import SearchRecord
from tfopt.search.hparams import write_hparams


def test_tensorboard_reads_what_is_written(tmp_path):
    record = SearchRecord.from_json(several(THREE))
    write_hparams(tmp_path, record)
    write_hparams(tmp_path, record)
    folders = sorted((tmp_path / "tensorboard").iterdir())
    assert [folder.name for folder in folders] == [str(number) for number in range(1, 9)]
    assert all(len([*folder.iterdir()]) == 1 for folder in folders)
    found = EventAccumulator(str(folders[1])).Reload()
    content = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    started = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info.hparams
    trial = record.trial(2)
    assert started["width"].number_value == trial.values["width"]
    assert started[NASTY].number_value == trial.values[NASTY]
    assert started["activation"].string_value == trial.values["activation"]
    for name, value in trial.metrics.items():
        (tensor,) = found.Tensors(name)
        assert tensor.tensor_proto.float_val[0] == pytest.approx(value)
