import pytest

from tfopt.export.flatbuffer.tensor_names import TensorNames, layer_of

NAMES = TensorNames(
    model="net",
    layers={"block.conv": "block/conv", "relu_1": "relu_1"},
    sources={"Identity": "net_1/relu_1_1/Relu"},
)


@pytest.mark.parametrize(
    ("name", "readable", "layer"),
    [
        ("net_1/block.conv_1/convolution", "block/conv:convolution", "block/conv"),
        ("net/block.conv/convolution", "block/conv:convolution", "block/conv"),
        ("net_1/relu_1_1/Relu", "relu_1:Relu", "relu_1"),
        ("net_1/relu_1/Relu", "relu_1:Relu", "relu_1"),
        ("Identity", "relu_1:Relu", "relu_1"),
        ("net_1/relu_1_1/Relu;net_1/block.conv_1/add", "relu_1:Relu;block/conv:add", "relu_1 + block/conv"),
        ("net_1/Softplus", "Softplus", "Softplus"),
        ("arith.constant", "arith.constant", "arith.constant"),
    ],
)
def test_scopes_become_layers(name, readable, layer):
    assert NAMES.readable(name) == readable
    assert layer_of(readable) == layer


@pytest.mark.parametrize(
    ("foreign", "layer"),
    [("model/block/conv/Conv2D", "block/conv"), ("StatefulPartitionedCall:0", "StatefulPartitionedCall")],
)
def test_names_of_other_files_are_read_by_their_scopes(foreign, layer):
    assert layer_of(foreign) == layer
