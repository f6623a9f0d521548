"""The models of the profile `full`: what is done before and after their ONNX files.

numpy, Pillow and OpenCV, and `tokenizers` where there is text; no torch.
"""
