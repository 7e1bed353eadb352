"""Applications, their versions and the environments in which they run behind a load balancer.

Plans are values, made from what is wanted and what is observed; operations carry them out step by step and survive
being killed. Instances run on a target, requests reach them through a balancer: both are contracts.
"""
