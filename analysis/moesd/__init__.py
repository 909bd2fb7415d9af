"""The MoESD model of speculative decoding on mixtures of experts (arXiv 2505.19645; seeds 000 and 002).

`theory` what routing does to memory traffic · `times` what a pass costs and Eq. 4 · `facts` machine, models and
the appendix's bounds · `grid` measured points · `gradient`, `fit`, `identify`, `bootstrap` the ten parameters and
how far to trust them · `strides` Table 1 of the appendix · `predict` where SD pays · `plots`, `cli`.
"""
