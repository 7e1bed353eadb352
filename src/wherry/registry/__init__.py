"""The registry server: the distribution API and Amazon ECR's on one port, accounts, policies, storage, collection.

Opened by `service.open_service`, served by `server.serve`. It knows neither the engine nor the builder.
"""
