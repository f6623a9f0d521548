"""Reading text in images: detect text lines, recognise each, keep what is text (PP-OCRv6).

Follows PP-OCR (arXiv 2009.09941): a detector by differentiable binarization, a recogniser by CTC,
and a classifier that tells text that stands on its head. The weights are those that the package
``rapidocr`` carries (Apache-2.0); none of its code is imported.
"""

from engines.ocr.reader import Line, Reader

__all__ = ["Line", "Reader"]
