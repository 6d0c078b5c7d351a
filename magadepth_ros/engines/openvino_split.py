# SPDX-License-Identifier: Apache-2.0
"""
Splits a network into its part on metres and its part with weights, for OpenVINO in bf16.

OpenVINO's bf16 covers all from the input to the last layer with weights, the filling of holes
included, and a depth of 10 m in bf16 is off by up to 4 cm. So what is computed before any weight
comes in runs as a network of its own, in fp32.
"""

from __future__ import annotations

from typing import Any

# A maximum is exact in any precision; the masks it makes would only have to be handed over.
_HEAVY = frozenset(
    {'Convolution', 'ConvolutionBackpropData', 'GroupConvolution', 'MatMul', 'MaxPool'}
)
_PLAIN = frozenset({'Parameter', 'Result', 'Constant'})


def has_weights(network: Any) -> bool:
    """Say whether there is any layer for which bf16 is meant."""
    return any(_is_heavy(operator) for operator in network.get_ops())


def _is_heavy(operator: Any) -> bool:
    return operator.get_type_name() in _HEAVY


def split(network: Any) -> tuple[Any, Any] | None:
    """
    Cut ``network`` (an ``openvino.Model`` of fixed size), which must not be used afterwards.

    Returns
    -------
    tuple
        the front, rgb and depth -> what is handed over, and the rest, what is handed over (its
        inputs ``handed_0``, ``handed_1``, ...) -> the outputs; None where there is no front.

    """
    import openvino
    from openvino import opset8

    operators = network.get_ordered_ops()
    behind: set[str] = set()
    constant: set[str] = set()
    for operator in operators:
        name, kind = operator.get_friendly_name(), operator.get_type_name()
        sources = [
            port.get_source_output().get_node().get_friendly_name() for port in operator.inputs()
        ]
        if _is_heavy(operator) or behind.intersection(sources):
            behind.add(name)
        elif kind == 'Constant' or (sources and constant.issuperset(sources)):
            constant.add(name)
    handed = []
    for operator in operators:
        name = operator.get_friendly_name()
        if name in behind or name in constant or operator.get_type_name() in _PLAIN:
            continue
        for output in operator.outputs():
            users = [
                port
                for port in output.get_target_inputs()
                if port.get_node().get_friendly_name() in behind
            ]
            if users:
                handed.append((output, users))
    if not handed:
        return None
    # Where the rest also reads an input itself, it is handed over like all else.
    for parameter in network.get_parameters():
        users = [
            port
            for port in parameter.output(0).get_target_inputs()
            if port.get_node().get_friendly_name() in behind
        ]
        if users:
            handed.append((parameter.output(0), users))
    entries = []
    for number, (output, users) in enumerate(handed):
        entry = opset8.parameter(output.get_partial_shape(), output.get_element_type())
        entry.output(0).set_names({f'handed_{number}'})
        entries.append(entry)
        for port in users:
            port.replace_source_output(entry.output(0))
    results = network.get_results()
    front_results = [opset8.result(output) for output, _ in handed]
    front = openvino.Model(front_results, network.get_parameters(), 'front')
    rest = openvino.Model(results, entries, 'rest')
    return front, rest


class SplitRequest:
    """The two compiled parts, run one after the other without a copy between them."""

    def __init__(self, front: Any, rest: Any) -> None:
        self._front, self._rest = front.create_infer_request(), rest.create_infer_request()
        for number in range(len(front.outputs)):
            self._rest.set_tensor(f'handed_{number}', self._front.get_output_tensor(number))
        self._compiled = rest

    def get_compiled_model(self) -> Any:
        """Return the part with the weights."""
        return self._compiled

    def infer(self, inputs: dict[str, Any], **options: Any) -> Any:
        """Do what openvino.InferRequest.infer does."""
        self._front.infer(inputs, share_inputs=True, share_outputs=True)
        return self._rest.infer({}, **options)
