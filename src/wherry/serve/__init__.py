"""The long-lived process `wherry serve`: the control loop of deployments, their console and their metrics.

It holds no logic of its own: what it shows and does is `deploy`'s. Kill it, and environments go on; start it, and it
goes on from the database.
"""
