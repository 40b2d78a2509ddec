"""Decoders that sharpen a map inside the network, to be trained beside PointRend.

- `carafe`, `dysample`: feature maps enlarged as the content says, in plain torch.
- `heads`: the head of SemanticFPN with one of them for its bilinear upsampling, or with a decoder
  at stride 4. Registered by importing it, as the sweep `alternatives` of tools/ablate.py does.
"""
