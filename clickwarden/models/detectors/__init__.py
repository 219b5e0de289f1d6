"""Detectors by name: what scikit-learn learns, and the ONNX graph that scores as it does.

Importing them needs the extra ``learn``; what they have exported needs ``serve`` alone.
"""
