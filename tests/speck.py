"""A size that trains in no time, as the text of conf/size/speck.yaml."""

SIZE = """
_target_: t5grid.model.architectures.Size
d_model: 16
d_ff: 32
d_kv: 8
num_heads: 2
num_layers: 1
num_decoder_layers: null
feed_forward: relu
tied: true
dropout: 0.1
"""
