"""A replica: one model version on ONNX Runtime, served over the Open Inference Protocol."""
