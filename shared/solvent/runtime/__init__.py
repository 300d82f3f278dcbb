"""Inference. `Fitted.predict` is the one door to it; behind the door is one of these:

| runtime | what it is |
|---|---|
| `tensorflow` | the model as it was trained, in float32 |
| `tensorflow-bf16` | the same in bfloat16 |
| `openvino-float32`, `openvino-bf16` | the same in OpenVINO |
| `openvino-int8` | quantised to 8 bits on validation rows |

All but the first are made by `solvent optimize`, which accepts one only if the headline does not drop.
"""

from .batches import predict

__all__ = ["FORMATS", "NAMES", "TENSORFLOW", "predict"]

TENSORFLOW = "tensorflow"
NAMES = (TENSORFLOW, "tensorflow-bf16", "openvino-float32", "openvino-bf16", "openvino-int8")
FORMATS = ("savedmodel", "onnx", "openvino", "litert")  # of `solvent export`
