"""gunicorn's settings; those that differ between installations come from the environment."""

import os

from bizza.logs import configuration

bind = f"0.0.0.0:{os.environ.get('PORT', '5001')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = int(os.environ.get("WEB_THREADS", "4"))
timeout = 30
graceful_timeout = 20
keepalive = 65  # longer than nginx keeps its connections
worker_tmp_dir = "/dev/shm"  # the heartbeat of the workers must not wait for a disk
control_socket_disable = True
logconfig_dict = configuration(os.environ.get("BIZZA_LOG_LEVEL", "INFO").upper())
