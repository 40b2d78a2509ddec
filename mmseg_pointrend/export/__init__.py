"""Models as graphs that need none of their code: from pictures to labels, rendering included.

- `pictures`: what happens to a picture before the network sees it, as part of the graph.
- `rendering`: adaptive subdivision whose operators are the same for pictures of any size.
- `labels`: a segmentor as a module from pictures to labels.
- `masks`: the mask branch of a detector as a module from maps, boxes and classes to masks.
- `tracing`: such a module as a `torch.export` program.
- `onnx_file`: the program as an ONNX file, with what its user must know, and how it is run.
- `page_file`: an ONNX file in a page for browsers.
- `agreement`: how many labels of an exported model are not those of the model it was made from.
"""
