"""Sizing: how many workers, partitions, GPUs and brokers for so many images a day, from what each
stage was measured to cost; and a simulation that checks the answer."""
