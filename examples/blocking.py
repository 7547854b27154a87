"""Without async: send, look at the receipt, take it back: python blocking.py STORE TARGET FILE."""

import sys

import yizhan
from yizhan import Image

store, target, file = sys.argv[1:]
with yizhan.open_blocking(store) as yz:
    receipt = yz.send(target, "look:", Image(file))
    print(receipt.state, *(part.id for part in receipt.platform_ids))
    print(yz.recall(receipt).state)
