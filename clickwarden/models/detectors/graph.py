"""An ONNX graph in the making."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import ArrayLike
from onnx import TensorProto, helper, numpy_helper

from clickwarden.release import RELEASE

#: Old enough for every runtime of the last years; with newer ones files would only load in fewer places.
OPSET, ML_OPSET, IR_VERSION = 18, 3, 10
#: What a graph takes and gives.
VALUES, SCORES = "values", "scores"


class Graph:
    """Nodes and constants, from float32[n, d] values to float32[n, 1] scores."""

    def __init__(self, columns: int) -> None:
        self._columns = columns
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output; the output's name."""
        output = f"n{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], domain=domain, **attributes))
        return output

    def constant(self, value: ArrayLike, kind: type[np.generic] = np.float32) -> str:
        """Add a constant; its name."""
        name = f"c{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(value, kind), name))
        return name

    def integers(self, *values: int) -> str:
        """Add a constant of axes or of a shape; its name."""
        return self.constant(values, np.int64)

    def least(self, values: str, count: int) -> str:
        """Add a node that gives the least of each row; its name."""
        outputs = [f"n{len(self._nodes)}", f"n{len(self._nodes)}_places"]
        inputs = [values, self.integers(count)]
        self._nodes.append(helper.make_node("TopK", inputs, outputs, axis=1, largest=0, sorted=0))
        return outputs[0]

    def build(self, scores: str) -> bytes:
        """The model, whose output is the value of this name."""
        self._nodes.append(helper.make_node("Identity", [scores], [SCORES]))
        graph = helper.make_graph(
            self._nodes,
            "detector",
            [helper.make_tensor_value_info(VALUES, TensorProto.FLOAT, [None, self._columns])],
            [helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, [None, 1])],
            self._constants,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", ML_OPSET)],
            ir_version=IR_VERSION,
            producer_name="clickwarden",
            producer_version=RELEASE,
        )
        content: bytes = model.SerializeToString(deterministic=True)
        return content


def squared_distances(graph: Graph, values: str, centres: ArrayLike) -> str:
    """Squared Euclidean distances of float32[n, d] to k centres; float64[n, k].

    In double precision, or near values would lose all digits by cancellation.
    """
    points = np.asarray(centres, np.float64)
    wide = widened(graph, values)
    own = graph.add("ReduceSumSquare", wide, graph.integers(1), keepdims=1)
    products = graph.add("MatMul", wide, graph.constant(-2 * points.T, np.float64))
    theirs = graph.constant((points**2).sum(1), np.float64)
    return graph.add("Relu", graph.add("Add", graph.add("Add", products, own), theirs))


def widened(graph: Graph, value: str) -> str:
    """A value as float64.

    Products of float32 matrices are added up in another order for other numbers of rows, and a score must not
    depend on the batch; those of float64 are not.
    """
    return graph.add("Cast", value, to=TensorProto.DOUBLE)


def narrowed(graph: Graph, value: str) -> str:
    """A value as float32."""
    return graph.add("Cast", value, to=TensorProto.FLOAT)
